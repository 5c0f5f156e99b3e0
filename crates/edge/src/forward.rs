//! In:     a connection to the forward proxy.
//! Out:    the same, joined to the server that its client asked for, where that is allowed.
//! Actors: the task of the connection; the resolver, on a thread.
//! Never:  does it lead anywhere that is not named, or to this machine and its neighbours by a name that was.

use crate::exchange::{Arrival, Exchange};
use crate::house::House;
use crate::http1::{Asked, Proxied};
use crate::journey;
use crate::passwords::authenticate;
use crate::rules::Rules;
use crate::stream::{Socket, Stream};
use crate::trip::Trip;
use crate::tunnel;
use hallway_core::http1::put_forwarded_head;
use hallway_core::plan::{AllowedTarget, ForwardProxy};
use hallway_core::route::{host_of, port_of};
use hallway_core::{Fault, Head, permit};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// For a server to take a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Serves a connection: one request, which is all that it carries.
pub(crate) async fn serve(house: Rc<House>, stream: Stream, arrival: Arrival) {
    let mut proxied = Proxied::new(&house, stream, arrival.gate.clone());
    let mut head = house.spares.head();
    let asked = proxied.read(&mut head).await;
    let (rules, trip) = (house.rules(), Trip::begin(&house));
    let outcome = match asked {
        Asked::Nothing => return,
        Asked::Refused(fault) => Err(fault),
        Asked::Request => reach(&house, &rules, &head, &arrival).await,
    };
    match outcome {
        Ok(server) => {
            let (client, before) = proxied.into_parts();
            join(&house, (client, before), server, &head).await;
            journey::note(
                &house,
                &Exchange { head: &head, arrival: &arrival, rules: &rules, wire: &mut () },
                trip,
                200,
            );
        }
        Err(fault) => {
            let mut wire = proxied.wire(&head);
            let exchange = Exchange { head: &head, arrival: &arrival, rules: &rules, wire: &mut wire };
            journey::refuse(&house, exchange, fault).await;
            drop(wire);
            proxied.close().await;
        }
    }
}

/// Connects to the server that the client asked for.
async fn reach(house: &House, rules: &Rules, head: &Head, arrival: &Arrival) -> Result<TcpStream, Fault> {
    let proxy = rules.plan.forward_proxy.as_ref().ok_or(Fault::NotFound)?;
    let access = hallway_core::plan::Access { allow: proxy.clients.clone(), deny: Vec::new() };
    permit::allow_client(&access, arrival.peer.address)?;
    if let Some(auth) = &proxy.basic_auth {
        let known = authenticate(house, head, b"proxy-authorization", auth).await;
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
    connect(target, host, port).await.map_err(|_| Fault::Unreachable)
}

fn allowed<'p>(proxy: &'p ForwardProxy, host: &str, port: u16) -> Option<&'p AllowedTarget> {
    proxy.allow.iter().find(|target| target.holds(host, port))
}

async fn connect(target: &AllowedTarget, host: &str, port: u16) -> io::Result<TcpStream> {
    let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
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

/// Carries bytes both ways until one side has been silent for too long, or both have ended.
async fn join(house: &House, (mut client, before): (Stream, Vec<u8>), mut server: TcpStream, head: &Head) {
    let first = if head.method() == b"CONNECT" {
        if client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await.is_err() {
            return;
        }
        before
    } else {
        let mut first = Vec::new();
        put_forwarded_head(&mut first, head);
        first.extend_from_slice(&before);
        first
    };
    if client.flush().await.is_err() || server.write_all(&first).await.is_err() {
        return;
    }
    let silence_ms = house.limits().idle_timeout_ms;
    let mut server = Stream::Plain(Socket::Tcp(server));
    tunnel::join(house, (&mut client, Vec::new()), (&mut server, Vec::new()), silence_ms).await;
}
