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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{on_loop, stored};

    #[test]
    fn a_part_is_read_from_its_beginning_and_never_beyond_its_end() {
        on_loop(async |event_loop| {
            let bytes: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
            let file = stored(&event_loop, &bytes);
            for (part, expected) in [(0..5, 0..5), (99_990..99_995, 99_990..99_995), (10..100_000, 10..10 + 65_536)] {
                assert!(read_part(&file, part).await.unwrap() == bytes[expected]);
            }
        });
    }

    #[test]
    fn a_file_that_ends_too_early_or_cannot_be_read_is_a_fault() {
        on_loop(async |event_loop| {
            let file = stored(&event_loop, b"abc");
            assert_eq!(read_part(&file, 2..9).await.unwrap(), b"c");
            let failed = read_part(&file, 3..9).await;
            assert_eq!(failed, Err(Fault::Internal("A file became shorter while it was sent.")));
            let folder = std::fs::File::open("/").unwrap();
            let folder = Arc::new(StoredFile::new(folder, (event_loop.spool.threads().clone(), true)));
            assert_eq!(read_part(&folder, 0..1).await, Err(Fault::Internal("A file could not be read.")));
        });
    }
}
