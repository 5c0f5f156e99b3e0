//! What one event loop has of apps.
//!
//! In:     the tools of the loop; the way to the master and to the other loops.
//! Out:    the calls of the loop, and the rings by which workers answer.
//! Actors: the event loop that owns it.
//! Never:  knows a plan: what a request goes by comes with it.

use crate::handlers::app::calls::Calls;
use crate::handlers::app::lane::Lane;
use crate::handlers::app::outbounds::Outbounds;
use crate::handlers::app::siblings::Siblings;
use hallway_core::ports::Master;
use hallway_net::runtime::event_loop::EventLoop;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// The apps, as one event loop sees them.
pub(crate) struct AppState {
    pub(crate) event_loop: Rc<EventLoop>,
    pub(crate) calls: Rc<Calls>,
    pub(crate) outbounds: Outbounds,
    pub(crate) master: Arc<dyn Master>,
    /// The other loops.
    pub(crate) siblings: Arc<dyn Siblings>,
}

impl AppState {
    /// That of this event loop.
    ///
    /// # Errors
    /// Those of the bell of the loop.
    pub(crate) fn new(
        event_loop: Rc<EventLoop>,
        master: Arc<dyn Master>,
        siblings: Arc<dyn Siblings>,
    ) -> io::Result<AppState> {
        let (spool, response_bytes) = (event_loop.spool.clone(), event_loop.response_bytes.clone());
        let calls = Rc::new(Calls::new(event_loop.thread, spool, response_bytes));
        Ok(AppState { calls, outbounds: Outbounds::new()?, event_loop, master, siblings })
    }

    /// A request on this worker took too long: it gets nothing more, and is replaced. While it works
    /// on others too, they may be finished first.
    pub(crate) fn end_worker(&self, lane: &Lane) {
        self.outbounds.worker(lane.worker).iter().for_each(|worker| worker.desk.close(lane.worker));
        if lane.slots > 1 {
            self.master.worker_is_stuck(lane.worker);
        } else {
            self.master.worker_is_overdue(lane.worker);
        }
    }
}
