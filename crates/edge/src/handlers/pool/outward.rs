//! In:     the head of a server's answer; where the server is, and the way by which its request came; that request.
//! Out:    the same, the server's own addresses as clients know them; as it knows them.
//! Actors: none.
//! Never:  does it cost an answer without such an address more than a look.

use crate::handlers::pool::server::{Address, Server};
use crate::request::context::RequestContext;
use hallway_core::Head;
use hallway_core::plan::Pool;
use hallway_core::semantics::{AnswerHead, Mapping, map_inward, map_outward, names_address, names_destination};
use hallway_net::http::exchange::{Exchange, Wire};
use hallway_net::runtime::event_loop::EventLoop;

/// The same places, seen by the server and by its clients; without a slash at the end.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a> {
    pub(crate) inner: &'a [u8],
    pub(crate) outer: &'a [u8],
}

/// Rewrites what names the server's own address.
pub(super) fn turn<W: Wire>(
    head: &mut AnswerHead,
    event_loop: &EventLoop,
    (exchange, context): (&Exchange<'_, W>, &RequestContext),
    (server, pool, places): (&Server, &Pool, Option<Places<'_>>),
) {
    let Some(Places { inner, outer }) = places.filter(|_| names_address(&head.fields)) else { return };
    let facts = context.forwarded(event_loop, exchange);
    let (name, address) = match &server.identity.address {
        Address::Tcp(at) => (server.identity.host.as_str(), Some(*at)),
        Address::Unix(_) | Address::Pool(_) => ("", None),
    };
    let bracketed = |host: &str| {
        let is_bare = host.contains(':') && !host.starts_with('[');
        if is_bare { format!("[{host}]") } else { host.to_owned() }
    };
    let ip = address.map(|at| bracketed(&at.ip().to_string())).unwrap_or_default();
    let (name, port) = (bracketed(name), address.map_or(0, |at| at.port()));
    // No client can mean this machine by it.
    let here: &[u8] = if address.is_some_and(|at| at.ip().is_loopback()) { b"localhost" } else { ip.as_bytes() };
    let mapping = Mapping {
        inner,
        outer,
        before: facts.outer_prefix(exchange.head),
        own: if port == 0 { &[] } else { &[(name.as_bytes(), port), (ip.as_bytes(), port), (here, port)] },
        told_host: pool.host.as_deref().map(str::as_bytes),
        is_https: server.identity.protocol.is_encrypted(),
        asked: [exchange.head.host(), facts.host],
        client_https: facts.addresses.https,
    };
    map_outward(&mut head.fields, &mapping);
}

/// The request with a second address in it as the server knows it, where there is one.
pub(crate) fn turn_inward<W: Wire>(
    head: &Head,
    event_loop: &EventLoop,
    (exchange, context): (&Exchange<'_, W>, &RequestContext),
    places: Option<Places<'_>>,
) -> Option<Head> {
    let Places { inner, outer } = places.filter(|_| names_destination(head))?;
    let facts = context.forwarded(event_loop, exchange);
    let asked = [exchange.head.host(), facts.host];
    let client_https = facts.addresses.https;
    let before = facts.outer_prefix(exchange.head);
    let mapping = Mapping { inner, outer, before, own: &[], told_host: None, is_https: false, asked, client_https };
    let mut turned = head.clone();
    map_inward(&mut turned, &mapping);
    Some(turned)
}
