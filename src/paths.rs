//! Opens what a configuration names, for a process that may be root.
//!
//! In:     paths that were written in a configuration.
//! Out:    open files; or whose directory it is that keeps them closed.
//! Actors: the file system, which root asks as the user who could have put something else in the place of a file.
//! Never:  does root open for somebody what they may not open themselves, or does an open wait for anybody.

pub(crate) mod names;

use crate::users::{by_number, name_of};
use hallway_core::plan::User;
use names::{LINKS_MAX, names_of};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat, openat2, readlinkat};
use rustix::io::Errno;
use rustix::thread::set_thread_groups;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The mode of a log that is made here: others do not read who asked for what.
const LOG_MODE: Mode = Mode::from_raw_mode(0o640);
/// The group of who has none (`nogroup`).
const NO_GROUP: u32 = 65_534;

/// Opens the file of a log, or makes it; only what a write never waits at.
///
/// # Errors
/// The system's; what is no file and no device.
pub(crate) fn open_log(path: &Path) -> io::Result<File> {
    // A pipe without a reader would hold up whoever opens it.
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open_as_owner(path, flags, LOG_MODE).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::NXIO) => io::Error::other(NO_FILE),
        _ => error,
    })?;
    match FileType::from_raw_mode(fstat(&file)?.st_mode) {
        FileType::RegularFile | FileType::CharacterDevice => Ok(file),
        _ => Err(io::Error::other(NO_FILE)),
    }
}

const NO_FILE: &str = "it is no file; what is not one may hold up the server";

/// Opens what is to be read. Whether that is a file is for the caller to see.
///
/// # Errors
/// The system's.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    open_as_owner(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())
}

/// Reads a file.
///
/// # Errors
/// The system's; what is no file, or is longer than `most`.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_to_read(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let (size, unit) = if most >> 20 > 0 { (most >> 20, "MiB") } else { (most >> 10, "KiB") };
        return Err(io::Error::other(format!("it is longer than {size} {unit}")));
    }
    Ok(bytes)
}

/// Reads a file of text.
///
/// # Errors
/// The same, and what is not UTF-8.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|error| io::Error::other(format!("byte {} is not UTF-8", error.utf8_error().valid_up_to())))
}

/// Does something with a name in a directory as the user who can change what stands there under that name; as who this is,
/// where nobody else can.
///
/// # Errors
/// Those of finding the directory.
pub(crate) fn as_owner_of_directory<T>(path: &Path, act: impl FnOnce() -> T) -> io::Result<T> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match walk(directory)? {
        Place::Theirs { owner, .. } => as_user(&owner, act),
        Place::Ours { at, .. } => match fstat(&at)?.st_uid {
            0 => Ok(act()),
            uid => as_user(&owner_by_number(uid), act),
        },
        Place::Plain => Ok(act()),
    }
}

/// The first directory on the way to a path in which somebody else than root decides what stands there, and who; nothing
/// where there is none.
///
/// # Errors
/// Those of following it.
pub(crate) fn stranger_on_the_way(path: &Path) -> io::Result<Option<(PathBuf, u32)>> {
    Ok(match walk(path)? {
        Place::Theirs { owner, directory, .. } => Some((directory, owner.uid)),
        Place::Ours { .. } | Place::Plain => None,
    })
}

/// Opens a directory.
///
/// # Errors
/// The system's.
pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    open_as_owner(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).map(OwnedFd::from)
}

/// The first of a list of paths: systemd names all directories of a unit in one variable (systemd.exec(5)).
pub(crate) fn first_of(list: PathBuf) -> PathBuf {
    let first = list.as_os_str().as_bytes().split(|byte| *byte == b':').find(|path| !path.is_empty());
    first.map_or_else(PathBuf::new, |path| OsStr::from_bytes(path).into())
}

/// Where a path leads to.
enum Place {
    /// This is not root: the kernel knows what it may open.
    Plain,
    /// A name in a directory that root alone decides about; whether others may add to it.
    Ours { at: OwnedFd, name: OsString, is_shared: bool },
    /// The rest of a path from a directory on in which somebody else decides what a name stands for.
    Theirs { at: OwnedFd, rest: PathBuf, owner: User, directory: PathBuf },
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Opens a path. Where somebody else decides what is there, root opens it as that user: a link to what that user may not
/// open leads nowhere, whoever could read it else (CVE-2016-1247).
fn open_as_owner(path: &Path, flags: OFlags, mode: Mode) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC;
    let file = match walk(path)? {
        Place::Plain => open(path, flags, mode)?,
        Place::Ours { at, name, is_shared } => {
            // What was not there a moment ago, in a directory in which others may make files, is made by us or by nobody.
            let once = if is_shared { OFlags::EXCL } else { OFlags::empty() };
            let flags = flags | OFlags::NOFOLLOW;
            let opened = match openat(&at, &name, flags & !OFlags::CREATE, mode) {
                Err(Errno::NOENT) if flags.contains(OFlags::CREATE) => openat(&at, &name, flags | once, mode)?,
                opened => opened?,
            };
            let found = fstat(&opened)?;
            if is_shared && (found.st_uid != 0 || has_other_name(&found)) {
                return Err(io::Error::other("somebody has put another file in its place just now"));
            }
            opened
        }
        Place::Theirs { at, rest, owner, directory } => {
            let resolve = ResolveFlags::NO_MAGICLINKS;
            let opened = as_user(&owner, || match openat2(&at, &rest, flags, mode, resolve) {
                Err(Errno::NOSYS) => openat(&at, &rest, flags, mode),
                opened => opened,
            })?;
            opened.map_err(|error| explain(error, &directory, &owner))?
        }
    };
    Ok(File::from(file))
}

