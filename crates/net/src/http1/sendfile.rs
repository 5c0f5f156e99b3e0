//! In:     a part of a file that an answer consists of.
//! Out:    the same on the connection, by the kernel's own hand.
//! Actors: the task of the connection; a thread for files brings in what is not in memory.
//! Never:  does the event loop wait for a disk, or a short file pass for a whole one.

use crate::file::read::read_part;
use crate::file::stored::StoredFile;
use crate::http1::connection::Connection;
use hallway_core::Fault;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that are looked for in memory, and sent, at a time.
const STRIDE_BYTES: u64 = 2 * 1024 * 1024;
/// A client that takes a stride in this time is fast.
const FAST_US: u64 = 100_000;
/// Bytes that a thread reads at a time to have them in memory.
const READ_BYTES: usize = 256 * 1024;

impl Connection {
    /// Writes `out`, then this part of the file; the client may pause for `write_timeout`.
    pub(super) async fn send_file(&mut self, file: &Arc<StoredFile>, range: Range<u64>) -> Result<(), Fault> {
        if range.is_empty() {
            return self.flush_with(b"", b"").await;
        }
        // What is not of a disk here may have to be asked for again, and the kernel's own hand would wait for that.
        if !self.takes_files() || !file.is_local() {
            return self.send_copy(file, range).await;
        }
        // The head and the first bytes of the file leave in one packet.
        self.flush_more().await?;
        let mut at = range.start;
        while at < range.end {
            let begun_us = self.now_us();
            let stride = range.end.min(at.saturating_add(STRIDE_BYTES));
            if !file.seen.is_fresh(stride, begun_us / 1000) {
                bring_in(file, at..stride).await?;
                file.seen.note(stride, begun_us / 1000);
            }
            while at < stride {
                let sent = self.send_from(file, at, (stride - at) as usize).await? as u64;
                if sent == 0 || sent > stride - at {
                    return Err(Fault::Internal("A file became shorter while it was sent."));
                }
                at += sent;
            }
            let is_fast = self.now_us().saturating_sub(begun_us) < FAST_US;
            if is_fast && stride < range.end {
                self.note_speed(true);
            }
        }
        Ok(())
    }

    /// The same where the bytes have to be encrypted on their way.
    async fn send_copy(&mut self, file: &Arc<StoredFile>, range: Range<u64>) -> Result<(), Fault> {
        let mut at = range.start;
        while at < range.end {
            let bytes = read_part(file, at..range.end).await?;
            at = at.saturating_add(bytes.len() as u64);
            self.flush_with(&bytes, b"").await?;
        }
        Ok(())
    }
}

/// Has a thread read what the kernel does not have in memory: `sendfile` would wait for it.
async fn bring_in(file: &Arc<StoredFile>, part: Range<u64>) -> Result<(), Fault> {
    let failed = Fault::Internal("A file could not be read.");
    // The last byte speaks for those before it: reading ahead fills gaps from the front.
    if is_in_memory(file, part.end - 1).map_err(|_| failed)? {
        return Ok(());
    }
    let own = file.clone();
    let read = move || -> Result<(), Errno> {
        let mut room = vec![0; READ_BYTES];
        let mut at = part.start;
        while at < part.end {
            match rustix::io::pread(&*own, &mut room[..], at)? {
                0 => return Ok(()),
                bytes => at = at.saturating_add(bytes as u64),
            }
        }
        Ok(())
    };
    file.threads().run(read).await.map_err(Fault::from)?.map_err(|_| failed)
}

fn is_in_memory(file: &StoredFile, at: u64) -> Result<bool, Errno> {
    let mut byte = [0];
    match preadv2(file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT) {
        // The end of a file that became shorter is found when it is sent.
        Ok(_) => Ok(true),
        Err(Errno::AGAIN | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error),
    }
}
