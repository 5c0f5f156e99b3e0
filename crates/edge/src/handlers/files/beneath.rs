//! In:     an open directory, a relative path.
//! Out:    what the path names, opened.
//! Actors: the kernel.
//! Never:  is anything opened for reading that lies outside of the directory, whatever symbolic links say.

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat, openat2, readlink};
use rustix::io::Errno;
use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Opens a path beneath a directory. With `cached` only what the kernel has in memory is looked at, and only on the
/// mount of the directory.
///
/// # Errors
/// Those of `openat2`: `EXDEV` for what lies outside, `EAGAIN` for what is not in memory, or not on that mount.
pub(super) fn open_beneath(root: &OwnedFd, path: &Path, flags: OFlags, cached: bool) -> rustix::io::Result<OwnedFd> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let how = if cached { how | ResolveFlags::NO_XDEV } else { how };
    match openat2(root, path, flags, Mode::empty(), resolve(how, cached)) {
        // It is outside, or on a mount that may hang: a thread sees which.
        Err(Errno::XDEV) if cached => Err(Errno::AGAIN),
        Err(Errno::NOSYS) if cached => Err(Errno::AGAIN),
        Err(Errno::NOSYS) => open_and_look(root.as_fd(), path, flags),
        opened => opened,
    }
}

/// Opens the directory itself.
///
/// # Errors
/// Those of `openat2`.
pub(super) fn open_root(directory: &Path, flags: OFlags, cached: bool) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(rustix::fs::CWD, directory, flags, Mode::empty(), resolve(ResolveFlags::empty(), cached)) {
        Err(Errno::NOSYS) if cached => Err(Errno::AGAIN),
        Err(Errno::NOSYS) => open(directory, flags, Mode::empty()),
        opened => opened,
    }
}

fn resolve(how: ResolveFlags, cached: bool) -> ResolveFlags {
    if cached { how | ResolveFlags::CACHED } else { how }
}

/// The same where there is no `openat2` (filters of system calls that do not know it, valgrind): what a path has led to
/// is looked at before anything is read of it.
fn open_and_look(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let found = openat(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if !place_of(&found)?.starts_with(place_of(root)?) {
        return Err(Errno::XDEV);
    }
    open(numbered(found.as_raw_fd()), flags, Mode::empty())
}

/// Where the kernel says that an open file is.
fn place_of(file: impl AsFd) -> rustix::io::Result<PathBuf> {
    let place = readlink(numbered(file.as_fd().as_raw_fd()), Vec::new())?;
    Ok(PathBuf::from(std::ffi::OsString::from(String::from_utf8(place.into_bytes()).map_err(|_| Errno::XDEV)?)))
}

fn numbered(number: impl Display) -> String {
    format!("/proc/self/fd/{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_lies_outside_is_not_opened_by_either_way() {
        let place = std::env::temp_dir().join(format!("hallway-beneath-{}", std::process::id()));
        let root = place.join("root");
        std::fs::create_dir_all(root.join("in")).unwrap();
        std::fs::write(root.join("in/file"), "in").unwrap();
        std::fs::write(place.join("secret"), "out").unwrap();
        symlink("in/file", root.join("link")).unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink("/etc/passwd", root.join("far")).unwrap();
        let directory = open_root(&root, OFlags::PATH, false).unwrap();
        let ways: [fn(&OwnedFd, &Path) -> rustix::io::Result<OwnedFd>; 2] = [
            |root, path| open_beneath(root, path, OFlags::RDONLY, false),
            |root, path| open_and_look(root.as_fd(), path, OFlags::RDONLY),
        ];
        for open in ways {
            for (path, is_there) in [("in/file", true), ("link", true), ("out", false), ("far", false), ("no", false)] {
                assert_eq!(open(&directory, Path::new(path)).is_ok(), is_there, "{path}");
            }
        }
        std::fs::remove_dir_all(place).unwrap();
    }
}
