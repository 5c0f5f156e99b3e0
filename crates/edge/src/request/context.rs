//! What a request is decided by.
//!
//! In:     an exchange, as it comes from its engine.
//! Out:    who asks, by which plan, site and route; what is said of that to whoever answers.
//! Actors: the task of the request.
//! Never:  changes its plan on the way.

use crate::request::limits::Counted;
use crate::request::loop_plan::LoopPlan;
use crate::request::record::RequestRecord;
use hallway_core::plan::{RequestLines, Route};
use hallway_core::route::port_of;
use hallway_core::semantics::Addresses;
use hallway_core::semantics::{Belief, ForwardedFacts, Speaker, Trace, relayed};
use hallway_core::{Head, Name};
use hallway_net::http::exchange::{Arrival, Exchange};
use hallway_net::runtime::console::Voice;
use hallway_net::runtime::event_loop::EventLoop;
use hallway_net::runtime::ids::RequestId;
use hallway_net::socket::stream::Peer;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a trusted proxy says of its client.
#[derive(Clone)]
pub(crate) struct Relay {
    pub(crate) client: Peer,
    pub(crate) https: bool,
    pub(crate) host: Option<Vec<u8>>,
    pub(crate) port: Option<u16>,
    /// How far the proxy is believed.
    pub(crate) speaker: Speaker,
}

/// What a request is decided by, as its stops learn it.
pub(crate) struct RequestContext {
    /// The plan that it goes by, from its first stop to its last.
    pub(crate) plan: Rc<LoopPlan>,
    /// Its own id.
    pub(crate) request_id: RequestId,
    /// The request that this is a copy or a part of, whose trace it belongs to.
    pub(crate) origin: Option<RequestId>,
    /// When its head was read, on the clock of the process.
    pub(crate) begun_us: u64,
    /// The client behind trusted proxies, where one of them sent the request.
    pub(crate) relay: Option<Relay>,
    /// Which site answers, where one does.
    pub(crate) site: Option<usize>,
    /// Which route of it, where one does.
    pub(crate) route: Option<usize>,
    /// Who asks, where a password said so, or who was asked for it.
    pub(crate) user: Option<String>,
    /// What is said instead of what the client says, where that is not what the route says.
    pub(crate) lines: Option<Rc<RequestLines>>,
    /// Cookies that who was asked for the client renewed.
    pub(crate) cookies: Vec<Vec<u8>>,
    /// What counts while the request is open.
    pub(crate) counted: Vec<Counted>,
    /// Whether it is a copy, for whose answer nobody waits.
    pub(crate) is_copy: bool,
    /// What is told at its end.
    pub(crate) record: RequestRecord,
}

impl RequestContext {
    /// That of a request whose head was read just now.
    pub(crate) fn begin(event_loop: &EventLoop, plan: Rc<LoopPlan>) -> RequestContext {
        RequestContext {
            plan,
            request_id: event_loop.ids.next(),
            origin: None,
            begun_us: event_loop.clock.now_us(),
            relay: None,
            site: None,
            route: None,
            user: None,
            lines: None,
            cookies: Vec::new(),
            counted: Vec::new(),
            is_copy: false,
            record: RequestRecord::default(),
        }
    }

    /// The route, once it is known.
    pub(crate) fn route(&self) -> Option<&Route> {
        self.plan.sites.get(self.site?)?.routes.get(self.route?)
    }

    /// The same for a copy or a part of the request: of the same client and site, with the same id, by which whoever
    /// reads logs finds them together.
    pub(crate) fn copied(&self, event_loop: &EventLoop) -> RequestContext {
        let (relay, site, user) = (self.relay.clone(), self.site, self.user.clone());
        let origin = Some(self.origin.as_ref().unwrap_or(&self.request_id).clone());
        let begun = RequestContext::begin(event_loop, self.plan.clone());
        let mut context = RequestContext { origin, relay, site, user, ..begun };
        context.request_id.take_over(self.request_id.as_str());
        context
    }

