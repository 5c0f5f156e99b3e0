//! In:     the plan, the parts of one event loop.
//! Out:    what every trip on this loop may use.
//! Actors: the event loop that owns it; what loops share is behind an `Arc` and says so.
//! Never:  does it hold anything of a single request.

use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::files::Shelf;
use crate::ids::RequestIds;
use crate::lane::{AppDesk, Calls, Lane, Outbounds};
use crate::log::Log;
use crate::posts::Posts;
use hallway_core::Head;
use hallway_core::plan::Plan;
use hallway_core::ports::Master;
use hallway_core::route::Sites;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;

/// Most heads and buffers kept for reuse.
const SPARE_MAX: usize = 64;
/// A spare buffer that grew larger than this is let go.
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// One event loop's house.
pub(crate) struct House {
    pub(crate) plan: Arc<Plan>,
    pub(crate) master: Arc<dyn Master>,
    /// Which route answers.
    pub(crate) sites: Arc<Sites>,
    /// One for each app, shared by all loops.
    pub(crate) desks: Arc<[AppDesk]>,
    pub(crate) clock: Clock,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) calls: Rc<Calls>,
    pub(crate) outbounds: Outbounds,
    /// Files that were asked for.
    pub(crate) shelf: Shelf,
    /// The way to the other loops.
    pub(crate) posts: Posts,
    pub(crate) ids: RequestIds,
    pub(crate) log: Log,
    /// Set once: no further connection is taken, nor a further request on those that are open.
    pub(crate) draining: Cell<bool>,
    pub(crate) spares: Spares,
    /// Told when a first connection comes, for the sweeper that slept until then.
    pub(crate) work: Notify,
}

impl House {
    /// The desk of a worker's app.
    pub(crate) fn desk_of(&self, lane: &Lane) -> &AppDesk {
        &self.desks[lane.app]
    }

    /// A request on this worker took too long: it gets nothing more, and is replaced. While it works
    /// on others too, they may be finished first.
    pub(crate) fn end_worker(&self, lane: &Lane) {
        self.desk_of(lane).close(lane.worker);
        if lane.slots > 1 {
            self.master.worker_is_stuck(lane.worker);
        } else {
            self.master.worker_is_overdue(lane.worker);
        }
    }
}

/// Heads and read buffers that idle connections gave back.
#[derive(Default)]
pub(crate) struct Spares {
    heads: RefCell<Vec<Head>>,
    buffers: RefCell<Vec<Vec<u8>>>,
}

impl Spares {
    pub(crate) fn head(&self) -> Head {
        self.heads.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.buffers.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn keep_head(&self, head: Head) {
        let mut heads = self.heads.borrow_mut();
        if heads.len() < SPARE_MAX {
            heads.push(head);
        }
    }

    pub(crate) fn keep_buffer(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() < SPARE_MAX && (1..=SPARE_BYTES_MAX).contains(&buffer.capacity()) {
            buffer.clear();
            buffers.push(buffer);
        }
    }
}
