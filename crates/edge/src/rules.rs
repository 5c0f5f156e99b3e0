//! In:     a plan.
//! Out:    the same, ready to be asked: sites, desks, logs.
//! Actors: none; one for all event loops, replaced as a whole by a reload.
//! Never:  does a request go by two of them.

use crate::lane::AppDesk;
use crate::log::Sink;
use hallway_core::plan::Plan;
use hallway_core::ports::Master;
use hallway_core::route::Sites;
use std::sync::Arc;

/// What requests go by.
pub(crate) struct Rules {
    pub(crate) plan: Plan,
    /// Which plan it is, of all that this edge had.
    pub(crate) serial: u32,
    /// Which route answers.
    pub(crate) sites: Sites,
    /// Where the requests of each app wait, in the order of the plan.
    pub(crate) desks: Vec<Arc<AppDesk>>,
    /// Where log lines go, in the order of the plan.
    pub(crate) sinks: Vec<Arc<Sink>>,
    pub(crate) master: Arc<dyn Master>,
}

impl Rules {
    /// A route's number among those of all plans.
    pub(crate) fn scope(&self, route: u32) -> u64 {
        u64::from(self.serial) << 32 | u64::from(route)
    }

    /// The log of a site's requests, or of those for none.
    pub(crate) fn sink(&self, site: Option<usize>) -> Option<&Arc<Sink>> {
        let log = site.map_or(self.plan.log, |site| self.plan.sites[site].log);
        self.sinks.get(log?)
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        self.master.plan_is_over(self.serial);
    }
}
