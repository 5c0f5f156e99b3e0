//! The tools of one event loop.
//!
//! In:     what the process lends each of its event loops.
//! Out:    clock, deadlines, buffers, ids, files, limits of connections: what every task on the loop may use.
//! Actors: the event loop that owns it; what several loops share is behind an `Arc`.
//! Never:  does it know a plan, an app or a pool, or hold anything of a single request.

use crate::file::pools::FilePools;
use crate::file::spool::Spool;
use crate::runtime::buffers::BufferPool;
use crate::runtime::clock::Clock;
use crate::runtime::console::Voice;
use crate::runtime::deadline::Deadlines;
use crate::runtime::ids::RequestIds;
use crate::runtime::thread_pool::ThreadPool;
use crate::socket::client_connections::ClientConnections;
use hallway_core::plan::Limits;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;

/// What all event loops of the process have together.
#[derive(Clone)]
pub struct Commons {
    /// When the process began: what all clocks count from.
    pub beginning: Instant,
    /// Connections of each client.
    pub connections: Arc<ClientConnections>,
    /// Where files are read.
    pub file_threads: Arc<FilePools>,
    /// Where what does not fit into memory waits.
    pub spool: Arc<Spool>,
    /// What waits for name servers.
    pub name_threads: ThreadPool,
}

/// One event loop.
pub struct EventLoop {
    /// Which one it is, of all.
    pub thread: u16,
    /// Its time.
    pub clock: Clock,
    /// What is waited for, and until when.
    pub deadlines: Rc<Deadlines>,
    /// Memory that is used again.
    pub buffers: BufferPool,
    /// Ids of requests.
    pub ids: RequestIds,
    /// What bounds clients now.
    pub limits: Cell<Limits>,
    /// Connections of each client.
    pub connections: Arc<ClientConnections>,
    /// Where files are read.
    pub file_threads: Arc<FilePools>,
    /// Where what does not fit into memory waits.
    pub spool: Arc<Spool>,
    /// What waits for name servers.
    pub name_threads: ThreadPool,
    /// Bytes of all responses that wait in memory for their clients.
    pub response_bytes: Rc<Cell<usize>>,
    /// Set once: no further connection is taken, nor a further request on those that are open.
    pub draining: Cell<bool>,
    /// Set once: the graceful timeout is over, and what is still in flight is cut.
    pub cutting: Cell<bool>,
    /// How many requests were.
    pub cut: Cell<usize>,
    /// Told when a first connection comes, for the sweeper that slept until then.
    pub work: Notify,
}

impl EventLoop {
    /// One that begins on this thread.
    ///
    /// # Errors
    /// That the system gives no randomness.
    pub fn new(thread: u16, limits: Limits, commons: Commons) -> io::Result<EventLoop> {
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

    /// One that has nobody beside it: for a test of a layer without those above it, or a fuzz target.
    ///
    /// # Errors
    /// Those of `new`.
    pub fn alone() -> io::Result<Rc<EventLoop>> {
        let commons = Commons {
            beginning: Instant::now(),
            connections: Arc::default(),
            file_threads: FilePools::new(1),
            spool: Spool::new(1, None),
            name_threads: ThreadPool::new("names of servers".into(), 0, 1),
        };
        EventLoop::new(0, Limits::default(), commons).map(Rc::new)
    }

    /// Tells the operator something, at once.
    pub fn report(&self, text: &str) {
        Voice::of_process().say(text);
    }
}
