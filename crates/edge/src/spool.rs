//! In:     a request body, piece by piece.
//! Out:    the whole of it, in memory or in a file without a name.
//! Actors: the task of the connection; threads for files write what is past the memory limit.
//! Never:  does one body hold more memory than the limit and one batch.

use crate::exchange::Wire;
use crate::voice::Voice;
use hallway_core::Fault;
use hallway_core::plan::Limits;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes gathered before a thread writes them to the file.
const BATCH_BYTES: usize = 64 * 1024;

/// Between two words on spool files that cannot be made or written.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// A whole request body.
pub(crate) enum Spooled {
    Memory(Vec<u8>),
    File { file: OwnedFd, bytes: u64 },
}

/// Reads a whole body (RFC 9112, 6), at most `body_bytes_max` of it.
pub(crate) async fn gather<W: Wire>(wire: &mut W, limits: &Limits) -> Result<Spooled, Fault> {
    let mut batch = Vec::new();
    let mut spool: Option<(File, u64)> = None;
    while wire.read_body(&mut batch).await? {
        let spooled = spool.as_ref().map_or(0, |(_, bytes)| *bytes);
        if spooled + batch.len() as u64 > limits.body_bytes_max {
            return Err(Fault::BodyTooLarge);
        }
        let room = if spool.is_some() { BATCH_BYTES } else { limits.body_memory_bytes };
        if batch.len() > room {
            let (file, written) = append(spool.take(), std::mem::take(&mut batch)).await?;
            (batch, spool) = (written.0, Some((file, spooled + written.1)));
        }
    }
    let Some((file, bytes)) = spool else {
        return Ok(Spooled::Memory(batch));
    };
    let last = batch.len() as u64;
    let (file, _) = append(Some((file, bytes)), batch).await?;
    Ok(Spooled::File { file: file.into(), bytes: bytes + last })
}

const CANNOT_SPOOL: Fault = Fault::Internal("The request body could not be written to a spool file.");

/// Writes a batch on a thread for files; gives back the file, the empty batch and its former length.
async fn append(spool: Option<(File, u64)>, mut batch: Vec<u8>) -> Result<(File, (Vec<u8>, u64)), Fault> {
    let write = move || -> std::io::Result<(File, (Vec<u8>, u64))> {
        let mut file = match spool {
            Some((file, _)) => file,
            None => nameless_file()?,
        };
        if let Err(error) = file.write_all(&batch) {
            tell_unwritten(&file, &error);
            return Err(error);
        }
        let bytes = batch.len() as u64;
        batch.clear();
        Ok((file, (batch, bytes)))
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(Ok(written)) => Ok(written),
        _ => Err(CANNOT_SPOOL),
    }
}

/// A file that nobody else can open and that is gone when its last descriptor is closed, in the
/// first directory that has room for one.
pub(crate) fn nameless_file() -> std::io::Result<File> {
    nameless_file_among(spool_directories()).inspect_err(|error| tell_unusable("no spool file can be made", error))
}

fn nameless_file_among(directories: impl Iterator<Item = PathBuf>) -> std::io::Result<File> {
    let mut failed = Vec::new();
    for directory in directories {
        match nameless_file_in(&directory) {
            Ok(file) => return Ok(file),
            Err(error) => failed.push(format!("{}: {}", directory.display(), std::io::Error::from(error))),
        }
    }
    Err(std::io::Error::other(failed.join("; ")))
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
pub(crate) fn tell_unwritten(file: &File, error: &std::io::Error) {
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
