//! In:     parcels of every event loop; workers that come, become free and leave.
//! Out:    parcels on the lanes of workers, in the order in which they came.
//! Actors: every event loop, for less than a microsecond each.
//! Never:  is the lock held while anything is sent or waited for.

use crate::lane::parcel::{Lane, Parcel};
use crate::posts::Posts;
use hallway_core::Fault;
use hallway_core::lane::{Desk, Placed};
use hallway_core::ports::Master;
use rustix::io::Errno;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Slots and queue of the application. Shared by all event loops.
pub(crate) struct AppDesk {
    desk: Mutex<Desk<Arc<Lane>, Arc<Parcel>>>,
    posts: Posts,
    master: Arc<dyn Master>,
    beginning: Instant,
}

impl AppDesk {
    pub(crate) fn new(queue_size: usize, posts: Posts, master: Arc<dyn Master>, beginning: Instant) -> Self {
        AppDesk { desk: Mutex::new(Desk::new(queue_size)), posts, master, beginning }
    }

    /// A worker said hello.
    pub(crate) fn join(&self, lane: &Arc<Lane>, capacity: u16) {
        let taken = self.lock().join(lane.worker, lane.clone(), capacity);
        for parcel in taken {
            self.hand(lane.clone(), parcel);
        }
    }

    /// A request wants a worker.
    pub(crate) fn place(&self, parcel: Arc<Parcel>) -> Result<(), Fault> {
        let placed = self.lock().place(parcel.ticket, parcel);
        match placed {
            Placed::With(lane, parcel) => self.hand(lane, parcel),
            Placed::Queued => {}
            Placed::Full(_) => return Err(Fault::QueueFull),
        }
        Ok(())
    }

    /// A request wants another worker because its first one is gone; it goes before all others.
    pub(crate) fn place_again(&self, parcel: Arc<Parcel>) {
        parcel.take_back();
        let placed = self.lock().place_again(parcel.ticket, parcel);
        if let Placed::With(lane, parcel) = placed {
            self.hand(lane, parcel);
        }
    }

    /// A worker has answered.
    pub(crate) fn freed(&self, worker: u32) {
        let next = self.lock().freed(worker);
        if let Some((lane, parcel)) = next {
            self.hand(lane, parcel);
        }
    }

    /// A request gives up; whether it was still waiting.
    pub(crate) fn withdraw(&self, ticket: u64) -> bool {
        self.lock().withdraw(ticket)
    }

    /// A worker gets nothing more.
    pub(crate) fn close(&self, worker: u32) {
        self.lock().close(worker);
    }

    /// A worker is gone.
    pub(crate) fn leave(&self, worker: u32) {
        self.lock().leave(worker);
    }

    /// Sends a parcel; where the worker turns out to be gone, to the next.
    fn hand(&self, lane: Arc<Lane>, parcel: Arc<Parcel>) {
        let mut next = Some((lane, parcel));
        while let Some((lane, parcel)) = next.take() {
            parcel.hand_to(&lane, self.beginning.elapsed().as_micros() as u64);
            match lane.send(&parcel) {
                Ok(()) => {
                    // The loop that owns this request may have buried the lane, and looked for its
                    // requests there, just before this one was on it: have it look again.
                    if lane.is_dead() {
                        self.posts.lane_lost(parcel.ticket, lane);
                    }
                    return;
                }
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN | Errno::CONNREFUSED) => {}
                // Neither sent nor gone: a worker with a free slot that has no room broke its lane;
                // otherwise the system has no room. Another worker could do no better.
                Err(_) => {
                    parcel.take_back();
                    self.lock().leave(lane.worker);
                    self.master.worker_is_overdue(lane.worker);
                    self.posts.unsendable(parcel.ticket);
                    return;
                }
            }
            parcel.take_back();
            let mut desk = self.lock();
            desk.leave(lane.worker);
            if let Placed::With(lane, parcel) = desk.place_again(parcel.ticket, parcel) {
                next = Some((lane, parcel));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Desk<Arc<Lane>, Arc<Parcel>>> {
        // A panic ends the process (see `threads`), so a poisoned lock is never seen.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
