//! In:     a file, a part of it.
//! Out:    the first bytes of the part.
//! Actors: the event loop, for what the kernel has in memory; threads for files, for the rest.
//! Never:  does the event loop wait for a disk, or a short file pass for a whole one.

use crate::file::stored::StoredFile;
use hallway_core::Fault;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that are read at a time.
const READ_BYTES: u64 = 64 * 1024;

/// Some bytes from the beginning of a part that is not empty, at least one.
///
/// # Errors
/// 500 where the file is shorter than that, or cannot be read; 504 where that takes too long.
pub async fn read_part(file: &Arc<StoredFile>, part: Range<u64>) -> Result<Vec<u8>, Fault> {
    const FAILED: Fault = Fault::Internal("A file could not be read.");
    let bytes = (part.end - part.start).min(READ_BYTES) as usize;
    let now = read(file, part.start, bytes, ReadWriteFlags::NOWAIT);
    let bytes = match now {
        // It would have to wait, or the file system cannot say.
        Err(Errno::AGAIN | Errno::OPNOTSUPP) => {
            let own = file.clone();
            let read = move || read(&own, part.start, bytes, ReadWriteFlags::empty());
            file.threads().run(read).await.map_err(Fault::from)?.map_err(|_| FAILED)?
        }
        read => read.map_err(|_| FAILED)?,
    };
    if bytes.is_empty() { Err(Fault::Internal("A file became shorter while it was sent.")) } else { Ok(bytes) }
}

fn read(file: &StoredFile, at: u64, bytes: usize, flags: ReadWriteFlags) -> Result<Vec<u8>, Errno> {
    let mut room = vec![0; bytes];
    let read = preadv2(file, &mut [IoSliceMut::new(&mut room)], at, flags)?;
    room.truncate(read);
    Ok(room)
}
