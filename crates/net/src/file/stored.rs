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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::nameless::nameless_file;
    use std::sync::mpsc::channel;

    #[test]
    fn a_spool_file_is_closed_by_its_threads_and_what_follows_is_done_then() {
        let threads = ThreadPool::new("a".into(), 1, 1);
        let (done, is_done) = channel();
        let file = StoredFile::of_spool(nameless_file().unwrap(), &threads, move || {
            done.send(std::thread::current().id()).unwrap();
        });
        assert!(is_done.try_recv().is_err());
        drop(file);
        assert_ne!(is_done.recv().unwrap(), std::thread::current().id());
    }

    #[test]
    fn a_local_file_is_closed_at_once_and_one_of_a_network_apart() {
        for (is_local, expected) in [(true, true), (false, false)] {
            let threads = ThreadPool::new("a".into(), 1, 1);
            let (release, held) = channel::<()>();
            threads.run_apart(move || assert!(held.recv().is_err()));
            let (reader, writer) = std::io::pipe().unwrap();
            drop(StoredFile::new(File::from(std::os::fd::OwnedFd::from(writer)), (threads.clone(), is_local)));
            let mut asked = [rustix::event::PollFd::new(&reader, rustix::event::PollFlags::IN)];
            let no_time = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            let is_closed = rustix::event::poll(&mut asked, Some(&no_time)).unwrap() > 0;
            assert_eq!(is_closed, expected);
            drop(release);
        }
    }
}
