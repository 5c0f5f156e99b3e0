//! What is told of a request at its end.
//!
//! In:     facts, as the stops of a journey learn them.
//! Out:    the same for the log line.
//! Actors: the task of the request.
//! Never:  decides anything: it is told, not asked.

use crate::request::limits::Left;
use hallway_core::record::{LaneFacts, TryFacts};
use std::sync::Arc;

/// What is known of a request that has ended, or will have.
#[derive(Default)]
pub(crate) struct RequestRecord {
    /// What the client has left of what it gets, where it is told.
    pub(crate) left: Option<Left>,
    /// Which app answers, where one does.
    pub(crate) app: Option<usize>,
    /// Each time it was sent to a server of a pool.
    pub(crate) tries: Vec<Try>,
    /// What the lane saw, once the application had the request.
    pub(crate) lane: Option<LaneFacts>,
    /// How long it waited for a server that has room, where it had to.
    pub(crate) queue_us: Option<u64>,
    /// What was answered; 0 until then.
    pub(crate) status: u16,
    /// Body bytes that were sent.
    pub(crate) body_bytes: u64,
}

/// One try of a request, for its log line.
pub(crate) struct Try {
    /// Its name.
    pub(crate) server: Arc<str>,
    /// What it answered; where it did not, the status that says so.
    pub(crate) status: u16,
    pub(crate) begun_us: u64,
    /// Until its first byte came, or it was given up.
    pub(crate) took_us: u64,
    pub(crate) has_answered: bool,
}

impl Try {
    /// The same for the log, in which an answer ends now.
    pub(crate) fn facts(&self, now_us: u64) -> TryFacts<'_> {
        let until_now_us = now_us.saturating_sub(self.begun_us);
        TryFacts {
            server: &self.server,
            status: self.status,
            head_us: self.took_us,
            total_us: if self.has_answered { until_now_us } else { self.took_us },
        }
    }
}
