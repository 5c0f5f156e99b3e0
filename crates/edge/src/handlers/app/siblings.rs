//! What event loops tell one another of apps.
//!
//! In:     news of workers and of calls.
//! Out:    the same on the loop that it is for.
//! Actors: every event loop, and the threads that take files; each loop reads its own inbox.
//! Never:  waits for the one who is told.

use crate::handlers::app::ticket::thread_of;
use hallway_core::Fault;
use hallway_net::file::stored::StoredFile;
use std::sync::Arc;

/// News for an event loop.
pub(crate) enum AppMessage {
    /// This worker ended just as a call of this loop was given to it.
    LaneLost(u32),
    /// This worker has ended, or begins nothing more.
    Gone(u32),
    /// A call of this loop goes to no worker, for this reason.
    Refused(u64, Fault),
    /// What came as the file of this call's answer.
    File(u64, SentFile),
}

/// What came for an answer whose worker says that it sent a file.
pub(crate) enum SentFile {
    /// A plain file, and its length.
    Plain(Arc<StoredFile>, u64),
    /// It came to a process that has too many files open.
    Lost,
    /// Nothing, or what is no plain file: this worker lies.
    Nothing(u32),
}

/// The way to the event loops.
pub(crate) trait Siblings: Send + Sync {
    /// Tells one of them; one that has ended does not hear it.
    fn tell(&self, thread: usize, message: AppMessage);

    /// How many there are.
    fn count(&self) -> usize;
}

impl dyn Siblings {
    /// Has the loop that owns a ticket look again for calls on a lane that ended.
    pub(crate) fn lane_lost(&self, ticket: u64, worker: u32) {
        self.tell(thread_of(ticket), AppMessage::LaneLost(worker));
    }

    /// Tells all loops that a worker has ended, or begins nothing more.
    pub(crate) fn gone(&self, worker: u32) {
        (0..self.count()).for_each(|thread| self.tell(thread, AppMessage::Gone(worker)));
    }

    /// Tells the loop that owns a ticket that its request cannot be sent.
    pub(crate) fn refuse(&self, ticket: u64, fault: Fault) {
        self.tell(thread_of(ticket), AppMessage::Refused(ticket, fault));
    }

    /// Gives the loop that owns a ticket the file of its answer.
    pub(crate) fn file(&self, ticket: u64, file: SentFile) {
        self.tell(thread_of(ticket), AppMessage::File(ticket, file));
    }
}