    /// Learns who the client is, where a trusted proxy says so.
    pub(crate) fn learn_client<W>(&mut self, exchange: &Exchange<'_, W>) {
        let Exchange { head, arrival, .. } = exchange;
        let peer = &arrival.peer;
        self.relay = relayed(head, peer.address, &self.plan.trust).map(|relayed| {
            if let Some(id) = relayed.request_id {
                self.request_id.take_over(id);
            }
            let is_peer = relayed.client == peer.address;
            let ip = relayed.client.map_or_else(String::new, |address| address.to_string());
            // The port that the client asked: as it is said, else as its host or its scheme say it. Where nothing is said
            // of it, it is the one that it reached here.
            let usual = match (relayed.https, arrival.is_https()) {
                (Some(true), _) => Some(443),
                (Some(false), true) => Some(80),
                _ => None,
            };
            let port = relayed.port.or_else(|| relayed.host.and_then(port_of)).or(usual);
            Relay {
                client: Peer { address: relayed.client, ip, port: if is_peer { peer.port } else { 0 } },
                https: relayed.https.unwrap_or(arrival.is_https()),
                host: relayed.host.map(<[u8]>::to_vec),
                port,
                speaker: relayed.speaker,
            }
        });
        if self.relay.is_none() {
            hint_at_proxy(head, peer, self.plan.by_flags);
        }
    }

    /// Who asks: the client behind trusted proxies, else who is at the other end of the connection.
    pub(crate) fn client<'a>(&'a self, peer: &'a Peer) -> &'a Peer {
        self.relay.as_ref().map_or(peer, |relay| &relay.client)
    }

    /// What is said of the request to whoever answers it.
    pub(crate) fn forwarded<'a, W>(
        &'a self,
        event_loop: &EventLoop,
        exchange: &'a Exchange<'_, W>,
    ) -> ForwardedFacts<'a> {
        let (arrival, plan, relay) = (exchange.arrival, &self.plan, self.relay.as_ref());
        let clients = self.site.and_then(|site| plan.sites[site].tls.as_ref()?.clients.as_ref());
        let (client, local, https) = (self.client(&arrival.peer), arrival.local(), self.is_https(arrival));
        let given_port = relay.and_then(|relay| relay.port);
        ForwardedFacts {
            addresses: Addresses {
                peer_ip: &client.ip,
                peer_port: client.port,
                local_name: &local.name,
                local_port: given_port.unwrap_or(local.port),
                https,
            },
            host: relay.and_then(|relay| relay.host.as_deref()).unwrap_or(exchange.head.host()),
            request_id: self.request_id.as_str(),
            unix_ms: event_loop.clock.unix_ms(self.begun_us),
            belief: Belief {
                speaker: relay.map_or(Speaker::Stranger, |relay| relay.speaker),
                trust: Some(&plan.trust),
            },
            trace: Trace { id: self.origin.as_ref().unwrap_or(&self.request_id).own(), request: self.request_id.own() },
            user: self.user.as_deref(),
            user_by_password: self.route().is_some_and(|route| route.basic_auth.is_some()),
            certificate: arrival.tls.as_ref().and_then(|tls| tls.certificate.as_deref()),
            asks_certificate: clients.is_some(),
            certificate_header: clients.and_then(|clients| clients.header.as_deref()),
            tls: arrival.tls_told(),
            lines: self.lines.as_deref().or_else(|| Some(&self.route()?.request_lines)),
        }
    }

    /// Whether the client's connection is encrypted.
    pub(crate) fn is_https(&self, arrival: &Arrival) -> bool {
        self.relay.as_ref().map_or_else(|| arrival.is_https(), |relay| relay.https)
    }
}

