//! In:     a byte stream that speaks HTTP/1.
//! Out:    exchanges, one after the other, and their answers as bytes.
//! Actors: one task for each connection.
//! Never:  does a byte after a refused head or a broken body count as a request.

mod connection;
mod sendfile;
mod wire;

use crate::exchange::{Arrival, Exchange, Wire};
use crate::house::House;
use crate::listen::Gate;
use crate::stream::Stream;
use crate::{http2, journey};
use connection::{Connection, Next};
use hallway_core::{Fault, Head};
use std::rc::Rc;
use wire::Http1;

/// Serves a connection until it ends.
pub(crate) async fn serve(house: Rc<House>, stream: Stream, arrival: Arrival) {
    let mut connection = Connection::new(&house, stream, arrival.gate.clone());
    loop {
        if !connection.await_bytes().await {
            return connection.part().await;
        }
        let mut head = house.spares.head();
        let next = connection.read_head(&mut head).await;
        if matches!(next, Next::Http2) {
            // What a client says that knows what is spoken here (RFC 9113, 3.3).
            let (stream, before) = connection.into_parts();
            return Box::pin(http2::serve(house, stream, before, arrival)).await;
        }
        let mut wire = Http1::new(&mut connection, &head);
        if matches!(next, Next::Refused(_)) {
            wire.distrust_input();
        }
        let rules = house.rules();
        let exchange = Exchange { head: &head, arrival: &arrival, rules: &rules, wire: &mut wire };
        let goes_on = match next {
            Next::Request => {
                journey::travel(&house, exchange).await;
                wire.is_reusable()
            }
            Next::Refused(fault) => {
                journey::refuse(&house, exchange, fault).await;
                false
            }
            Next::Closed | Next::Http2 => return,
        };
        let (lingers, is_cut_short) = (wire.leaves_bytes(), wire.is_cut_short());
        house.spares.keep_head(head);
        if is_cut_short {
            return connection.break_off();
        }
        if !goes_on {
            connection.close(lingers).await;
            return;
        }
    }
}

/// A connection that carries one request for another server.
pub(crate) struct Proxied(Connection);

/// What came by it.
pub(crate) enum Asked {
    Request,
    Refused(Fault),
    Nothing,
}

impl Proxied {
    pub(crate) fn new(house: &Rc<House>, stream: Stream, gate: Rc<Gate>) -> Proxied {
        Proxied(Connection::new(house, stream, gate))
    }

    /// Reads the head of the request.
    pub(crate) async fn read(&mut self, head: &mut Head) -> Asked {
        if !self.0.await_bytes().await {
            return Asked::Nothing;
        }
        match self.0.read_head(head).await {
            Next::Request => Asked::Request,
            Next::Refused(fault) => Asked::Refused(fault),
            Next::Closed | Next::Http2 => Asked::Nothing,
        }
    }

    /// The way for an answer that is none of the server's, after which nothing more is taken.
    pub(crate) fn wire(&mut self, head: &Head) -> impl Wire {
        let mut wire = Http1::new(&mut self.0, head);
        wire.distrust_input();
        wire
    }

    /// Ends it.
    pub(crate) async fn close(self) {
        self.0.close(true).await;
    }

    /// The stream, and what was read of it behind the head.
    pub(crate) fn into_parts(self) -> (Stream, Vec<u8>) {
        self.0.into_parts()
    }
}
