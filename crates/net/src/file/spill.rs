//! In:     pieces of an answer that its client has not taken yet.
//! Out:    the same from a nameless file, in their order.
//! Actors: threads for spool files.
//! Never:  does one answer take more of the disk than the limit, or is a byte read before it is written.

use crate::file::nameless::{nameless_file, write_at};
use crate::file::spool::{Reader, Spool};
use crate::file::stored::StoredFile;
use rustix::fs::{FallocateFlags, fallocate};
use std::io;
use std::sync::Arc;

/// Bytes of one answer in its file.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes that were read are given back to the disk so many at a time.
const FREED_BYTES: u64 = 1024 * 1024;

/// The file of one answer, made when it is first needed.
#[derive(Default)]
pub struct Overflow {
    reader: Option<Arc<Reader>>,
    read_bytes: u64,
    written_bytes: u64,
    /// The first of these bytes of the file are no longer on the disk.
    freed_bytes: u64,
    is_writing: bool,
    /// There is no file to be had: the disk is full, or there is no directory.
    is_unusable: bool,
}

/// A write that is to be done.
pub struct Writing {
    reader: Arc<Reader>,
    spool: Arc<Spool>,
    at: u64,
    batch: Vec<u8>,
}

/// A read that is to be done.
pub struct Reading {
    file: Option<Arc<StoredFile>>,
    at: u64,
    bytes: u64,
}

/// Whether there is room for a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Space {
    /// It was taken.
    Taken,
    /// All spool files together are as large as they may be.
    SpoolFull,
    /// This one is.
    FileFull,
    /// There is no file to be had.
    NoFile,
}

impl Overflow {
    /// Whether nothing is in the file, or on its way into it.
    pub fn is_empty(&self) -> bool {
        self.unread_bytes() == 0 && !self.is_writing
    }

    /// Bytes that can be read.
    pub fn unread_bytes(&self) -> u64 {
        self.written_bytes - self.read_bytes
    }

    /// Whether the answer was cut so that others have room.
    pub fn was_cut(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.was_cut())
    }

    /// Whether its client takes nothing, or next to nothing.
    pub fn is_slow(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.is_slow())
    }

    /// The client has taken so much, from wherever it was.
    pub fn note_taken(&self, bytes: usize) {
        if let Some(reader) = &self.reader {
            reader.note_taken(bytes);
        }
    }

    /// Takes room for a batch of so many bytes.
    pub fn reserve(&mut self, bytes: usize, spool: &Arc<Spool>) -> Space {
        let room = &self.reader.get_or_insert_with(|| spool.reader()).room;
        if self.is_unusable {
            return Space::NoFile;
        }
        if self.is_writing || bytes == 0 || room.bytes() + bytes as u64 > FILE_BYTES_MAX {
            return Space::FileFull;
        }
        if room.grow(bytes as u64) { Space::Taken } else { Space::SpoolFull }
    }

    /// Whether the spool has room for so many bytes now.
    pub fn has_space(&self, bytes: usize) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.room.could_grow(bytes as u64))
    }

    /// Begins to write a batch behind what is there, whose room was taken.
    pub fn writing(&mut self, batch: Vec<u8>, spool: &Arc<Spool>) -> Writing {
        self.is_writing = true;
        let reader = self.reader.get_or_insert_with(|| spool.reader()).clone();
        Writing { reader, spool: spool.clone(), at: self.written_bytes, batch }
    }

    /// A write of this many bytes has ended, well or badly.
    pub fn note_written(&mut self, bytes: usize, is_written: bool) {
        self.is_writing = false;
        match &self.reader {
            Some(_) if is_written => self.written_bytes += bytes as u64,
            reader => {
                self.is_unusable = true;
                reader.iter().for_each(|reader| reader.room.shrink(bytes as u64));
            }
        }
    }

    /// The next piece to read, of at most this length.
    pub fn reading(&self, bytes_max: u64) -> Reading {
        let file = self.reader.as_ref().and_then(|reader| reader.file());
        Reading { file, at: self.read_bytes, bytes: self.unread_bytes().min(bytes_max) }
    }

    /// A read has ended: what is no longer needed goes back to the disk, so that an answer that is taken as fast as it
    /// comes has no end by the size of its file.
    pub fn note_read(&mut self, bytes: usize) {
        self.read_bytes += bytes as u64;
        let (at, length) = (self.freed_bytes, self.read_bytes - self.freed_bytes);
        if length < FREED_BYTES {
            return;
        }
        let Some((reader, file)) = self.reader.as_ref().and_then(|reader| Some((reader, reader.file()?))) else {
            return;
        };
        self.freed_bytes = self.read_bytes;
        let room = reader.room.clone();
        let threads = file.threads().clone();
        threads.run_apart(move || {
            // Where the file system cannot, its bytes count until it is closed.
            if fallocate(&*file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, length).is_ok() {
                room.shrink(length);
            }
        });
    }
}

