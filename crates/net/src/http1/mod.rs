//! In:     a byte stream that speaks HTTP/1.
//! Out:    exchanges, one after the other, and their answers as bytes.
//! Actors: one task for each connection.
//! Never:  does a byte after a refused head or a broken body count as a request.

mod connection;
mod sendfile;
mod wire;

use crate::http::exchange::{Arrival, Exchange};
use crate::http::service::Service;
use crate::http2;
use crate::runtime::event_loop::EventLoop;
use crate::socket::stream::Stream;
use connection::{Connection, Next};
use std::rc::Rc;
use wire::Http1;

/// Serves a connection until it ends.
pub async fn serve<S: Service>(event_loop: Rc<EventLoop>, service: Rc<S>, stream: Stream, arrival: Arrival) {
    let mut connection = Connection::new(&event_loop, stream, arrival.gate.clone());
    loop {
        if !connection.await_bytes().await {
            return connection.part().await;
        }
        let mut head = event_loop.buffers.head();
        let next = connection.read_head(&mut head).await;
        if matches!(next, Next::Http2) && !arrival.gate.takes_http2() {
            return;
        }
        if matches!(next, Next::Http2) {
            // What a client says that knows what is spoken here (RFC 9113, 3.3).
            let (stream, before) = connection.into_parts();
            return Box::pin(http2::serve(event_loop, service, stream, (before, arrival))).await;
        }
        let mut wire = Http1::new(&mut connection, &head);
        if matches!(next, Next::Refused(_)) {
            wire.distrust_input();
        }
        let exchange = Exchange { head: &head, arrival: &arrival, wire: &mut wire };
        let goes_on = match next {
            Next::Request => {
                service.serve(exchange).await;
                wire.is_reusable()
            }
            Next::Refused(fault) => {
                service.refuse(exchange, fault).await;
                false
            }
            Next::Closed | Next::Http2 => return,
        };
        let (lingers, is_cut_short) = (wire.leaves_bytes(), wire.is_cut_short());
        event_loop.buffers.keep_head(head);
        if is_cut_short {
            return connection.break_off();
        }
        if !goes_on {
            connection.close(lingers).await;
            return;
        }
    }
}

#[cfg(test)]
mod tests;
