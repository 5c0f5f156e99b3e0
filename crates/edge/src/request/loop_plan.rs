//! The plan that requests of one event loop go by.
//!
//! In:     a plan, which all event loops share.
//! Out:    the same, counted within one loop: counting among threads costs each request more.
//! Actors: the event loop that owns it.
//! Never:  changes: another plan is another one of these.

use hallway_core::plan::Plan;
use std::ops::Deref;
use std::sync::Arc;

/// A plan, for one event loop.
pub(crate) struct LoopPlan(Arc<Plan>);

impl From<Arc<Plan>> for LoopPlan {
    fn from(plan: Arc<Plan>) -> LoopPlan {
        LoopPlan(plan)
    }
}

impl Deref for LoopPlan {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.0
    }
}
