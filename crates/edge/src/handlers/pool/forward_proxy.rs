//! In:     a request to the forward proxy.
//! Out:    the answer of the server that its client asked for, or the way to it, where that is allowed.
//! Actors: the task of the connection; the resolver, on a thread.
//! Never:  does it lead anywhere that is not named, or to this machine and its neighbours by a name that was; or a
//!         request go on that was not looked at, because one before it was.

use super::plain::relay;
use crate::request::context::RequestContext;
use crate::request::passwords::authenticate;
use hallway_core::http1::AnswerBody;
use hallway_core::plan::{AllowedTarget, ForwardProxy, Plan};
use hallway_core::route::{host_of, port_of};
use hallway_core::semantics::AnswerHead;
use hallway_core::{Fault, Head, permit};
use hallway_net::body::piece::Piece;
use hallway_net::http::exchange::{Arrival, Exchange, Wire};
use hallway_net::runtime::event_loop::EventLoop;
use hallway_net::runtime::thread_pool::NotDone;
use hallway_net::socket::stream::{Socket, Stream};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;
use tokio::net::TcpStream;

/// For a server to take a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Carries a request to the server that its client asked for, or joins the two: each is looked at for itself, whatever
/// came before it on its connection.
///
/// # Errors
/// Why not; where no status is noted nothing was sent to the client.
pub(crate) async fn carry<W: Wire>(
    event_loop: &EventLoop,
    exchange: &mut Exchange<'_, W>,
    context: &mut RequestContext,
) -> Result<(), Fault> {
    let server = reach(event_loop, &context.plan, exchange.head, exchange.arrival).await?;
    let mut server = Stream::Plain(Socket::Tcp(server));
    if exchange.head.method() != b"CONNECT" {
        return relay(event_loop, exchange, context, server).await;
    }
    let answer = AnswerHead { reason: b"Connection Established".to_vec(), ..AnswerHead::new(200) };
    context.record.status = answer.status;
    exchange.wire.begin(&answer, AnswerBody::Absent);
    exchange.wire.send(&Piece::default(), true).await?;
    exchange.wire.tunnel(&mut server, Vec::new(), event_loop.limits.get().idle_timeout_ms).await;
    Ok(())
}

/// Connects to the server that the client asked for.
async fn reach(event_loop: &EventLoop, plan: &Plan, head: &Head, arrival: &Arrival) -> Result<TcpStream, Fault> {
    let proxy = plan.forward_proxy.as_ref().ok_or(Fault::NotFound)?;
    let access = hallway_core::plan::Access { allow: proxy.clients.clone(), deny: Vec::new() };
    permit::allow_client(&access, arrival.peer.address)?;
    if let Some(auth) = &proxy.basic_auth {
        let (client, now_ms) = (arrival.peer.address, event_loop.clock.coarse_ms());
        let known = authenticate((head, b"proxy-authorization"), auth, client, now_ms).await;
        known.map_err(|fault| if fault == Fault::Unauthorized { Fault::ProxyUnauthorized } else { fault })?;
    }
    let is_tunnel = head.method() == b"CONNECT";
    if !is_tunnel && !head.raw_target().starts_with(b"http://") {
        return Err(Fault::BadRequest("A proxy is asked with CONNECT, or for a whole address."));
    }
    let host = String::from_utf8_lossy(host_of(head.host())).to_ascii_lowercase();
    let host = host.trim_matches(['[', ']']);
    let port = port_of(head.host()).unwrap_or(80);
    let target = allowed(proxy, host, port).ok_or(Fault::Forbidden)?;
    let found = resolve(event_loop, host, port).await?;
    connect(target, found).await.map_err(|_| Fault::Unreachable)
}

fn allowed<'p>(proxy: &'p ForwardProxy, host: &str, port: u16) -> Option<&'p AllowedTarget> {
    proxy.allow.iter().find(|target| target.holds(host, port))
}

/// The addresses of a name, by way of this machine's own resolver, which a thread waits for.
async fn resolve(event_loop: &EventLoop, host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let name = host.to_owned();
    let found = event_loop.name_threads.run(move || (&*name, port).to_socket_addrs().map(Vec::from_iter)).await;
    match found {
        Ok(found) => found.map_err(|_| Fault::Unreachable),
        Err(NotDone::Late) => Err(Fault::NamesLate),
        Err(NotDone::Refused) => Err(Fault::Busy),
    }
}

async fn connect(target: &AllowedTarget, found: Vec<SocketAddr>) -> io::Result<TcpStream> {
    // Whoever owns a name says where it leads: not to what only this machine can reach, unless that was named.
    let reachable = found.into_iter().filter(|address| target.is_address() || is_public(address.ip()));
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in reachable {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

/// Whether an address is one of the internet (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => {
            let [first, second, third, _] = it.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            let is_test = first == 198 && (18..20).contains(&second) || (first, second, third) == (192, 0, 0);
            let is_special = first == 0 || first >= 224 || is_shared || is_test;
            !(it.is_loopback() || it.is_private() || it.is_link_local() || is_special)
        }
        IpAddr::V6(it) => {
            let [first, second, ..] = it.segments();
            // Addresses that carry one of IPv4 inside: translated (RFC 6052), 6to4 (RFC 3056).
            let carries_other = (first, second) == (0x64, 0xff9b) || first == 0x2002;
            let is_near = it.is_loopback() || it.is_unspecified() || it.is_unique_local() || it.is_unicast_link_local();
            !(is_near || it.is_multicast() || carries_other)
        }
    }
}
