//! In:     an answer, an exchange.
//! Out:    the answer with the client: its head with the lines that every answer has, its body as the client takes it.
//! Actors: the task of the request.
//! Never:  is an answer that is shorter than was promised taken for whole.

use crate::handlers::pool::UpstreamStream;
use crate::journey::pace::Pace;
use crate::journey::response::{Answer, Body};
use crate::journey::state::Course;
use crate::request::context::RequestContext;
use crate::request::limits::Left;
use hallway_core::Fault;
use hallway_core::http1::AnswerBody;
use hallway_core::semantics::{AnswerHead, ShapeFacts, allow_origin, delimit, preflight, shape};
use hallway_net::body::piece::Piece;
use hallway_net::http::exchange::{Exchange, Wire};
use hallway_net::runtime::deadline::Deadline;
use hallway_net::runtime::event_loop::EventLoop;
use hallway_net::runtime::ready::now;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// So long a server is at the pace of its client; then what it answers is kept for a client that is slow.
const APART_MS: u64 = 200;

/// Stops 9 (shape) and 10 (deliver).
pub(crate) async fn deliver<W: Wire>(
    course: Course<'_>,
    exchange: &mut Exchange<'_, W>,
    context: &mut RequestContext,
    mut answer: Answer,
) -> Result<(), Fault> {
    let state = course.state;
    finish_head(course, exchange, context, &mut answer.head);
    let (delimited, has_body) = delimit(&answer.head, exchange.head);
    if !has_body || answer.body.tunnel().is_some() {
        begin(exchange.wire, context, &answer.head, delimited);
        exchange.wire.send(&Piece::default(), true).await?;
        if let Some(tunnel) = answer.body.tunnel() {
            tunnel.join(exchange.wire).await;
        }
        return Ok(());
    }
    let mut pace = Pace::of(course.rules, context, &exchange.arrival.peer);
    let mut left = answer.head.length;
    let begun_ms = state.event_loop.clock.coarse_ms();
    let (mut piece, mut last) = first_piece(exchange, context, (&mut answer, delimited)).await?;
    loop {
        if let Some(left) = &mut left {
            // A declared length is a promise to the client: what is beyond it is not sent, and
            // what falls short ends the connection, so that nobody takes it for whole.
            piece.truncate(*left);
            *left -= piece.len();
        }
        let is_short = last && left.is_some_and(|left| left > 0);
        let is_whole = !is_short && (last || left == Some(0));
        context.record.body_bytes += piece.len();
        if let Some(pace) = &mut pace {
            pace.send(exchange.wire, &mut piece).await?;
        }
        if let Some(stream) = answer.body.upstream() {
            if is_whole {
                exchange.wire.trail(stream.trailers());
            }
            send_on(&state.event_loop, exchange.wire, (&piece, is_whole), (stream, begun_ms)).await?;
        } else {
            exchange.wire.send(&piece, is_whole).await?;
        }
        piece.recycle(&state.event_loop.buffers);
        if is_short {
            return Err(Fault::BadAnswer("The answer is shorter than its Content-Length."));
        }
        if is_whole {
            return Ok(());
        }
        (piece, last) = next_piece(exchange, &mut answer.body).await?;
    }
}

/// Begins an answer.
fn begin<W: Wire>(wire: &mut W, context: &mut RequestContext, head: &AnswerHead, delimited: AnswerBody) {
    context.record.status = head.status;
    wire.begin(head, delimited);
}

/// Begins an answer and gives the first piece of its body. Where that is ready it goes with the head; else the head goes
/// at once, since a client may wait for just that (gRPC, EventSource). What fails before that has sent nothing.
async fn first_piece<W: Wire>(
    exchange: &mut Exchange<'_, W>,
    context: &mut RequestContext,
    (answer, delimited): (&mut Answer, AnswerBody),
) -> Result<(Piece, bool), Fault> {
    // A server that answers before it has all of the request may wait for the client to go on.
    let is_fed = answer.body.upstream().and_then(UpstreamStream::outgoing).is_some();
    if !is_fed {
        let mut next = pin!(answer.body.next());
        let ready = poll_fn(|task| Poll::Ready(now(next.as_mut().poll(task)))).await.transpose()?;
        if let Some((piece, _)) = ready.as_ref().filter(|(piece, _)| piece.may_fail()) {
            // As long as nothing is sent, a file system that hangs is a 504 and no cut.
            Box::pin(piece.begin()).await?;
        }
        begin(exchange.wire, context, &answer.head, delimited);
        if let Some(first) = ready {
            return Ok(first);
        }
        // What few answers need is not kept by the others.
        Box::pin(exchange.wire.send(&Piece::default(), false)).await?;
        return next.await;
    }
    begin(exchange.wire, context, &answer.head, delimited);
    Box::pin(exchange.wire.send(&Piece::default(), false)).await?;
    Box::pin(next_piece(exchange, &mut answer.body)).await
}