impl Drop for Overflow {
    fn drop(&mut self) {
        self.reader.iter().for_each(|reader| reader.end());
    }
}

impl Writing {
    /// Writes, into a new file if there is none yet; gives the batch back where that failed, and nothing where it is
    /// not known how it went.
    pub async fn write(self) -> Result<(), Option<Vec<u8>>> {
        let Writing { reader, spool, at, batch } = self;
        let threads = spool.threads().clone();
        let write = move || {
            let file = match reader.file() {
                Some(file) => Ok(file),
                None if reader.was_cut() => return Ok(()),
                None => nameless_file().map(|file| {
                    let room = reader.room.clone();
                    let file = Arc::new(StoredFile::of_spool(file, &threads, move || room.shrink(u64::MAX)));
                    reader.keep(file.clone());
                    file
                }),
            };
            match file.and_then(|file| write_at(&file, &batch, at)) {
                Ok(()) => Ok(()),
                Err(_) => Err(batch),
            }
        };
        spool.threads().run(write).await.map_err(|_| None)?.map_err(Some)
    }
}

impl Reading {
    /// Reads it, on a thread.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn read(self) -> io::Result<Vec<u8>> {
        let Reading { file: Some(file), at, bytes } = self else { return Err(io::ErrorKind::NotFound.into()) };
        let threads = file.threads().clone();
        let read = move || -> io::Result<Vec<u8>> {
            let mut piece = vec![0; bytes as usize];
            let mut read = 0;
            while read < piece.len() {
                match rustix::io::pread(&*file, &mut piece[read..], at + read as u64) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(more) => read += more,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(piece)
        };
        threads.run(read).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{on_loop, until};

    #[test]
    fn batches_are_read_in_the_order_in_which_they_were_written() {
        on_loop(async |_| {
            let (spool, mut file) = (Spool::new(1, Some(1000)), Overflow::default());
            for batch in [b"hello ".to_vec(), b"world".to_vec()] {
                let bytes = batch.len();
                assert_eq!(file.reserve(bytes, &spool), Space::Taken);
                let writing = file.writing(batch, &spool);
                assert_eq!(file.reserve(1, &spool), Space::FileFull, "one write at a time");
                assert!(!file.is_empty());
                writing.write().await.unwrap();
                file.note_written(bytes, true);
            }
            assert_eq!(file.unread_bytes(), 11);
            assert_eq!(file.reading(8).read().await.unwrap(), b"hello wo");
            file.note_read(8);
            assert_eq!(file.reading(8).read().await.unwrap(), b"rld");
            file.note_read(3);
            assert!(file.is_empty() && file.reserve(0, &spool) == Space::FileFull);
            drop(file);
            until(|| spool.status()["bytes"] == 0).await;
            assert_eq!(spool.status()["responses"], 0);
        });
    }

    #[test]
    fn a_write_that_failed_gives_its_room_back_and_is_not_tried_again() {
        let (spool, mut file) = (Spool::new(1, Some(1000)), Overflow::default());
        assert_eq!(file.reserve(700, &spool), Space::Taken);
        assert_eq!(Overflow::default().reserve(301, &spool), Space::SpoolFull);
        assert!(file.has_space(300) && !file.has_space(301));
        let _never_written = file.writing(vec![0; 700], &spool);
        file.note_written(700, false);
        assert_eq!(spool.status()["bytes"], 0);
        assert_eq!(file.reserve(1, &spool), Space::NoFile);
        assert!(file.is_empty());
    }

    #[test]
    fn a_file_has_an_end() {
        let (spool, mut file) = (Spool::new(1, Some(u64::MAX)), Overflow::default());
        assert_eq!(file.reserve(FILE_BYTES_MAX as usize, &spool), Space::Taken);
        assert_eq!(file.reserve(1, &spool), Space::FileFull);
    }

    #[test]
    fn an_answer_that_was_cut_gets_no_file_any_more() {
        on_loop(async |_| {
            let (spool, mut file) = (Spool::new(1, Some(1000)), Overflow::default());
            assert_eq!(file.reserve(5, &spool), Space::Taken);
            let writing = file.writing(b"hello".to_vec(), &spool);
            let reader = writing.reader.clone();
            drop(file);
            reader.end();
            writing.write().await.unwrap();
            // What was on its way when the answer ended is closed with it.
            drop(reader);
            until(|| spool.status()["bytes"] == 0).await;
        });
    }
}
