//! In:     a plan.
//! Out:    the same, ready to be asked: sites, desks, logs.
//! Actors: none; one for all event loops, replaced as a whole by a reload.
//! Never:  does a request go by two of them.

use crate::handlers::app::AppDesk;
use crate::handlers::pool::{PoolDesk, Pools, PoolsTls};
use crate::journey::access_log::Sink;
use crate::request::limits::{Limiter, Pacer};
use crate::request::loop_plan::LoopPlan;
use hallway_core::plan::{Plan, Pool, Route};
use hallway_core::ports::Master;
use hallway_core::route::Sites;
use hallway_net::tls::server::Tls;
use std::collections::HashMap;
use std::io;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The port of a URL with `https` that names none (RFC 9110, 4.2.2).
const HTTPS_PORT: u16 = 443;

/// What rules need that outlives them.
pub(crate) struct Parts {
    pub(crate) limiters: Vec<Arc<Limiter>>,
    pub(crate) pacers: HashMap<String, Arc<Pacer>>,
    pub(crate) desks: Vec<Arc<AppDesk>>,
    pub(crate) sinks: Vec<Arc<Sink>>,
    pub(crate) pools: Vec<(Arc<PoolDesk>, Arc<Pool>)>,
    pub(crate) master: Arc<dyn Master>,
}

/// What of a plan may turn out to be of no use: read before anything is changed for it.
pub(crate) struct Parsed {
    sites: Arc<Sites>,
    tls: Arc<Tls>,
    pools_tls: PoolsTls,
}

impl Parsed {
    /// # Errors
    /// What of the plan cannot be used.
    pub(crate) fn of(plan: &Plan) -> io::Result<Parsed> {
        let sites = Arc::new(Sites::new(plan).map_err(io::Error::other)?);
        let tls = Arc::new(Tls::of(plan, sites.clone())?);
        Ok(Parsed { sites, tls, pools_tls: PoolsTls::of(&plan.pools)? })
    }
}

/// What requests go by.
pub(crate) struct Rules {
    pub(crate) plan: Arc<Plan>,
    /// Which plan it is, of all that this edge had.
    pub(crate) serial: u32,
    /// Which route answers.
    pub(crate) sites: Arc<Sites>,
    /// Where the requests of each app wait, in the order of the plan.
    pub(crate) desks: Vec<Arc<AppDesk>>,
    /// Where log lines go, in the order of the plan.
    pub(crate) sinks: Vec<Arc<Sink>>,
    pub(crate) pools: Pools,
    /// What is counted, by the numbers of routes that have limits.
    limiters: HashMap<u32, Vec<Arc<Limiter>>>,
    pacers: HashMap<String, Arc<Pacer>>,
    /// Of each site: when it was last looked whether it is closed, and whether it is (in the lowest bit).
    pub(super) closed: Vec<AtomicU64>,
    /// Event loops that do not go by them yet.
    adopting: AtomicUsize,
    pub(crate) tls: Arc<Tls>,
    /// The port of encrypted connections, where it is not the usual one.
    pub(super) https_port: Option<u16>,
    master: Arc<dyn Master>,
}

/// The rules as one event loop holds them. Each request counts there, as counting among threads costs more
/// than within one.
pub(crate) struct LoopRules {
    rules: Arc<Rules>,
    /// The plan, counted in the same way.
    pub(crate) plan: Rc<LoopPlan>,
}

impl LoopRules {
    pub(crate) fn new(rules: Arc<Rules>) -> LoopRules {
        LoopRules { plan: Rc::new(rules.plan.clone().into()), rules }
    }
}

impl Deref for LoopRules {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        &self.rules
    }
}

impl Rules {
    pub(crate) fn new(plan: Plan, serial: u32, parsed: Parsed, parts: Parts) -> Rules {
        let Parsed { sites, tls, pools_tls } = parsed;
        let ports = plan.listeners.iter().filter(|listener| listener.tls);
        let ports = ports.map(|listener| listener.address().map_or(HTTPS_PORT, |address| address.port()));
        // Where several lead to the same, the usual one is the best.
        let https_port = ports.min_by_key(|port| *port != HTTPS_PORT).filter(|port| *port != HTTPS_PORT);
        let Parts { limiters: zones, pacers, desks, sinks, pools, master } = parts;
        let routes = plan.sites.iter().flat_map(|site| &site.routes).zip(0..);
        let of = |route: &Route| route.limits.iter().filter_map(|zone| zones.get(*zone).cloned()).collect();
        let limiters =
            routes.filter(|(route, _)| !route.limits.is_empty()).map(|(route, number)| (number, of(route))).collect();
        let closed = plan.sites.iter().map(|_| AtomicU64::new(0)).collect();
        let adopting = AtomicUsize::new(plan.edge_threads);
        Rules {
            plan: Arc::new(plan),
            serial,
            sites,
            desks,
            sinks,
            pools: Pools::new(serial, pools, pools_tls),
            limiters,
            pacers,
            closed,
            adopting,
            tls,
            https_port,
            master,
        }
    }

    /// One more event loop goes by them.
    pub(crate) fn note_adopted(&self) {
        if self.adopting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.master.plan_is_adopted(self.serial);
        }
    }

    /// A route's number among those of all plans.
    pub(crate) fn scope(&self, route: u32) -> u64 {
        u64::from(self.serial) << 32 | u64::from(route)
    }

    /// What is counted on a route.
    pub(crate) fn limiters(&self, route: u32) -> &[Arc<Limiter>] {
        if self.limiters.is_empty() { &[] } else { self.limiters.get(&route).map_or(&[], Vec::as_slice) }
    }

    /// What the answers to one client share.
    pub(crate) fn pacer(&self, name: &str) -> Option<&Arc<Pacer>> {
        self.pacers.get(name)
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
