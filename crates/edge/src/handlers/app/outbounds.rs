//! The rings that workers fill for one event loop.
//!
//! In:     workers that come and go; whether the loop sleeps.
//! Out:    their frames, one by one, as copies.
//! Actors: the event loop that owns it.
//! Never:  has a worker ring for a loop that is awake.

use crate::handlers::app::dispatcher::AppDesk;
use crate::handlers::app::lane::Lane;
use hallway_core::lane::cancel_note;
use hallway_net::runtime::readable_fd::watch;
use hallway_ring::{Bell, Receiver};
use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::io::unix::AsyncFd;

/// What workers tell this loop.
pub(crate) struct Outbounds {
    lanes: RefCell<Vec<Outbound>>,
    /// Ends the poll of this loop, which alone has it: a worker could fill a bell that it shares, or have it wait.
    own_bell: AsyncFd<OwnedFd>,
    frame: RefCell<Vec<u8>>,
    /// Whether workers were told that this loop sleeps.
    is_down: Cell<bool>,
}

/// A worker, as event loops see it.
pub(crate) struct Worker {
    pub(crate) lane: Arc<Lane>,
    /// Where requests of its app wait.
    pub(crate) desk: Arc<AppDesk>,
}

struct Outbound {
    worker: Arc<Worker>,
    ring: Receiver,
    /// Registered with the poll, which a ring of it ends; that is all it is for.
    #[expect(dead_code, reason = "held, so that it is heard")]
    bell: AsyncFd<OwnedFd>,
}

/// What a worker has for this loop.
pub(super) enum Next {
    /// A frame, which was copied.
    Frame(Arc<Worker>),
    /// Nothing now.
    None,
    /// What is no frame.
    Broken(Arc<Worker>),
}

impl Outbounds {
    /// Those of an event loop without workers. To be called on that loop.
    ///
    /// # Errors
    /// Those of `eventfd` and `epoll_ctl`.
    pub(crate) fn new() -> std::io::Result<Outbounds> {
        let own_bell = watch(OwnedFd::from(Bell::create()?))?;
        Ok(Outbounds { lanes: RefCell::default(), own_bell, frame: RefCell::default(), is_down: Cell::new(false) })
    }

    /// Begins to hear a worker. To be called on the event loop that this ring of it leads to.
    pub(crate) fn add(&self, thread: u16, worker: Arc<Worker>, bell: OwnedFd) -> std::io::Result<()> {
        let bell = watch(bell)?;
        let ring = Receiver::new(worker.lane.memory.clone(), usize::from(thread) + 1);
        self.lanes.borrow_mut().push(Outbound { worker, ring, bell });
        Ok(())
    }

    /// Tells a worker that nobody waits for this answer any more.
    pub(super) fn cancel(&self, worker: u32, ticket: u64) {
        if let Some(it) = self.lanes.borrow().iter().find(|it| it.worker.lane.worker == worker) {
            it.ring.put_note(cancel_note(ticket), ticket);
        }
    }

    /// The number of one of them.
    pub(super) fn number(&self, at: usize) -> Option<u32> {
        self.lanes.borrow().get(at).map(|it| it.worker.lane.worker)
    }

    /// A worker, by its number.
    pub(super) fn worker(&self, worker: u32) -> Option<Arc<Worker>> {
        self.lanes.borrow().iter().find(|it| it.worker.lane.worker == worker).map(|it| it.worker.clone())
    }

    /// Copies the next frame of a worker.
    pub(super) fn next(&self, worker: u32, frame: &mut Vec<u8>) -> Next {
        let mut lanes = self.lanes.borrow_mut();
        match lanes.iter_mut().find(|it| it.worker.lane.worker == worker) {
            None => Next::None,
            Some(it) => match it.ring.copy_next(frame) {
                Ok(true) => Next::Frame(it.worker.clone()),
                Ok(false) => Next::None,
                Err(hallway_ring::Broken) => Next::Broken(it.worker.clone()),
            },
        }
    }

    /// What was copied of a worker's frames is room for others.
    pub(super) fn release(&self, worker: u32) {
        if let Some(it) = self.lanes.borrow_mut().iter_mut().find(|it| it.worker.lane.worker == worker) {
            it.ring.release();
        }
    }

    /// Whether nothing came meanwhile, so that the loop may sleep.
    pub(super) fn lie_down(&self) -> bool {
        self.is_down.set(true);
        self.lanes.borrow().iter().all(|it| it.ring.lie_down())
    }

    /// Has the poll end at once.
    pub(super) fn stay_awake(&self) {
        // It can only fail when it was rung 2^64 times.
        let _ = rustix::io::write(self.own_bell.get_ref(), &1u64.to_ne_bytes());
    }

    /// The loop is awake: nobody need ring.
    pub(super) fn rise(&self) {
        if self.is_down.replace(false) {
            self.lanes.borrow().iter().for_each(|it| it.ring.rise());
        }
    }

    /// Hears a worker no more.
    pub(super) fn remove(&self, worker: u32) {
        self.lanes.borrow_mut().retain(|it| it.worker.lane.worker != worker);
    }

    /// The buffer that frames are copied into.
    pub(super) fn take_frame(&self) -> Vec<u8> {
        self.frame.take()
    }

    /// The same back.
    pub(super) fn give_frame(&self, frame: Vec<u8>) {
        self.frame.replace(frame);
    }
}
