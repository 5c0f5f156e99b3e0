//! In:     a request body, piece by piece.
//! Out:    the whole of it, in memory or in a file without a name.
//! Actors: the task of the connection; threads for files write what is past the memory limit.
//! Never:  does one body hold more memory than the limit and one batch.

use crate::exchange::Wire;
use crate::files::StoredFile;
use crate::spool_room::{Room, Spool};
use crate::voice::Voice;
use hallway_core::Fault;
use hallway_core::plan::Limits;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes gathered before a thread writes them to the file.
const BATCH_BYTES: usize = 64 * 1024;

/// Between two words on spool files that cannot be made or written.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// A whole request body.
pub(crate) enum Spooled {
    Memory(Vec<u8>),
    File { file: Arc<StoredFile>, bytes: u64 },
}

/// Reads a whole body (RFC 9112, 6), at most `body_bytes_max` of it.
pub(crate) async fn gather<W: Wire>(spool: &Arc<Spool>, wire: &mut W, limits: &Limits) -> Result<Spooled, Fault> {
    let mut batch = Vec::new();
    let mut file: Option<SpoolFile> = None;
    while wire.read_body(&mut batch).await? {
        let spooled = file.as_ref().map_or(0, |file| file.bytes);
        if spooled + batch.len() as u64 > limits.body_bytes_max {
            return Err(Fault::BodyTooLarge);
        }
        let room = if file.is_some() { BATCH_BYTES } else { limits.body_memory_bytes };
        if batch.len() > room {
            batch = append(spool, &mut file, batch).await?;
        }
    }
    if file.is_some() {
        batch = append(spool, &mut file, batch).await?;
    }
    Ok(match file {
        None => Spooled::Memory(batch),
        Some(SpoolFile { file, bytes, .. }) => Spooled::File { file, bytes },
    })
}

/// A body that is being written.
struct SpoolFile {
    file: Arc<StoredFile>,
    room: Arc<Room>,
    bytes: u64,
}

/// Writes a batch on a thread; gives it back empty.
async fn append(spool: &Arc<Spool>, file: &mut Option<SpoolFile>, mut batch: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let room = file.as_ref().map_or_else(|| spool.room(), |file| file.room.clone());
    if !room.grow(batch.len() as u64) {
        spool.note_refused();
        return Err(Fault::SpoolFull);
    }
    let (known, threads) = (file.as_ref().map(|file| (file.file.clone(), file.bytes)), spool.threads().clone());
    let (bytes, own) = (batch.len() as u64, room.clone());
    let write = move || -> std::io::Result<(Arc<StoredFile>, Vec<u8>)> {
        let (file, at) = match known {
            Some(known) => known,
            None => (Arc::new(StoredFile::of_spool(nameless_file()?, &threads, own)), 0),
        };
        write_at(&file, &batch, at)?;
        batch.clear();
        Ok((file, batch))
    };
    let (written, batch) = match spool.threads().run(write).await {
        Ok(Ok(written)) => written,
        // A disk that is full has room again later.
        Ok(Err(error)) if is_full(&error) => return Err(Fault::SpoolFull),
        Ok(Err(_)) => return Err(Fault::Internal("The request body could not be written to a spool file.")),
        Err(_) => return Err(Fault::SpoolFull),
    };
    let file = file.get_or_insert(SpoolFile { file: written, room, bytes: 0 });
    file.bytes += bytes;
    Ok(batch)
}

/// Writes all of it; tells the operator where that cannot be.
pub(crate) fn write_at(file: &StoredFile, mut bytes: &[u8], mut at: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, at) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => (bytes, at) = (&bytes[written..], at + written as u64),
            Err(Errno::INTR) => {}
            Err(error) => {
                tell_unwritten(file, &error.into());
                return Err(error.into());
            }
        }
    }
    Ok(())
}

fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Bytes that are free where spool files are made; nothing where there is no such place.
pub(crate) fn free_bytes() -> Option<u64> {
    let file = spool_directories().find_map(|directory| nameless_file_in(&directory).ok())?;
    let free = rustix::fs::fstatvfs(file).ok()?;
    Some(free.f_bavail.saturating_mul(free.f_frsize))
}

/// A file that nobody else can open and that is gone when its last descriptor is closed, in the
/// first directory that has room for one.
pub(crate) fn nameless_file() -> std::io::Result<File> {
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
fn tell_unwritten(file: &StoredFile, error: &std::io::Error) {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())).unwrap_or_default();
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
