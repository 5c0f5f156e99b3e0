//! In:     pieces of an answer that its client has not taken yet.
//! Out:    the same from a nameless file, in their order.
//! Actors: threads for files.
//! Never:  does one answer take more of the disk than the limit, or is a byte read before it is written.

use crate::spool::{nameless_file, tell_unwritten};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes of one answer in its file; when all are read, it begins anew.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The file of one answer, made when it is first needed.
#[derive(Default)]
pub(crate) struct Overflow {
    file: Option<Arc<File>>,
    read_bytes: u64,
    written_bytes: u64,
    is_writing: bool,
    /// There is no file to be had: the disk is full, or there is no directory.
    is_unusable: bool,
}

/// A write that is to be done.
pub(crate) struct Writing {
    file: Option<Arc<File>>,
    at: u64,
    batch: Vec<u8>,
}

/// A read that is to be done.
pub(crate) struct Reading {
    file: Option<Arc<File>>,
    at: u64,
    bytes: u64,
}

impl Overflow {
    /// Whether nothing is in the file, or on its way into it.
    pub(crate) fn is_empty(&self) -> bool {
        self.unread_bytes() == 0 && !self.is_writing
    }

    /// Bytes that can be read.
    pub(crate) fn unread_bytes(&self) -> u64 {
        self.written_bytes - self.read_bytes
    }

    /// Begins to write a batch behind what is there; gives it back where there is no room for it.
    pub(crate) fn writing(&mut self, batch: Vec<u8>) -> Result<Writing, Vec<u8>> {
        if self.unread_bytes() == 0 && !self.is_writing {
            // All was read: from the beginning again, so that the file does not grow for ever.
            (self.read_bytes, self.written_bytes) = (0, 0);
        }
        let has_room = self.written_bytes + batch.len() as u64 <= FILE_BYTES_MAX;
        if batch.is_empty() || !has_room || self.is_unusable || self.is_writing {
            return Err(batch);
        }
        self.is_writing = true;
        Ok(Writing { file: self.file.clone(), at: self.written_bytes, batch })
    }

    /// A write of this many bytes has ended, into this file; into none, badly.
    pub(crate) fn note_written(&mut self, file: Option<Arc<File>>, bytes: usize) {
        self.is_writing = false;
        match file {
            Some(file) => {
                self.file = Some(file);
                self.written_bytes += bytes as u64;
            }
            None => self.is_unusable = true,
        }
    }

    /// The next piece to read, of at most this length.
    pub(crate) fn reading(&self, bytes_max: u64) -> Reading {
        Reading { file: self.file.clone(), at: self.read_bytes, bytes: self.unread_bytes().min(bytes_max) }
    }

    /// A read has ended.
    pub(crate) fn note_read(&mut self, bytes: usize) {
        self.read_bytes += bytes as u64;
    }
}

impl Writing {
    /// Writes, into a new file if there is none yet; gives the batch back where it could not.
    pub(crate) async fn write(self) -> Result<Arc<File>, Vec<u8>> {
        let Writing { file, at, batch } = self;
        let write = move || {
            let file = file.map_or_else(|| nameless_file().map(Arc::new), Ok);
            let written = |file: Arc<File>| match file.write_all_at(&batch, at) {
                Ok(()) => Ok(file),
                Err(error) => {
                    tell_unwritten(&file, &error);
                    Err(error)
                }
            };
            match file.and_then(written) {
                Ok(file) => Ok(file),
                Err(_) => Err(batch),
            }
        };
        // A panic in that thread ends the process, so the batch is never lost this way.
        tokio::task::spawn_blocking(write).await.unwrap_or(Err(Vec::new()))
    }
}

impl Reading {
    pub(crate) async fn read(self) -> io::Result<Vec<u8>> {
        let Reading { file: Some(file), at, bytes } = self else { return Err(io::ErrorKind::NotFound.into()) };
        let read = move || {
            let mut piece = vec![0; bytes as usize];
            file.read_exact_at(&mut piece, at).map(|()| piece)
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    }
}