/// Who may not open something, and why root does not for them.
fn explain(error: Errno, directory: &Path, owner: &User) -> io::Error {
    if !matches!(error, Errno::ACCESS | Errno::PERM) {
        return error.into();
    }
    let (directory, owner) = (directory.display(), name_of(owner.uid));
    io::Error::other(format!(
        "{directory} belongs to the user '{owner}', who may not open it; what others can replace is opened with their rights \
         only: let '{owner}' open it, or give {directory} to root"
    ))
}

/// Follows a path, link by link, to its last name; or to the first directory in which somebody else decides.
fn walk(path: &Path) -> io::Result<Place> {
    if !is_root() {
        return Ok(Place::Plain);
    }
    let root = || open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let mut todo = names_of(&std::path::absolute(path)?);
    let (mut at, mut way, mut links) = (root()?, PathBuf::from("/"), 0);
    loop {
        let directory = fstat(&at)?;
        let Some(name) = todo.pop_front() else {
            return Ok(Place::Ours { at, name: ".".into(), is_shared: false });
        };
        let theirs = |at: OwnedFd, todo: VecDeque<OsString>, uid: u32, directory: PathBuf| {
            let rest = std::iter::once(name.clone()).chain(todo).collect();
            Ok(Place::Theirs { at, rest, owner: owner_by_number(uid), directory })
        };
        if directory.st_uid != 0 {
            return theirs(at, todo, directory.st_uid, way);
        }
        let is_shared = is_shared(&directory);
        let child = match openat(&at, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) if todo.is_empty() => return Ok(Place::Ours { at, name, is_shared }),
            child => child?,
        };
        let found = fstat(&child)?;
        if is_shared && found.st_uid != 0 {
            return theirs(at, todo, found.st_uid, way.join(&name));
        }
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                way = if name == ".." { way.parent().unwrap_or(&way).to_owned() } else { way.join(&name) };
                at = child;
            }
            // Of root's own links others can make another name, wherever they may add to a directory.
            _ if is_shared && (has_other_name(&found) || !may_stay(&directory, &found)) => {
                let shown = way.join(&name);
                return Err(io::Error::other(format!(
                    "{} is a link, or has another name, in a directory that others may write to; write the path that it leads to",
                    shown.display()
                )));
            }
            FileType::Symlink => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP.into());
                }
                let target = PathBuf::from(OsString::from_vec(readlinkat(&child, "", Vec::new())?.into_bytes()));
                if target.is_absolute() {
                    (at, way) = (root()?, PathBuf::from("/"));
                }
                let mut first = names_of(&target);
                first.append(&mut todo);
                todo = first;
            }
            _ if todo.is_empty() => return Ok(Place::Ours { at, name, is_shared }),
            _ => return Err(Errno::NOTDIR.into()),
        }
    }
}

/// Whether others than its owner may make names in a directory. Also where its group is root's: with an access list the
/// bits of the group say what the most of those in it may do (acl(5)).
fn is_shared(directory: &Stat) -> bool {
    Mode::from_raw_mode(directory.st_mode).intersects(Mode::WOTH | Mode::WGRP)
}

/// Whether a file has a second name, which somebody may have given it (hard links).
fn has_other_name(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) != FileType::Directory && found.st_nlink != 1
}

/// Whether what stands in a directory that others may write to is what root put there: a file, or a link that nobody else
/// can move.
fn may_stay(directory: &Stat, found: &Stat) -> bool {
    let is_link = FileType::from_raw_mode(found.st_mode) == FileType::Symlink;
    !is_link || Mode::from_raw_mode(directory.st_mode).contains(Mode::SVTX)
}

/// Somebody as whom files are opened; one without an entry is in no group.
fn owner_by_number(uid: u32) -> User {
    by_number(uid, NO_GROUP)
}

/// Does something with the rights that this user has to files; where this is not root, with its own. Signals and traces
/// still need root's rights: the other numbers of this thread stay what they are.
///
/// # Errors
/// Where this process may not act as somebody else.
pub(crate) fn as_user<T>(user: &User, act: impl FnOnce() -> T) -> io::Result<T> {
    if !is_root() || user.uid == 0 {
        return Ok(act());
    }
    let failed = |what: &str| {
        let name = name_of(user.uid);
        let mend = "it needs CAP_SETUID and CAP_SETGID";
        io::Error::other(format!("this process may not open files as the user '{name}' ({what}); {mend}"))
    };
    let back = Back { groups: rustix::process::getgroups()? };
    let own: Vec<rustix::process::Gid> =
        user.groups.iter().map(|group| rustix::process::Gid::from_raw(*group)).collect();
    if let Err(error) = set_thread_groups(&own) {
        return Err(failed(&error.to_string()));
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    setfsgid(gid);
    setfsuid(uid);
    // They do not say whether they did it, but who it was before.
    let has_become = setfsuid(uid) == uid && setfsgid(gid) == gid;
    let outcome = has_become.then(act);
    drop(back);
    outcome.ok_or_else(|| failed("setfsuid"))
}

/// What this thread is again when it is over.
struct Back {
    groups: Vec<rustix::process::Gid>,
}

impl Drop for Back {
    fn drop(&mut self) {
        let root = Uid::from_raw(0);
        setfsuid(root);
        let own_group = Gid::from_raw(rustix::process::getegid().as_raw());
        setfsgid(own_group);
        // Where this process may not choose groups, they are what they were.
        let is_back =
            set_thread_groups(&self.groups).is_ok() || rustix::process::getgroups().is_ok_and(|now| now == self.groups);
        if !is_back || setfsuid(root) != root {
            // With somebody else's rights nothing that follows would do what it says.
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests;
