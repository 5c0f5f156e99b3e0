//! In:     a connection that was just accepted.
//! Out:    the same, served by the engine of what it speaks: TLS or not, HTTP/1 or HTTP/2; behind a proxy, as that
//!         of its client.
//! Actors: the task of the connection.
//! Never:  does one that says nothing stay for longer than a head may take.

use crate::http::exchange::{Arrival, Reached};
use crate::http::service::Service;
use crate::http1;
use crate::http2;
use crate::runtime::deadline::{Deadline, SWEEP, Wait};
use crate::runtime::event_loop::EventLoop;
use crate::socket::client_connections::ClientConnection;
use crate::socket::linger::{LINGER_MS, see_off};
use crate::socket::listener::Gate;
use crate::socket::stream::{Peer, Socket, Stream};
use crate::tls::server::accept;
use hallway_core::proxy_protocol::{Behind, PREFACE_BYTES, Preface, read_preface};
use std::rc::Rc;
use tokio::io::AsyncReadExt;

/// Serves a connection until it ends.
pub async fn arrive<S: Service>(
    event_loop: Rc<EventLoop>,
    service: Rc<S>,
    socket: Socket,
    (peer, gate): (Peer, Rc<Gate>),
) {
    if gate.is_forward() {
        let Some(_counted) = count(&event_loop, &*service, &peer) else { return };
        let arrival = Arrival { peer, gate, tls: None, reached: None };
        return http1::serve(event_loop, service, Stream::Plain(socket), arrival).await;
    }
    let is_behind = service.believes(peer.address);
    if is_behind || gate.is_tls() {
        // What only few connections need is not kept by the others.
        return Box::pin(arrive_by_steps(event_loop, service, socket, (peer, gate, is_behind))).await;
    }
    let Some(_counted) = count(&event_loop, &*service, &peer) else { return };
    http1::serve(event_loop, service, Stream::Plain(socket), Arrival { peer, gate, tls: None, reached: None }).await;
}

/// Counts a connection with those of its client, unless that is a proxy, which has those of all its clients; nothing
/// where there are as many as one may have.
fn count<S: Service>(event_loop: &EventLoop, service: &S, peer: &Peer) -> Option<ClientConnection> {
    let is_proxy = service.believes(peer.address);
    event_loop.connections.enter(peer.address.filter(|_| !is_proxy), event_loop.limits.get().client_connections)
}

async fn arrive_by_steps<S: Service>(
    event_loop: Rc<EventLoop>,
    service: Rc<S>,
    mut socket: Socket,
    (mut peer, gate, is_behind): (Peer, Rc<Gate>, bool),
) {
    let deadline = Deadline::new(&event_loop.deadlines);
    let due_ms = event_loop.clock.coarse_ms() + event_loop.limits.get().head_timeout_ms + SWEEP.as_millis() as u64;
    let mut reached = None;
    if is_behind {
        match deadline.wait(Wait::Fresh, due_ms, named_by_proxy(&mut socket)).await {
            Ok(Some(Some(behind))) => {
                let ip = behind.client.ip().to_canonical();
                peer = Peer { address: Some(ip), ip: ip.to_string(), port: behind.client.port() };
                reached = Some(Rc::new(Reached::from(*behind)));
            }
            Ok(Some(None)) => {}
            Ok(None) | Err(_) => return,
        }
    }
    let Some(_counted) = count(&event_loop, &*service, &peer) else { return };
    let mut first = [0];
    let is_plain = if gate.is_tls() {
        let seen = deadline.wait(Wait::Fresh, due_ms, socket.peek(&mut first)).await;
        if !matches!(seen, Ok(Ok(_))) {
            return;
        }
        // Somebody left out the s of https: they are sent to it.
        first[0].is_ascii_uppercase()
    } else {
        true
    };
    if is_plain {
        drop(deadline);
        return http1::serve(event_loop, service, Stream::Plain(socket), Arrival { peer, gate, tls: None, reached })
            .await;
    }
    let tls = service.tls();
    let accepted = deadline.wait(Wait::Fresh, due_ms, Box::pin(accept(socket, &tls))).await;
    drop(tls);
    let (stream, facts) = match accepted {
        Ok(Ok(agreed)) => agreed,
        // A close would be a reset for a client that has sent its request already: it would never read the alert.
        Ok(Err(Some(socket))) => {
            let due_ms = event_loop.clock.coarse_ms() + LINGER_MS + SWEEP.as_millis() as u64;
            let _ = deadline.wait(Wait::Fresh, due_ms, Box::pin(see_off(socket))).await;
            return;
        }
        Ok(Err(None)) | Err(_) => return,
    };
    drop(deadline);
    let stream = Stream::Tls(Box::new(stream.into()));
    let arrival = Arrival { peer, gate, tls: Some(facts), reached };
    match &arrival.tls {
        Some(tls) if tls.is_http2 => http2::serve(event_loop, service, stream, (Vec::new(), arrival)).await,
        _ => http1::serve(event_loop, service, stream, arrival).await,
    }
}

/// The client that a proxy names before anything else, where it does; nothing for a connection that is of no use.
async fn named_by_proxy(socket: &mut Socket) -> Option<Option<Box<Behind>>> {
    let mut bytes = [0; PREFACE_BYTES];
    let mut seen = 0;
    loop {
        let now = socket.peek(&mut bytes).await.ok()?;
        match read_preface(&bytes[..now]) {
            _ if now == 0 => return Some(None),
            Preface::Absent => return Some(None),
            Preface::Broken => return None,
            Preface::Header(length, behind) => {
                socket.read_exact(&mut bytes[..length]).await.ok()?;
                return Some(behind);
            }
            // It is nothing else, and may be longer than what can be looked at.
            Preface::Begun(length) => {
                let mut whole = vec![0; length];
                socket.read_exact(&mut whole).await.ok()?;
                return match read_preface(&whole) {
                    Preface::Header(_, behind) => Some(behind),
                    _ => None,
                };
            }
            // Nothing tells when there is more to look at than there was.
            Preface::Partial if now == seen => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            Preface::Partial => seen = now,
        }
    }
}

#[cfg(test)]
mod tests;
