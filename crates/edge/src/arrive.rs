//! In:     a connection that was just accepted.
//! Out:    the same, served by the engine of what it speaks: TLS or not, HTTP/1 or HTTP/2.
//! Actors: the task of the connection.
//! Never:  does one that says nothing stay for longer than a head may take.

use crate::deadline::{Deadline, SWEEP, Wait};
use crate::exchange::Arrival;
use crate::house::House;
use crate::listen::Gate;
use crate::stream::{Peer, Socket, Stream};
use crate::tls;
use crate::{http1, http2};
use std::rc::Rc;

/// Serves a connection until it ends.
pub(crate) async fn arrive(house: Rc<House>, socket: Socket, peer: Peer, gate: Rc<Gate>) {
    if !gate.is_tls() {
        return http1::serve(house, Stream::Plain(socket), Arrival { peer, gate, tls: None }).await;
    }
    // What only connections that are encrypted need is not kept by others.
    Box::pin(arrive_encrypted(house, socket, peer, gate)).await;
}

async fn arrive_encrypted(house: Rc<House>, socket: Socket, peer: Peer, gate: Rc<Gate>) {
    let deadline = Deadline::new(&house.deadlines);
    let due_ms = house.clock.coarse_ms() + house.limits().head_timeout_ms + SWEEP.as_millis() as u64;
    let mut first = [0];
    let seen = deadline.wait(Wait::Fresh, due_ms, socket.peek(&mut first)).await;
    if !matches!(seen, Ok(Ok(_))) {
        return;
    }
    if first[0].is_ascii_uppercase() {
        // Somebody left out the s of https: they are sent to it.
        drop(deadline);
        return http1::serve(house, Stream::Plain(socket), Arrival { peer, gate, tls: None }).await;
    }
    let rules = house.rules();
    let accepted = deadline.wait(Wait::Fresh, due_ms, Box::pin(tls::accept(socket, &rules))).await;
    drop((rules, deadline));
    let Ok(Ok((stream, facts))) = accepted else { return };
    let stream = Stream::Tls(Box::new(stream));
    let arrival = Arrival { peer, gate, tls: Some(facts) };
    match &arrival.tls {
        Some(tls) if tls.is_http2 => http2::serve(house, stream, Vec::new(), arrival).await,
        _ => http1::serve(house, stream, arrival).await,
    }
}
