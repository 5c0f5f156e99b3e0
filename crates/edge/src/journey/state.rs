//! What one event loop has for its requests.
//!
//! In:     the tools of the loop; what apps, pools and files have on it; the rules that count.
//! Out:    the same to each request that comes.
//! Actors: the event loop that owns it.
//! Never:  holds anything of a single request.

use crate::handlers::app::AppState;
use crate::handlers::files::FileCache;
use crate::handlers::pool::Upstreams;
use crate::journey::access_log::Log;
use crate::journey::compress::Packers;
use crate::journey::rules::{LoopRules, Rules};
use hallway_net::runtime::event_loop::EventLoop;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// What one event loop has.
pub(crate) struct LoopState {
    pub(crate) event_loop: Rc<EventLoop>,
    /// What requests go by that come now.
    rules: RefCell<Rc<LoopRules>>,
    pub(crate) apps: Rc<AppState>,
    /// Connections to servers of pools.
    pub(crate) upstreams: Rc<Upstreams>,
    /// Files that were asked for.
    pub(crate) files: FileCache,
    pub(crate) log: Log,
    /// How many responses are being compressed.
    pub(crate) packers: Packers,
    /// Copies of requests that are on their way.
    pub(crate) copies: Cell<usize>,
}

impl LoopState {
    /// That of an event loop, which goes by these rules.
    pub(crate) fn new(event_loop: Rc<EventLoop>, rules: Arc<Rules>, apps: Rc<AppState>) -> LoopState {
        LoopState {
            rules: RefCell::new(Rc::new(LoopRules::new(rules))),
            upstreams: Rc::new(Upstreams::new(event_loop.clone())),
            files: FileCache::new(event_loop.clone()),
            log: Log::default(),
            packers: Packers::default(),
            copies: Cell::new(0),
            apps,
            event_loop,
        }
    }

    /// What a request goes by that comes now.
    pub(crate) fn rules(&self) -> Rc<LoopRules> {
        self.rules.borrow().clone()
    }

    /// Goes by other rules from now on.
    pub(crate) fn adopt(&self, rules: Arc<Rules>) {
        self.log.send();
        self.files.clear();
        self.event_loop.limits.set(rules.plan.limits);
        self.upstreams.adopt(rules.serial);
        self.rules.replace(Rc::new(LoopRules::new(rules)));
        self.rules.borrow().note_adopted();
    }

    /// Whether nothing is under way but what connections of clients do.
    pub(crate) fn is_idle(&self) -> bool {
        self.apps.calls.is_empty() && self.upstreams.is_empty()
    }

    /// Lets go of what is kept for work that may never come again.
    pub(crate) fn shrink(&self) {
        self.event_loop.buffers.clear();
        self.event_loop.deadlines.shrink();
        self.apps.calls.shrink();
    }
}

/// What one request goes by, from its first stop to its last.
#[derive(Clone, Copy)]
pub(crate) struct Course<'a> {
    /// The event loop that it is on.
    pub(crate) state: &'a Rc<LoopState>,
    /// The rules that counted when it came.
    pub(crate) rules: &'a Rc<LoopRules>,
}
