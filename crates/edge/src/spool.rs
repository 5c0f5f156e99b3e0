//! In:     a request body, piece by piece.
//! Out:    the whole of it, in memory or in a file without a name.
//! Actors: the task of the connection; threads for files write what is past the memory limit.
//! Never:  does one body hold more memory than the limit and one batch.

use crate::exchange::Wire;
use hallway_core::Fault;
use hallway_core::plan::Limits;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes gathered before a thread writes them to the file.
const BATCH_BYTES: usize = 64 * 1024;

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
        file.write_all(&batch)?;
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
    let given = std::env::var_os("TMPDIR").map(PathBuf::from);
    let mut failed = std::io::Error::other("there is no directory for spool files");
    for directory in given.into_iter().chain(["/var/tmp", "/tmp"].map(PathBuf::from)) {
        match nameless_file_in(&directory) {
            Ok(file) => return Ok(file),
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
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
