//! In:     the plan, the parts of one event loop.
//! Out:    what every trip on this loop may use.
//! Actors: the event loop that owns it; what loops share is behind an `Arc` and says so.
//! Never:  does it hold anything of a single request.

use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::files::{FilePools, Shelf};
use crate::ids::RequestIds;
use crate::lane::{Calls, Lane, Outbounds};
use crate::limits::Crowd;
use crate::log::Log;
use crate::packer::Packers;
use crate::piece::Piece;
use crate::posts::Posts;
use crate::pulse::Pulse;
use crate::rules::{LoopRules, Rules};
use crate::spool_room::Spool;
use crate::thread_pool::ThreadPool;
use crate::upstream::Upstreams;
use hallway_core::Head;
use hallway_core::plan::Limits;
use hallway_core::ports::Master;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;

/// Most heads and buffers kept for reuse.
const SPARE_MAX: usize = 64;
/// A spare buffer that grew larger than this is let go.
const SPARE_BYTES_MAX: usize = 64 * 1024;
/// What a piece was in is kept up to this length: short answers come all the time, long ones may be anywhere.
const SPARE_PIECE_BYTES_MAX: usize = 32 * 1024;

/// One event loop's house.
pub(crate) struct House {
    /// What requests go by that come now.
    pub(crate) rules: RefCell<Rc<LoopRules>>,
    pub(crate) master: Arc<dyn Master>,
    pub(crate) clock: Clock,
    pub(crate) pulse: Pulse,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) calls: Rc<Calls>,
    /// Bytes of all answers that wait in memory for their clients.
    pub(crate) answer_bytes: Rc<Cell<usize>>,
    /// Copies of requests that are on their way.
    pub(crate) copies: Cell<usize>,
    /// Connections to servers of pools.
    pub(crate) upstreams: Upstreams,
    pub(crate) outbounds: Outbounds,
    /// Files that were asked for.
    pub(crate) shelf: Shelf,
    /// Where they are read.
    pub(crate) file_pools: Arc<FilePools>,
    /// Where what does not fit into memory waits.
    pub(crate) spool: Arc<Spool>,
    /// What waits for name servers.
    pub(crate) name_threads: ThreadPool,
    /// The way to the other loops.
    pub(crate) posts: Posts,
    pub(crate) ids: RequestIds,
    pub(crate) log: Log,
    /// Set once: no further connection is taken, nor a further request on those that are open.
    pub(crate) draining: Cell<bool>,
    /// Set once: the graceful timeout is over, and what is still in flight is cut.
    pub(crate) cutting: Cell<bool>,
    /// How many requests were.
    pub(crate) cut: Cell<usize>,
    pub(crate) spares: Spares,
    pub(crate) crowd: Arc<Crowd>,
    /// How many answers are being compressed.
    pub(crate) packers: Packers,
    /// Told when a first connection comes, for the sweeper that slept until then.
    pub(crate) work: Notify,
}

impl House {
    /// What a request goes by that comes now.
    pub(crate) fn rules(&self) -> Rc<LoopRules> {
        self.rules.borrow().clone()
    }

    /// What bounds clients now.
    pub(crate) fn limits(&self) -> Limits {
        self.rules.borrow().plan.limits
    }

    /// Goes by other rules from now on.
    pub(crate) fn adopt(&self, rules: Arc<Rules>) {
        self.log.send();
        self.shelf.clear();
        self.rules.replace(Rc::new(LoopRules(rules)));
        self.pulse.renew();
        self.rules.borrow().note_adopted();
    }

    /// Lets go of what is kept for work that may never come again.
    pub(crate) fn shrink(&self) {
        self.spares.clear();
        self.deadlines.shrink();
        self.calls.shrink();
    }

    /// A request on this worker took too long: it gets nothing more, and is replaced. While it works
    /// on others too, they may be finished first.
    pub(crate) fn end_worker(&self, lane: &Lane) {
        lane.desk.close(lane.worker);
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

    fn clear(&self) {
        self.heads.take();
        self.buffers.take();
    }

    pub(crate) fn keep_head(&self, head: Head) {
        let mut heads = self.heads.borrow_mut();
        if heads.len() < SPARE_MAX {
            heads.push(head);
        }
    }

    /// Keeps what a piece was in, where that can be used again.
    pub(crate) fn keep_piece(&self, piece: Piece) {
        if let Piece::Own { bytes, .. } = piece
            && bytes.capacity() <= SPARE_PIECE_BYTES_MAX
        {
            self.keep_buffer(bytes);
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
