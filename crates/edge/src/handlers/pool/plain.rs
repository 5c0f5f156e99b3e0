//! In:     a request; a connection to the server that its client chose.
//! Out:    the answer of that server, with the client.
//! Actors: the task of the request.
//! Never:  is anything of the client's connection sent but this request, up to the end of its body.

use crate::handlers::pool::connect::Connection;
use crate::handlers::pool::head_wait::HeadWait;
use crate::handlers::pool::outgoing::{Coding, Outgoing};
use crate::handlers::pool::protocol::{Flight, OnConnection, Speech};
use crate::request::context::RequestContext;
use hallway_core::Fault;
use hallway_core::head::Framing;
use hallway_core::http1::{Asked, put_forwarded_head};
use hallway_core::semantics::delimit;
use hallway_net::body::piece::Piece;
use hallway_net::http::exchange::{Exchange, Wire};
use hallway_net::runtime::deadline::{Deadline, SWEEP};
use hallway_net::runtime::event_loop::EventLoop;
use hallway_net::socket::stream::Stream;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Has a server that is of no pool answer a request, and its client have the answer.
///
/// # Errors
/// What came in between; where no status is noted nothing was sent to the client.
pub(crate) async fn relay<W: Wire>(
    event_loop: &EventLoop,
    exchange: &mut Exchange<'_, W>,
    context: &mut RequestContext,
    server: Stream,
) -> Result<(), Fault> {
    let head = exchange.head;
    let mut out = event_loop.buffers.buffer();
    put_forwarded_head(&mut out, head);
    let outgoing = match head.framing {
        Framing::None => Outgoing::new(out, None, Coding::Plain),
        Framing::Length(_) => Outgoing::fed(out, (Coding::Plain, None), head.expects_continue),
        Framing::Chunked => Outgoing::fed(out, (Coding::Chunked, None), head.expects_continue),
    };
    let now_ms = event_loop.clock.coarse_ms();
    let speech = Speech::Http1 { keeps: false };
    let connection = OnConnection::new(Connection::of(server, now_ms), speech, outgoing, now_ms);
    let (mut flight, deadline) = (Flight::OnConnection(connection), Deadline::new(&event_loop.deadlines));
    let asked = Asked { is_head: head.is_head(), ..Asked::default() };
    let timeout_ms = event_loop.limits.get().idle_timeout_ms;
    let answer = HeadWait { event_loop, timeout_ms }.end(exchange, &mut flight, asked, &deadline).await;
    let answer = answer.map_err(|broken| broken.fault)?;
    let (delimited, has_body) = delimit(&answer.head, head);
    context.record.status = answer.head.status;
    exchange.wire.begin(&answer.head, delimited);
    exchange.wire.send(&Piece::default(), !has_body).await?;
    let mut is_last = !has_body;
    while !is_last {
        let piece;
        (piece, is_last) = next_piece(event_loop, exchange.wire, &mut flight, (&deadline, timeout_ms)).await?;
        context.record.body_bytes += piece.len();
        if is_last {
            exchange.wire.trail(flight.trailers());
        }
        exchange.wire.send(&piece, is_last).await?;
        piece.recycle(&event_loop.buffers);
    }
    Ok(())
}

/// The next piece of the answer; meanwhile the rest of the request goes on its way.
async fn next_piece<W: Wire>(
    event_loop: &EventLoop,
    wire: &mut W,
    flight: &mut Flight,
    (deadline, timeout_ms): (&Deadline, u64),
) -> Result<(Piece, bool), Fault> {
    let mut more = Vec::new();
    loop {
        let due_ms = event_loop.clock.coarse_ms() + timeout_ms + SWEEP.as_millis() as u64;
        let wanted = flight.outgoing().wants();
        let step = {
            let mut reading = pin!(wire.read_body(&mut more));
            let next = poll_fn(|task| match flight.poll_piece(&event_loop.clock, task) {
                Poll::Ready(piece) => Poll::Ready(Ok(piece)),
                Poll::Pending if wanted => reading.as_mut().poll(task).map(|read| Err(Some(read))),
                // There is room for more of the request now.
                Poll::Pending if flight.outgoing().wants() => Poll::Ready(Err(None)),
                Poll::Pending => Poll::Pending,
            });
            deadline.until(due_ms, next).await
        };
        match step.map_err(|_| Fault::ServerTimeout)? {
            Ok(piece) => return piece,
            Err(None) => {}
            Err(Some(read)) => {
                let end = (!read?).then(|| wire.trailers());
                flight.outgoing().feed(&more, end);
                more.clear();
            }
        }
    }
}
