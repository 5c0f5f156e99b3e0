//! In:     descriptors that workers of an app send beside their lanes: of anything.
//! Out:    plain files, to the event loops whose answers they are for; all else closed.
//! Actors: one thread for each app takes them; further ones read and close them.
//! Never:  does an event loop take, look at or close what a worker has sent: each of these may wait for as long as the
//!         worker likes. Even a descriptor that is not taken is closed by whoever reads or closes the socket.

use hallway_net::file::pools::{FilePools, mount_of};
use hallway_net::file::stored::StoredFile;

use crate::handlers::app::siblings::{SentFile, Siblings};
use hallway_net::runtime::thread_pool::ThreadPool;
use hallway_ring::receive_file;
use rustix::fs::{FileType, fstat};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Answers of one app that wait for their files, at most.
const WAITING_MAX: usize = 1024;
/// Files of one worker that have come before the frames that say so.
const EARLY_MAX: usize = 64;
/// What is not touched of a stack takes no memory.
const STACK_BYTES: usize = 256 * 1024;

/// The way to the thread.
pub(crate) struct SentFiles {
    tasks: Sender<Task>,
    waiting: Arc<AtomicUsize>,
}

enum Task {
    Take {
        socket: Arc<WorkerSocket>,
        ticket: u64,
    },
    /// The edge's end of a worker's socket, with all that is still in it.
    Close {
        worker: u32,
        socket: OwnedFd,
    },
}

impl SentFiles {
    /// Starts the thread, which ends with this value and all that it lent.
    ///
    /// # Errors
    /// Those of starting a thread.
    pub(super) fn start(
        siblings: Arc<dyn Siblings>,
        threads: ThreadPool,
        pools: Arc<FilePools>,
    ) -> io::Result<SentFiles> {
        let (tasks, queue) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let taker = Taker { siblings, threads, pools, waiting: waiting.clone(), early: HashMap::new() };
        let builder = std::thread::Builder::new().name("sent files".into()).stack_size(STACK_BYTES);
        builder.spawn(move || taker.work(&queue))?;
        Ok(SentFiles { tasks, waiting })
    }

    /// Has the file of an answer taken; the event loop that owns the ticket is told. `false` where too many wait
    /// already, because something that the app sent cannot be closed.
    pub(super) fn take(&self, socket: Arc<WorkerSocket>, ticket: u64) -> bool {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.tasks.send(Task::Take { socket, ticket }).is_ok()
    }
}

/// The edge's end of the socket beside a worker's lanes.
pub(super) struct WorkerSocket {
    worker: u32,
    socket: Option<OwnedFd>,
    tasks: Sender<Task>,
}

impl WorkerSocket {
    pub(super) fn new(worker: u32, socket: OwnedFd, files: &SentFiles) -> WorkerSocket {
        WorkerSocket { worker, socket: Some(socket), tasks: files.tasks.clone() }
    }
}

impl AsFd for WorkerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // There is a socket until it is dropped.
        self.socket.as_ref().map_or(rustix::fs::CWD, AsFd::as_fd)
    }
}

impl Drop for WorkerSocket {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            let _ = self.tasks.send(Task::Close { worker: self.worker, socket });
        }
    }
}

/// Closes the socket of a worker that nobody will serve, wherever that may take long.
pub(crate) fn close_apart(socket: OwnedFd) {
    // Without a thread it stays open.
    let kept = std::mem::ManuallyDrop::new(socket);
    let _ = std::thread::Builder::new()
        .name("sent files".into())
        .stack_size(STACK_BYTES)
        .spawn(move || drop(std::mem::ManuallyDrop::into_inner(kept)));
}

/// The thread's own.
struct Taker {
    siblings: Arc<dyn Siblings>,
    /// Where answers read these files, and where they are closed.
    threads: ThreadPool,
    pools: Arc<FilePools>,
    waiting: Arc<AtomicUsize>,
    /// By the numbers of the workers: files, by the tickets of their answers.
    early: HashMap<u32, Vec<(u64, Option<OwnedFd>)>>,
}

impl Taker {
    fn work(mut self, queue: &Receiver<Task>) {
        for task in queue {
            match task {
                Task::Take { socket, ticket } => {
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                    let taken = self.take(&socket, ticket);
                    self.siblings.file(ticket, taken);
                }
                Task::Close { worker, socket } => {
                    self.early.remove(&worker);
                    drop(socket);
                }
            }
        }
    }

    /// The file that the worker sent for this answer before it said so in its lane. Those of other answers, which other
    /// event loops ask for, are kept for them.
    fn take(&mut self, socket: &WorkerSocket, ticket: u64) -> SentFile {
        let early = self.early.entry(socket.worker).or_default();
        while early.len() < EARLY_MAX
            && let Some(received) = receive_file(socket)
        {
            early.push(received);
        }
        let Some(at) = early.iter().position(|(number, _)| *number == ticket) else {
            return SentFile::Nothing(socket.worker);
        };
        let (_, Some(file)) = early.swap_remove(at) else { return SentFile::Lost };
        match fstat(&file) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                let mount = mount_of(&file).unwrap_or(0);
                let file = StoredFile::of_worker(File::from(file), mount, &self.pools, &self.threads);
                SentFile::Plain(Arc::new(file), u64::try_from(stat.st_size).unwrap_or(0))
            }
            _ => SentFile::Nothing(socket.worker),
        }
    }
}