/// The next piece of an answer. Where the server answers before it has all of the request, the rest of that goes on
/// its way meanwhile.
async fn next_piece<W: Wire>(exchange: &mut Exchange<'_, W>, body: &mut Body) -> Result<(Piece, bool), Fault> {
    let mut more = Vec::new();
    loop {
        if body.upstream().and_then(UpstreamStream::outgoing).is_none() {
            let (piece, last) = body.next().await?;
            if piece.is_empty() && !last && body.upstream().and_then(UpstreamStream::outgoing).is_some() {
                continue;
            }
            return Ok((piece, last));
        }
        let step = {
            let mut next = pin!(body.next());
            let mut reading = pin!(exchange.wire.read_body(&mut more));
            poll_fn(|task| match next.as_mut().poll(task) {
                Poll::Ready(piece) => Poll::Ready(Ok(piece)),
                Poll::Pending => reading.as_mut().poll(task).map(Err),
            })
            .await
        };
        match step {
            Ok(piece) => return piece,
            Err(read) => {
                let end = (!read?).then(|| exchange.wire.trailers());
                if let Some(outgoing) = body.upstream().and_then(UpstreamStream::outgoing) {
                    outgoing.feed(&more, end);
                }
                more.clear();
            }
        }
    }
}

/// Sends a piece of a server's answer; where the client takes its time the server does not wait for it.
async fn send_on<W: Wire>(
    event_loop: &EventLoop,
    wire: &mut W,
    (piece, last): (&Piece, bool),
    (stream, begun_ms): (&mut UpstreamStream, u64),
) -> Result<(), Fault> {
    let mut sending = pin!(wire.send(piece, last));
    if let Some(sent) = poll_fn(|task| Poll::Ready(now(sending.as_mut().poll(task)))).await {
        return sent;
    }
    if !last {
        let deadline = Deadline::new(&event_loop.deadlines);
        if let Ok(sent) = deadline.until(begun_ms + APART_MS, sending.as_mut()).await {
            return sent;
        }
        stream.set_apart();
    }
    sending.await
}

/// The lines that every answer has, also one that says what went wrong.
fn finish_head<W>(
    Course { state, rules }: Course<'_>,
    exchange: &Exchange<'_, W>,
    context: &RequestContext,
    answer: &mut AnswerHead,
) {
    if let Some(cors) = context.route().and_then(|route| route.cors.as_ref())
        && preflight(exchange.head, cors).is_none()
    {
        allow_origin(answer, exchange.head, cors);
    }
    for cookie in &context.cookies {
        answer.fields.push(b"Set-Cookie", cookie);
    }
    if let Some(Left { most, left, full_in_s }) = &context.record.left {
        answer.fields.push(b"RateLimit-Policy", format!("\"default\";q={most}").as_bytes());
        answer.fields.push(b"RateLimit", format!("\"default\";r={left};t={full_in_s}").as_bytes());
    }
    let https = context.is_https(exchange.arrival);
    let tls = context.site.filter(|_| https).and_then(|site| rules.plan.sites[site].tls.as_ref());
    let (request_id, strict) = (context.request_id.as_str(), tls.and_then(|tls| tls.strict.as_deref()));
    state.event_loop.clock.with_date(|date| shape(answer, ShapeFacts { date, request_id, strict }));
    if let Some(route) = context.route().filter(|route| !route.adjust.remove.is_empty()) {
        // Also what hallway says of itself.
        let is_ours = |name: &[u8]| name.eq_ignore_ascii_case(b"server") || name.eq_ignore_ascii_case(b"x-request-id");
        let is_removed = |name: &[u8]| route.adjust.remove.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name));
        answer.fields.retain(|name| !(is_ours(name) && is_removed(name)));
    }
}
