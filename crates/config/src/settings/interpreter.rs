//! In:     the directory of an app that names no interpreter.
//! Out:    its interpreter, and where that is from.
//! Actors: the machine is asked for virtual environments.
//! Never:  is another one taken in the place of one that is meant.

use crate::machine::Machine;
use std::path::{Path, PathBuf};

/// Which of two virtual environments counts where there are both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Venvs {
    /// That of the app: several are served, and one of them may have been activated by chance.
    OwnFirst,
    /// The one that is activated: who runs one app has just done that.
    ActivatedFirst,
}

/// Where an interpreter is from that is found by its name alone.
pub const FROM_PATH: &str = "by $PATH";

/// The interpreter where none is named, and where that is from.
pub fn default_interpreter(machine: &dyn Machine, chdir: &Path, order: Venvs) -> (PathBuf, String) {
    let activated = machine.variable_os("VIRTUAL_ENV".as_ref()).filter(|root| !root.is_empty());
    let activated = activated.map(|root| (PathBuf::from(root).join("bin/python"), "$VIRTUAL_ENV"));
    let own = Some((chdir.join(".venv/bin/python"), "./.venv of its directory"));
    let both = if order == Venvs::OwnFirst { [own, activated] } else { [activated, own] };
    // One whose link leads nowhere is meant all the same: another would lack its packages, and say so less clearly.
    let found = both.into_iter().flatten().find(|(path, _)| machine.is_file(path) || machine.is_link(path));
    let (path, origin) = found.unwrap_or_else(|| (PathBuf::from("python3"), FROM_PATH));
    (path, origin.into())
}
