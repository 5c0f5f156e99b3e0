//! The site that a request is for.
//!
//! In:     a request whose site is known.
//! Out:    whether it may go on into that site, and how its path is spelled there.
//! Actors: the task of the request; a thread for files looks whether a site is closed.
//! Never:  does a connection that was made for one site reach another that asks for more.

use crate::journey::rules::Rules;
use hallway_core::plan::SiteTls;
use hallway_core::route::keep_slashes;
use hallway_core::semantics::{AnswerHead, to_https};
use hallway_core::{Fault, Head};
use hallway_net::http::exchange::Exchange;
use hallway_net::runtime::event_loop::EventLoop;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::Ordering;

/// How long it is believed that a site is open, or closed.
const LOOK_MS: u64 = 500;

impl Rules {
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

    /// Whether a site is open for this client.
    ///
    /// # Errors
    /// 503 while it is closed for work.
    pub(crate) async fn attend(
        &self,
        site: usize,
        client: Option<IpAddr>,
        event_loop: &EventLoop,
    ) -> Result<(), Fault> {
        let Some(maintenance) = &self.plan.sites[site].maintenance else { return Ok(()) };
        let (mark, now_ms) = (&self.closed[site], event_loop.clock.coarse_ms());
        let mut seen = mark.load(Ordering::Relaxed);
        let later = (now_ms + LOOK_MS) << 1 | seen & 1;
        let is_due = seen == 0 || seen >> 1 <= now_ms;
        // One request looks; the others go by what was seen last.
        if is_due && mark.compare_exchange(seen, later, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let file = maintenance.file.clone();
            let threads = event_loop.file_threads.root(file.parent().unwrap_or(Path::new("/"))).threads(Path::new(""));
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
}
