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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    #[test]
    fn of_two_virtual_environments_the_one_that_is_meant_counts() {
        let found = |machine: &Model, order| {
            let (path, origin) = default_interpreter(machine, Path::new("/srv/shop"), order);
            (path.display().to_string(), origin)
        };
        let mut machine = Model::default().with("/srv/shop/.venv/bin/python", "");
        let own = ("/srv/shop/.venv/bin/python".to_owned(), "./.venv of its directory".to_owned());
        assert_eq!(found(&machine, Venvs::ActivatedFirst), own);
        machine.variables.insert("VIRTUAL_ENV".into(), "/home/user/venv".into());
        assert_eq!(found(&machine, Venvs::ActivatedFirst), own, "what is not there is not meant");
        machine = machine.with("/home/user/venv/bin/python", "");
        assert_eq!(found(&machine, Venvs::OwnFirst), own);
        assert_eq!(found(&machine, Venvs::ActivatedFirst).1, "$VIRTUAL_ENV");
        assert_eq!(found(&Model::default(), Venvs::OwnFirst), ("python3".into(), FROM_PATH.into()));
    }
}
