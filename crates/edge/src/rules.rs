//! In:     a plan.
//! Out:    the same, ready to be asked: sites, desks, logs.
//! Actors: none; one for all event loops, replaced as a whole by a reload.
//! Never:  does a request go by two of them.

use crate::exchange::Exchange;
use crate::lane::AppDesk;
use crate::log::Sink;
use crate::tls::Tls;
use hallway_core::Fault;
use hallway_core::plan::{Listen, Plan, SiteTls};
use hallway_core::ports::Master;
use hallway_core::route::Sites;
use hallway_core::semantics::{AnswerHead, to_https};
use std::io;
use std::sync::Arc;

/// The port of a URL with `https` that names none (RFC 9110, 4.2.2).
const HTTPS_PORT: u16 = 443;

/// What rules need that outlives them.
pub(crate) struct Parts {
    pub(crate) desks: Vec<Arc<AppDesk>>,
    pub(crate) sinks: Vec<Arc<Sink>>,
    pub(crate) master: Arc<dyn Master>,
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
    pub(crate) tls: Tls,
    /// The port of encrypted connections, where it is not the usual one.
    https_port: Option<u16>,
    master: Arc<dyn Master>,
}

impl Rules {
    pub(crate) fn new(plan: Plan, serial: u32, parts: Parts) -> io::Result<Rules> {
        let sites = Sites::new(&plan).map_err(io::Error::other)?;
        let ports = plan.listeners.iter().filter(|listener| listener.tls).map(|listener| match &listener.at {
            Listen::Tcp(address) => address.port(),
            Listen::Unix(_) | Listen::Inherited(_) => HTTPS_PORT,
        });
        // Where several lead to the same, the usual one is the best.
        let https_port = ports.min_by_key(|port| *port != HTTPS_PORT).filter(|port| *port != HTTPS_PORT);
        let tls = Tls::of(&plan)?;
        let Parts { desks, sinks, master } = parts;
        Ok(Rules { plan, serial, sites, desks, sinks, tls, https_port, master })
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
            let is_same = name.is_some_and(|name| name == head.host() || self.sites.site(name) == Some(site));
            // Who named no site may still ask for one, but not past those who have to show a certificate.
            let is_open = name.is_none() && tls.is_none_or(|tls| tls.clients.is_none());
            return if is_same || is_open { Ok(None) } else { Err(Fault::Misdirected) };
        }
        match tls {
            Some(tls) if tls.redirects && !https => Ok(Some(to_https(head, self.https_port))),
            Some(SiteTls { clients: Some(clients), .. }) if !clients.optional => Err(Fault::Misdirected),
            None if arrival.gate.is_tls() => Err(Fault::BadRequest("This port speaks HTTPS.")),
            _ => Ok(None),
        }
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
