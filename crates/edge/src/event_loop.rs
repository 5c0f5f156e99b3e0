//! The tools of one event loop.
//!
//! In:     what the process lends each of its event loops.
//! Out:    clock, deadlines, buffers, ids, files, limits of connections: what every task on the loop may use.
//! Actors: the event loop that owns it; what several loops share is behind an `Arc`.
//! Never:  does it know a plan, an app or a pool, or hold anything of a single request.

use crate::buffers::BufferPool;
use crate::clock::Clock;
use crate::connections::ClientConnections;
use crate::deadline::Deadlines;
use crate::files::FilePools;
use crate::ids::RequestIds;
use crate::spool_room::Spool;
use crate::thread_pool::ThreadPool;
use crate::voice::Voice;
use hallway_core::plan::Limits;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;

/// What all event loops of the process have together.
#[derive(Clone)]
pub(crate) struct Commons {
    pub(crate) beginning: Instant,
    pub(crate) connections: Arc<ClientConnections>,
    /// Where files are read.
    pub(crate) file_threads: Arc<FilePools>,
    /// Where what does not fit into memory waits.
    pub(crate) spool: Arc<Spool>,
    /// What waits for name servers.
    pub(crate) name_threads: ThreadPool,
}

/// One event loop.
pub(crate) struct EventLoop {
    /// Which one it is, of all.
    pub(crate) thread: u16,
    pub(crate) clock: Clock,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) buffers: BufferPool,
    pub(crate) ids: RequestIds,
    /// What bounds clients now.
    pub(crate) limits: Cell<Limits>,
    pub(crate) connections: Arc<ClientConnections>,
    pub(crate) file_threads: Arc<FilePools>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) name_threads: ThreadPool,
    /// Bytes of all responses that wait in memory for their clients.
    pub(crate) response_bytes: Rc<Cell<usize>>,
    /// Set once: no further connection is taken, nor a further request on those that are open.
    pub(crate) draining: Cell<bool>,
    /// Set once: the graceful timeout is over, and what is still in flight is cut.
    pub(crate) cutting: Cell<bool>,
    /// How many requests were.
    pub(crate) cut: Cell<usize>,
    /// Told when a first connection comes, for the sweeper that slept until then.
    pub(crate) work: Notify,
}

impl EventLoop {
    /// One that begins on this thread.
    ///
    /// # Errors
    /// That the system gives no randomness.
    pub(crate) fn new(thread: u16, limits: Limits, commons: Commons) -> io::Result<EventLoop> {
        Ok(EventLoop {
            thread,
            clock: Clock::new(commons.beginning),
            deadlines: Rc::default(),
            buffers: BufferPool::default(),
            ids: RequestIds::new()?,
            limits: Cell::new(limits),
            connections: commons.connections,
            file_threads: commons.file_threads,
            spool: commons.spool,
            name_threads: commons.name_threads,
            response_bytes: Rc::default(),
            draining: Cell::new(false),
            cutting: Cell::new(false),
            cut: Cell::new(0),
            work: Notify::new(),
        })
    }

    /// Tells the operator something, at once.
    pub(crate) fn report(&self, text: &str) {
        Voice::of_process().say(text);
    }
}

#[cfg(test)]
impl EventLoop {
    /// One for a test, with nobody beside it.
    pub(crate) fn alone() -> Rc<EventLoop> {
        let commons = Commons {
            beginning: Instant::now(),
            connections: Arc::default(),
            file_threads: FilePools::new(1),
            spool: Spool::new(1, None),
            name_threads: ThreadPool::new("names".into(), 0, 1),
        };
        Rc::new(EventLoop::new(0, Limits::default(), commons).unwrap())
    }
}
