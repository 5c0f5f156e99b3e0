//! In:     an open file, the threads that may wait for it.
//! Out:    the same for as long as anybody needs it, then closed.
//! Actors: the threads close it where that may wait: a file system may have to say goodbye, or to free much.
//! Never:  does an event loop close a file that it would have to wait for.

use crate::file::pools::FilePools;
use crate::file::seen::Seen;
use crate::runtime::thread_pool::ThreadPool;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

/// A file that is read by an event loop, or by threads on its behalf.
pub struct StoredFile {
    file: Option<File>,
    threads: ThreadPool,
    is_local: bool,
    closes_apart: bool,
    /// What is done once it is closed.
    after: Option<Box<dyn FnOnce() + Send + Sync>>,
    /// How far it was found in memory.
    pub seen: Seen,
}

impl StoredFile {
    /// A file of a directory; with `is_local` it is on a disk of this machine.
    pub fn new(file: File, (threads, is_local): (ThreadPool, bool)) -> StoredFile {
        StoredFile { file: Some(file), threads, is_local, closes_apart: !is_local, after: None, seen: Seen::default() }
    }

    /// A file that a worker sent; these are the threads of its app.
    pub fn of_worker(file: File, mount: u64, pools: &FilePools, threads: &ThreadPool) -> StoredFile {
        let (file, threads, is_local) = (Some(file), threads.clone(), pools.is_local(mount));
        StoredFile { file, threads, is_local, closes_apart: true, after: None, seen: Seen::default() }
    }

    /// A spool file; what is done once it is closed.
    pub fn of_spool(file: File, threads: &ThreadPool, after: impl FnOnce() + Send + Sync + 'static) -> StoredFile {
        let (file, threads) = (Some(file), threads.clone());
        StoredFile {
            file,
            threads,
            is_local: true,
            closes_apart: true,
            after: Some(Box::new(after)),
            seen: Seen::default(),
        }
    }

    /// The threads that may wait for it.
    pub fn threads(&self) -> &ThreadPool {
        &self.threads
    }

    /// Whether it waits for a disk of this machine at most, and not at all for what is in memory.
    pub fn is_local(&self) -> bool {
        self.is_local
    }
}

impl AsFd for StoredFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // There is a file until it is dropped.
        self.file.as_ref().map_or(rustix::fs::CWD, AsFd::as_fd)
    }
}

impl Drop for StoredFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take().filter(|_| self.closes_apart) {
            let after = self.after.take();
            self.threads.run_apart(move || {
                drop(file);
                after.into_iter().for_each(|after| after());
            });
        }
    }
}

impl std::fmt::Debug for StoredFile {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "StoredFile({:?})", self.file)
    }
}
