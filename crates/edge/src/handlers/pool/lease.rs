//! A server that has a request.
//!
//! In:     a server that was chosen.
//! Out:    the same, counted as busy.
//! Actors: the task of the request.
//! Never:  is a server counted as busy for longer than it has the request.

use crate::handlers::pool::members::PoolDesk;
use crate::handlers::pool::server::Server;
use std::sync::Arc;

/// A server that has a request, and the pools above it.
pub(super) struct Held {
    pub(super) server: Arc<Server>,
    /// The pool that it is a server of, among those of the plan.
    pub(super) pool: usize,
    desk: Arc<PoolDesk>,
    is_trial: bool,
    /// Where the pool is a server of another one: that server, whether it is on trial, and the other pool.
    above: Vec<(Arc<Server>, bool, Arc<PoolDesk>)>,
}

impl Held {
    /// The server has the request from now on.
    pub(super) fn begin(server: Arc<Server>, pool: usize, desk: Arc<PoolDesk>, now_ms: u64) -> Held {
        let is_trial = server.begin(now_ms);
        Held { server, pool, desk, is_trial, above: Vec::new() }
    }

    /// So does the server of an outer pool, for which this one stands.
    pub(super) fn add_above(&mut self, server: Arc<Server>, desk: Arc<PoolDesk>, now_ms: u64) {
        let is_trial = server.begin(now_ms);
        self.above.push((server, is_trial, desk));
    }

    /// The member of the outermost pool that has the request.
    pub(super) fn member(&self) -> &Server {
        self.above.last().map_or(&self.server, |(server, ..)| server)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.server.end(self.is_trial);
        self.desk.note_freed();
        for (server, was_trial, desk) in self.above.drain(..) {
            server.end(was_trial);
            desk.note_freed();
        }
    }
}