/// Says once that somebody nearby speaks as a proxy and is not believed: then apps see the proxy as their client, and no
/// https, which looks like a fault of theirs.
fn hint_at_proxy(head: &Head, peer: &Peer, by_flags: bool) {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    let names_client = |name| matches!(name, Name::XForwardedFor | Name::XForwardedProto | Name::Forwarded);
    if IS_TOLD.load(Ordering::Relaxed) || !head.fields.any(names_client) {
        return;
    }
    let is_near = peer.address.is_none_or(|address| match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    });
    if !is_near || IS_TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    let (who, seen) = match &*peer.ip {
        "" => ("unix", "no client at all"),
        address => (address, address),
    };
    let mend = match by_flags {
        true => format!("--trusted-proxy {who}"),
        false => format!("trusted_proxies = [\"{who}\"] in [server]"),
    };
    Voice::of_process().say(&format!(
        "somebody at {who} says for which client it asks (X-Forwarded-*), and is not believed: apps see {seen}, and the scheme \
         of this connection; if that is your proxy, write {mend}"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{FakeWire, arrival, get, head, on_loop};
    use hallway_core::plan::{Plan, Trust};
    use std::sync::Arc;

    fn plan() -> Rc<LoopPlan> {
        let trust = Trust { networks: vec!["198.51.100.0/24".parse().unwrap()], ..Trust::default() };
        Rc::new(LoopPlan::from(Arc::new(Plan { trust, ..Plan::empty() })))
    }

    const FORWARDED: &str = "GET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 203.0.113.5\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Host: outer.example\r\nX-Request-ID: given-id\r\n\r\n";

    #[test]
    fn a_proxy_that_is_believed_says_who_asks_for_what() {
        on_loop(async |event_loop| {
            let (head, arrival) = (head(FORWARDED), arrival("198.51.100.9"));
            let mut context = RequestContext::begin(&event_loop, plan());
            let exchange = Exchange { head: &head, arrival: &arrival, wire: &mut FakeWire::default() };
            context.learn_client(&exchange);
            assert_eq!(context.client(&arrival.peer).ip, "203.0.113.5");
            let facts = context.forwarded(&event_loop, &exchange);
            assert_eq!((facts.addresses.peer_ip, facts.addresses.peer_port), ("203.0.113.5", 0));
            assert_eq!((facts.addresses.local_name, facts.addresses.local_port), ("192.0.2.1", 443));
            assert_eq!(
                (facts.addresses.https, facts.host, facts.request_id),
                (true, &b"outer.example"[..], "given-id")
            );
        });
    }

    #[test]
    fn a_stranger_says_nothing_about_itself() {
        on_loop(async |event_loop| {
            let (head, arrival) = (head(FORWARDED), arrival("203.0.113.99"));
            let mut context = RequestContext::begin(&event_loop, plan());
            let exchange = Exchange { head: &head, arrival: &arrival, wire: &mut FakeWire::default() };
            context.learn_client(&exchange);
            assert!(context.relay.is_none() && !context.is_https(&arrival));
            let facts = context.forwarded(&event_loop, &exchange);
            assert_eq!((facts.addresses.peer_ip, facts.addresses.peer_port), ("203.0.113.99", 4321));
            assert_eq!((facts.addresses.local_port, facts.addresses.https, facts.host), (80, false, &b"inner"[..]));
            assert_ne!(facts.request_id, "given-id");
        });
    }

    #[test]
    fn a_copy_is_found_beside_its_request_and_is_one_of_its_own() {
        on_loop(async |event_loop| {
            let mut context = RequestContext::begin(&event_loop, plan());
            (context.user, context.site) = (Some("ann".into()), Some(3));
            let copy = context.copied(&event_loop);
            let part_of_copy = copy.copied(&event_loop);
            for one in [&copy, &part_of_copy] {
                assert_eq!(one.request_id.as_str(), context.request_id.as_str());
                assert_ne!(one.request_id.own(), context.request_id.own());
                assert_eq!(one.origin.as_ref().unwrap().own(), context.request_id.own(), "all have one trace");
                assert_eq!((one.user.as_deref(), one.site, one.route), (Some("ann"), Some(3), None));
            }
            assert_ne!(copy.request_id.own(), part_of_copy.request_id.own());
        });
    }

    #[test]
    fn requests_have_ids_of_their_own() {
        on_loop(async |event_loop| {
            let (one, other) = (get("/"), get("/"));
            let arrival = arrival("192.0.2.7");
            let mut ids = Vec::new();
            for head in [&one, &other] {
                let mut context = RequestContext::begin(&event_loop, plan());
                let exchange = Exchange { head, arrival: &arrival, wire: &mut FakeWire::default() };
                context.learn_client(&exchange);
                let facts = context.forwarded(&event_loop, &exchange);
                assert_eq!(facts.request_id.as_bytes(), facts.trace.request);
                ids.push(facts.request_id.to_owned());
            }
            assert_ne!(ids[0], ids[1]);
        });
    }
}
