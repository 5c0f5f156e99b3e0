//! Keeps what outlives a process: keys and certificates that hallway made itself.
//!
//! In:     names of files; what is to be in them.
//! Out:    the same, in the state directory.
//! Actors: the file system.
//! Never:  is anything taken from a directory that somebody else has made, or given to one.

use crate::paths;
use crate::users::{name_of, told};
use hallway_core::plan::User;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, mkdirat, openat, renameat, statat,
};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Longest file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Where in the state directory the master keeps what is its own.
const INTERNAL: &str = "internal";

/// The master's own part of the state directory.
pub(crate) struct State {
    directory: OwnedFd,
    path: PathBuf,
}

/// Where the master's own part is.
pub(crate) fn place() -> PathBuf {
    outer().join(INTERNAL)
}

/// That of systemd's unit, root's, or the user's own.
fn outer() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("STATE_DIRECTORY").map(paths::first_of).unwrap_or_else(|| {
        let user = rustix::process::geteuid();
        if user.is_root() {
            return PathBuf::from("/var/lib/hallway");
        }
        let home = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        home.map_or_else(
            || std::env::temp_dir().join(format!("hallway-{}", user.as_raw())),
            |home| home.join("hallway"),
        )
    })
}

impl State {
    /// Opens it, and makes it where it is not there. The state directory is the edge's user's where there is one; the
    /// master's own part in it stays the master's, and no other process can read it.
    ///
    /// # Errors
    /// The system's; a directory of somebody else's making.
    pub(crate) fn open(edge: Option<&User>) -> Result<State, String> {
        let path = outer();
        let failed = |error: io::Error| {
            let shown = path.display();
            format!("the state directory {shown} cannot be used: {}; STATE_DIRECTORY names another place", told(&error))
        };
        vet_way(&path, edge)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
        let directory = paths::open_directory(&path).map_err(failed)?;
        let found = fstat(&directory).map_err(|error| failed(error.into()))?;
        vet(&path, &found, Makers::Operator(edge.map(|edge| edge.uid)))?;
        if let Some(edge) = edge.filter(|edge| found.st_uid == 0 && edge.uid != 0) {
            let given = fchown(&directory, Some(Uid::from_raw(edge.uid)), Some(Gid::from_raw(edge.gid)));
            given.and_then(|()| fchmod(&directory, Mode::RWXU)).map_err(|error| failed(error.into()))?;
        }
        match mkdirat(&directory, INTERNAL, Mode::RWXU) {
            Err(error) if error != Errno::EXIST => return Err(failed(error.into())),
            _ => {}
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let own = openat(&directory, INTERNAL, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        let found = fstat(&own).map_err(|error| failed(error.into()))?;
        let path = path.join(INTERNAL);
        vet(&path, &found, Makers::Own)?;
        Ok(State { directory: own, path })
    }

    /// Where a file of this name is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// How old a file is, where there is one.
    pub(crate) fn age(&self, name: &str) -> Option<Duration> {
        let found = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(found.st_mtime).ok()?);
        changed.elapsed().ok()
    }

    /// What is in a file.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn read(&self, name: &str) -> io::Result<String> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.directory, name, flags, Mode::empty())?);
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes a file that nobody else can read, whole or not at all.
    ///
    /// # Errors
    /// The mend.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let whole = format!("{name}.new-{}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let write = || {
            let mut file = File::from(openat(&self.directory, &*whole, flags, Mode::RUSR | Mode::WUSR)?);
            file.write_all(text.as_bytes())?;
            Ok(renameat(self.directory.as_fd(), &*whole, self.directory.as_fd(), name)?)
        };
        write().map_err(|error: io::Error| {
            let shown = self.path(name);
            format!("{} cannot be written: {}; STATE_DIRECTORY names another place", shown.display(), told(&error))
        })
    }
}

/// Where somebody else decides what is on the way there, what is kept there would be theirs.
fn vet_way(path: &Path, edge: Option<&User>) -> Result<(), String> {
    match paths::stranger_on_the_way(path) {
        Ok(Some((directory, uid))) if edge.is_none_or(|edge| edge.uid != uid) => Err(format!(
            "the state directory {} is not used: {} belongs to the user '{}', who could put other keys in the place of \
             hallway's; STATE_DIRECTORY names another place",
            path.display(),
            directory.display(),
            name_of(uid)
        )),
        _ => Ok(()),
    }
}

/// Who may have made a directory.
#[derive(Clone, Copy)]
enum Makers {
    /// Who this is, and no other.
    Own,
    /// Who this is, the edge's user, and root, which may have put it there for somebody (a unit's `StateDirectory`, a
    /// volume); where this is root, whoever else the way there leads to (see `vet_way`).
    Operator(Option<u32>),
}

/// A directory of keys is of who uses it, and nobody else may write to it.
fn vet(path: &Path, found: &Stat, makers: Makers) -> Result<(), String> {
    let shown = path.display();
    let own = rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Err(format!("{shown} is no directory; STATE_DIRECTORY names another place"));
    }
    let may_be = match makers {
        Makers::Own => false,
        Makers::Operator(edge) => own == 0 || found.st_uid == 0 || edge == Some(found.st_uid),
    };
    if found.st_uid != own && !may_be {
        return Err(format!(
            "{shown} was made by the user '{}': no keys are taken from there, and none are put there; take it away, or have \
             STATE_DIRECTORY name another place",
            name_of(found.st_uid)
        ));
    }
    // As in /tmp, nobody takes away there what is another's.
    if found.st_mode & 0o022 != 0 && found.st_mode & 0o1000 == 0 {
        return Err(format!(
            "others than its owner may write to {shown}; write: chmod 700 {shown}, or have STATE_DIRECTORY name a directory in it"
        ));
    }
    Ok(())
}
