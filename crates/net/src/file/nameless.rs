//! Files without names, for what does not fit into memory.
//!
//! In:     the directories where they may be made.
//! Out:    files that nobody else can open, and that are gone when they are closed.
//! Actors: threads for spool files.
//! Never:  stays a name in a directory, or a full disk unsaid.

use crate::runtime::console::Voice;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two words on spool files that cannot be made or written.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// Writes all of it; tells the operator where that cannot be.
pub fn write_at(file: impl AsFd, mut bytes: &[u8], mut at: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(&file, bytes, at) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => (bytes, at) = (&bytes[written..], at + written as u64),
            Err(Errno::INTR) => {}
            Err(error) => {
                tell_unwritten(file.as_fd(), &error.into());
                return Err(error.into());
            }
        }
    }
    Ok(())
}

/// Whether there may be room again later.
pub fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Bytes that are free where spool files are made; nothing where there is no such place.
pub fn free_bytes() -> Option<u64> {
    let file = spool_directories().find_map(|directory| nameless_file_in(&directory).ok())?;
    let free = rustix::fs::fstatvfs(file).ok()?;
    Some(free.f_bavail.saturating_mul(free.f_frsize))
}

/// A file that nobody else can open and that is gone when its last descriptor is closed, in the
/// first directory that has room for one.
pub fn nameless_file() -> std::io::Result<File> {
    nameless_file_among(spool_directories()).inspect_err(|error| tell_unusable("no spool file can be made", error))
}

fn nameless_file_among(directories: impl Iterator<Item = PathBuf>) -> std::io::Result<File> {
    let (mut failed, mut kind) = (Vec::new(), ErrorKind::Other);
    for directory in directories {
        match nameless_file_in(&directory) {
            Ok(file) => return Ok(file),
            Err(error) => {
                let error = Error::from(error);
                kind = if is_full(&error) { error.kind() } else { kind };
                failed.push(format!("{}: {error}", directory.display()));
            }
        }
    }
    Err(Error::new(kind, failed.join("; ")))
}

/// Where spool files are made, in this order.
fn spool_directories() -> impl Iterator<Item = PathBuf> {
    let given = std::env::var_os("TMPDIR").filter(|given| !given.is_empty()).map(PathBuf::from);
    given.into_iter().chain(["/var/tmp", "/tmp"].map(PathBuf::from))
}

/// What is wrong with the directories of spool files: with the one that is named, or with all.
pub fn doubt_spool_directories() -> Option<String> {
    doubt_directories(spool_directories())
}

fn doubt_directories(directories: impl Iterator<Item = PathBuf>) -> Option<String> {
    let found: Vec<(PathBuf, Option<Errno>)> = directories
        .map(|directory| {
            let made = nameless_file_in(&directory);
            (directory, made.err())
        })
        .collect();
    let is_named = found.len() > 2 && found[0].1.is_some();
    let are_all_bad = found.iter().all(|(_, error)| error.is_some());
    let bad = found.iter().filter_map(|(directory, error)| Some((directory, (*error)?)));
    let bad: Vec<String> =
        bad.map(|(directory, error)| format!("{}: {}", directory.display(), std::io::Error::from(error))).collect();
    let mend = "name a directory that can be written with TMPDIR";
    match (are_all_bad, is_named) {
        (true, _) => {
            Some(format!("no spool file can be made for long bodies and slow clients ({}); {mend}", bad.join("; ")))
        }
        (false, true) => Some(format!("TMPDIR cannot be used for spool files ({}); others are taken", bad[0])),
        _ => None,
    }
}

/// Tells which directory has no room.
fn tell_unwritten(file: BorrowedFd<'_>, error: &std::io::Error) {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default();
    tell_unusable(&format!("the spool file {} cannot be written", path.display()), error);
}

/// Tells the operator, once in a minute at most: every long body would say the same.
fn tell_unusable(what: &str, error: &std::io::Error) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.is_none_or(|at| at.elapsed() > TOLD_AGAIN) {
        *told = Some(Instant::now());
        Voice::of_process().say(&format!("{what}: {error}"));
    }
}

fn nameless_file_in(directory: &Path) -> rustix::io::Result<File> {
    let (flags, mode) = (OFlags::RDWR | OFlags::CLOEXEC | OFlags::EXCL, Mode::RUSR | Mode::WUSR);
    match rustix::fs::open(directory, flags | OFlags::TMPFILE, mode) {
        // Not every file system has files without a name: then it loses its name at once.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => {
            static COUNT: AtomicU64 = AtomicU64::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!(".hallway-spool-{}-{number}", std::process::id()));
            let file = rustix::fs::open(&path, flags | OFlags::CREATE, mode)?;
            rustix::fs::unlink(&path)?;
            Ok(File::from(file))
        }
        opened => Ok(File::from(opened?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_directory_is_named_with_what_is_wrong_with_it() {
        let bad = || ["/no/such/directory", "/dev/null"].map(PathBuf::from).into_iter();
        let said = nameless_file_among(bad()).unwrap_err().to_string();
        let (none, file) = ("No such file or directory (os error 2)", "Not a directory (os error 20)");
        assert_eq!(said, format!("/no/such/directory: {none}; /dev/null: {file}"));
        let doubt = doubt_directories(bad()).unwrap();
        assert!(doubt.starts_with("no spool file can be made") && doubt.contains(&said), "{doubt}");
        let usable = || std::iter::once(std::env::temp_dir());
        assert!(nameless_file_among(bad().chain(usable())).is_ok());
        let doubt = doubt_directories(bad().chain(usable())).unwrap();
        assert!(
            doubt.contains(&format!("TMPDIR cannot be used for spool files (/no/such/directory: {none})")),
            "{doubt}"
        );
        assert_eq!(doubt_directories(usable()), None);
    }
}
