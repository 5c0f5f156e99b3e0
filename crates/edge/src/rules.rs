//! In:     a plan.
//! Out:    the same, ready to be asked: sites, desks, logs.
//! Actors: none; one for all event loops, replaced as a whole by a reload.
//! Never:  does a request go by two of them.

use crate::exchange::Exchange;
use crate::house::House;
use crate::lane::AppDesk;
use crate::limits::{Limiter, Pacer};
use crate::log::Sink;
use crate::tls::{Tls, client_config};
use crate::trip::Trip;
use crate::upstream::PoolDesk;
use hallway_core::plan::{Plan, Route, SiteTls};
use hallway_core::ports::Master;
use hallway_core::route::{Sites, keep_slashes};
use hallway_core::semantics::{AnswerHead, to_https};
use hallway_core::{Fault, Head};
use rustls::ClientConfig;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The port of a URL with `https` that names none (RFC 9110, 4.2.2).
const HTTPS_PORT: u16 = 443;

/// How long it is believed that a site is open, or closed.
const LOOK_MS: u64 = 500;

/// What rules need that outlives them.
pub(crate) struct Parts {
    pub(crate) limiters: Vec<Arc<Limiter>>,
    pub(crate) pacers: HashMap<String, Arc<Pacer>>,
    pub(crate) desks: Vec<Arc<AppDesk>>,
    pub(crate) sinks: Vec<Arc<Sink>>,
    pub(crate) pools: Vec<Arc<PoolDesk>>,
    pub(crate) master: Arc<dyn Master>,
}

/// What of a plan may turn out to be of no use: read before anything is changed for it.
pub(crate) struct Parsed {
    sites: Sites,
    tls: Tls,
    pools_tls: Vec<Option<Arc<ClientConfig>>>,
}

impl Parsed {
    /// # Errors
    /// What of the plan cannot be used.
    pub(crate) fn of(plan: &Plan) -> io::Result<Parsed> {
        let sites = Sites::new(plan).map_err(io::Error::other)?;
        let pools_tls = plan.pools.iter().map(|pool| client_config(pool)).collect::<io::Result<_>>()?;
        Ok(Parsed { sites, tls: Tls::of(plan)?, pools_tls })
    }
}

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
    /// Servers of each pool, in the order of the plan.
    pub(crate) pools: Vec<Arc<PoolDesk>>,
    /// How connections to them are encrypted, where they are.
    pools_tls: Vec<Option<Arc<ClientConfig>>>,
    /// What is counted, by the numbers of routes that have limits.
    limiters: HashMap<u32, Vec<Arc<Limiter>>>,
    pacers: HashMap<String, Arc<Pacer>>,
    /// Of each site: when it was last looked whether it is closed, and whether it is (in the lowest bit).
    closed: Vec<AtomicU64>,
    /// Event loops that do not go by them yet.
    adopting: AtomicUsize,
    pub(crate) tls: Tls,
    /// The port of encrypted connections, where it is not the usual one.
    https_port: Option<u16>,
    master: Arc<dyn Master>,
}

/// The rules as one event loop holds them. Each request counts there, as counting among threads costs more
/// than within one.
pub(crate) struct LoopRules(pub(crate) Arc<Rules>);

impl Deref for LoopRules {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        &self.0
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
            plan,
            serial,
            sites,
            desks,
            sinks,
            pools,
            pools_tls,
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

    /// How connections to the servers of a pool are encrypted.
    pub(crate) fn upstream_tls(&self, pool: usize) -> Option<&Arc<ClientConfig>> {
        self.pools_tls.get(pool)?.as_ref()
    }

    /// A route's number among those of all plans.
    pub(crate) fn scope(&self, route: u32) -> u64 {
        u64::from(self.serial) << 32 | u64::from(route)
    }

