//! In:     a request body, piece by piece.
//! Out:    the whole of it, in memory or in a file without a name.
//! Actors: the task of the connection; threads for files write what is past the memory limit.
//! Never:  does one body hold more memory than the limit and one batch.

use crate::exchange::Wire;
use hallway_core::Fault;
use hallway_core::plan::Limits;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Bytes gathered before a thread writes them to the file.
const BATCH_BYTES: usize = 256 * 1024;

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
    let (mut file, _) = append(Some((file, bytes)), batch).await?;
    file.seek(SeekFrom::Start(0)).map_err(|_| CANNOT_SPOOL)?;
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

/// A file that nobody else can open and that is gone when its last descriptor is closed.
fn nameless_file() -> std::io::Result<File> {
    let directory = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::EXCL;
    Ok(File::from(rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR)?))
}
