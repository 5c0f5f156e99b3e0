//! In:     an encoded request, its body in memory or in a file.
//! Out:    which worker has it, and since when.
//! Actors: the loop that owns the connection, and the one that hands it over.
//! Never:  do two workers have it, or one that was not told.

use crate::handlers::app::lane::{Lane, NotSent};
use hallway_net::file::stored::StoredFile;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A request on its way to a worker. Shared by the loop that owns the connection and the one that
/// hands it over.
pub(crate) struct Parcel {
    pub(crate) ticket: u64,
    /// All of it but its body.
    pub(crate) frame: Vec<u8>,
    /// Its body, unless that is in the file.
    pub(crate) body: Vec<u8>,
    pub(crate) file: Option<Arc<StoredFile>>,
    holder: Mutex<Option<Holder>>,
}

/// Who has a parcel.
struct Holder {
    lane: Arc<Lane>,
    /// Where it is in the lane.
    position: u64,
    /// When it began, on the clock of the process; nothing while it waits behind another one.
    begun_us: Option<u64>,
}

impl Parcel {
    pub(crate) fn new(ticket: u64, frame: Vec<u8>, body: Vec<u8>, file: Option<Arc<StoredFile>>) -> Self {
        Parcel { ticket, frame, body, file, holder: Mutex::default() }
    }

    /// Puts it into the lane of a worker; whether that one has to be woken. The answer may come on
    /// another thread before this returns, so the holder is noted under the lock.
    pub(super) fn hand_to(&self, lane: &Arc<Lane>, begun_us: Option<u64>) -> Result<bool, NotSent> {
        if begun_us.is_none() && self.file.is_some() {
            // What is withdrawn from a lane would leave its file in the socket.
            return Err(NotSent::Full);
        }
        let mut holder = self.holder();
        let (position, wakes) =
            lane.put(self.ticket, &[&self.frame, &self.body], self.file.as_deref(), begun_us.is_some())?;
        *holder = Some(Holder { lane: lane.clone(), position, begun_us });
        Ok(wakes)
    }

    /// The worker is free for it now.
    pub(super) fn note_begun(&self, now_us: u64) {
        if let Some(holder) = &mut *self.holder() {
            holder.begun_us = Some(now_us);
        }
    }

    /// Takes it back from a worker that has not begun it.
    pub(super) fn withdraw(&self) -> bool {
        let mut holder = self.holder();
        let withdrawn = holder.as_ref().is_some_and(|holder| holder.lane.withdraw(holder.position));
        if withdrawn {
            *holder = None;
        }
        withdrawn
    }

    /// Nobody has it any more.
    pub(super) fn take_back(&self) {
        *self.holder() = None;
    }

    /// Whether this worker has it.
    pub(crate) fn is_with(&self, worker: u32) -> bool {
        self.holder().as_ref().is_some_and(|holder| holder.lane.worker == worker)
    }

    /// The lane of the worker that has it.
    pub(crate) fn lane(&self) -> Option<Arc<Lane>> {
        self.holder().as_ref().map(|holder| holder.lane.clone())
    }

    /// When its worker began it, on the clock of the process; nothing while it waits.
    pub(crate) fn begun_us(&self) -> Option<u64> {
        self.holder().as_ref().and_then(|holder| holder.begun_us)
    }

    fn holder(&self) -> MutexGuard<'_, Option<Holder>> {
        // A panic ends the process (see `threads`), so a poisoned lock is never seen.
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