    /// Whether a request may go on into a site that it is for; else what is to be answered: its way is not
    /// encrypted and should be, or was made for another site (RFC 9110, 7.4).
    pub(crate) fn enter<W>(
        &self,
        exchange: &Exchange<'_, W>,
        site: usize,
        https: bool,
    ) -> Result<Option<AnswerHead>, Fault> {
        let Exchange { head, arrival, .. } = exchange;
        let tls = self.plan.sites[site].tls.as_ref();
        if let Some(facts) = &arrival.tls {
            let name = facts.server_name.as_deref().map(str::as_bytes);
            let is_same = match name {
                Some(name) => name == head.host() || self.sites.site(name) == Some(site),
                None => self.tls.unnamed() == Some(site),
            };
            let clients = tls.and_then(|tls| tls.clients.as_ref());
            // Who named no site may still ask for one, but not past those who have to show a certificate; nor may
            // a connection from before they had to.
            let is_open = is_same || name.is_none() && clients.is_none();
            let is_shown = facts.shows_certificate || clients.is_none_or(|clients| clients.optional);
            return if is_open && is_shown { Ok(None) } else { Err(Fault::Misdirected) };
        }
        match tls {
            Some(tls) if (tls.redirects && !https) || arrival.gate.is_tls() => {
                Ok(Some(to_https(head, self.https_port)))
            }
            Some(SiteTls { clients: Some(clients), .. }) if !clients.optional => Err(Fault::Misdirected),
            None if arrival.gate.is_tls() => Err(Fault::BadRequest("This port speaks HTTPS.")),
            _ => Ok(None),
        }
    }

    /// The route of a trip, once it is known.
    pub(crate) fn route(&self, trip: &Trip) -> Option<&Route> {
        self.plan.sites.get(trip.site?)?.routes.get(trip.route?)
    }

    /// What is counted on a route.
    pub(crate) fn limiters(&self, route: u32) -> &[Arc<Limiter>] {
        if self.limiters.is_empty() { &[] } else { self.limiters.get(&route).map_or(&[], Vec::as_slice) }
    }

    /// What the answers to one client share.
    pub(crate) fn pacer(&self, name: &str) -> Option<&Arc<Pacer>> {
        self.pacers.get(name)
    }

    /// Whether a site is open for this client.
    ///
    /// # Errors
    /// 503 while it is closed for work.
    pub(crate) async fn attend(&self, site: usize, client: Option<IpAddr>, house: &House) -> Result<(), Fault> {
        let Some(maintenance) = &self.plan.sites[site].maintenance else { return Ok(()) };
        let (mark, now_ms) = (&self.closed[site], house.clock.coarse_ms());
        let mut seen = mark.load(Ordering::Relaxed);
        let later = (now_ms + LOOK_MS) << 1 | seen & 1;
        let is_due = seen == 0 || seen >> 1 <= now_ms;
        // One request looks; the others go by what was seen last.
        if is_due && mark.compare_exchange(seen, later, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let file = maintenance.file.clone();
            let threads = house.file_pools.root(file.parent().unwrap_or(Path::new("/"))).threads(Path::new(""));
            // Where a file system does not say, it is as it was.
            if let Ok(is_closed) = threads.run(move || file.exists()).await {
                seen = later & !1 | u64::from(is_closed);
                mark.store(seen, Ordering::Relaxed);
            }
        }
        let is_let_in = client.is_some_and(|client| maintenance.allow.iter().any(|network| network.holds(client)));
        if seen & 1 == 0 || is_let_in { Ok(()) } else { Err(Fault::Maintenance) }
    }

    /// The head of a request as a site spells it, where that is another spelling.
    ///
    /// # Errors
    /// 400, as when it was read.
    pub(crate) fn spelled(&self, site: usize, head: &Head) -> Result<Option<Head>, Fault> {
        if self.plan.sites[site].merges_slashes || memchr::memmem::find(head.raw_target(), b"//").is_none() {
            return Ok(None);
        }
        let mut spelled = head.clone();
        keep_slashes(&mut spelled)?;
        Ok(Some(spelled))
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
