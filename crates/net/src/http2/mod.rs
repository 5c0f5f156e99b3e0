//! In:     a byte stream that speaks HTTP/2.
//! Out:    exchanges, several at a time, and their answers as frames.
//! Actors: one task for each connection, and one for each request on it.
//! Never:  does a client cost more than its window, its streams and its share of control frames.

mod gathered;
mod metered;
mod wire;

use crate::http::exchange::{Arrival, Exchange};
use crate::http::service::Service;
use crate::runtime::deadline::{Deadline, SWEEP, Wait};
use crate::runtime::event_loop::EventLoop;
use crate::socket::stream::Stream;
use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use hallway_core::fault::HeadLimit;
use hallway_core::http2::{Pseudo, make_head};
use hallway_core::plan::Limits;
use hallway_core::{Fault, Head};
use http::Request;
use metered::{Meter, Metered};
use std::cell::Cell;
use std::rc::Rc;
use wire::Http2;

/// Requests that a client may have open at a time (RFC 9113, 5.1.2); as nginx has it.
const STREAMS_MAX: u32 = 128;
/// Bytes that a client may send ahead of what is read: of one body, and of all.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of one answer that wait to be sent.
const UNSENT_BYTES_MAX: usize = 32 * 1024;
/// How many more requests a client may take back than it lets be answered (CVE-2023-44487).
const CANCELLED_MAX: u32 = 200;
/// For a client to leave once it was told that nothing more is taken.
const PARTING_MS: u64 = 1_000;

/// What all requests of a connection share.
struct Talk {
    event_loop: Rc<EventLoop>,
    arrival: Arrival,
    meter: Rc<Meter>,
    /// Requests that are open.
    open: Cell<usize>,
    /// When the last one ended.
    rested_ms: Cell<u64>,
    /// Requests that were taken back, or were none, less those that were answered.
    cancelled: Cell<u32>,
}

/// Serves a connection until it ends; `before` was read of it already.
pub async fn serve<S: Service>(
    event_loop: Rc<EventLoop>,
    service: Rc<S>,
    stream: Stream,
    (before, arrival): (Vec<u8>, Arrival),
) {
    let limits = event_loop.limits.get();
    let meter = Rc::new(Meter::default());
    let deadline = Deadline::new(&event_loop.deadlines);
    let begun = builder(&limits).handshake(Metered::new(&event_loop, stream, before, meter.clone()));
    let due_ms = event_loop.clock.coarse_ms() + limits.head_timeout_ms + SWEEP.as_millis() as u64;
    let Ok(Ok(connection)) = deadline.wait(Wait::Fresh, due_ms, begun).await else { return };
    let rested_ms = Cell::new(event_loop.clock.coarse_ms());
    let talk = Talk { event_loop, arrival, meter, open: Cell::new(0), rested_ms, cancelled: Cell::new(0) };
    converse(Rc::new(talk), service, connection, deadline).await;
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(UNSENT_BYTES_MAX)
        .max_header_list_size(u32::try_from(header_list_bytes(limits)).unwrap_or(u32::MAX));
    builder
}

/// What the engine takes of a head: enough for a head that is too long to be read, and answered as on HTTP/1.1. It counts
/// 32 bytes more for each line (RFC 9113, 6.5.2).
fn header_list_bytes(limits: &Limits) -> usize {
    limits.head_bytes_max * 2 + limits.lines_max * 64
}

/// Takes requests for as long as there may be more.
async fn converse<S: Service>(
    talk: Rc<Talk>,
    service: Rc<S>,
    mut connection: Connection<Metered, Bytes>,
    deadline: Deadline,
) {
    let event_loop = &talk.event_loop;
    // Whether the client was told to leave.
    let mut is_parting = false;
    loop {
        let now_ms = event_loop.clock.coarse_ms();
        let due_ms = match (is_parting, talk.open.get()) {
            (true, _) => now_ms + PARTING_MS,
            (false, 0) => talk.rested_ms.get() + event_loop.limits.get().idle_timeout_ms + SWEEP.as_millis() as u64,
            (false, _) => now_ms + event_loop.limits.get().idle_timeout_ms,
        };
        let next = deadline.wait(Wait::KeptAlive, due_ms, connection.accept()).await;
        let is_idle = next.is_err() && talk.open.get() == 0;
        match next {
            Ok(Some(Ok((request, respond)))) => {
                talk.open.set(talk.open.get() + 1);
                // A pointer to it is what a task moves about.
                tokio::task::spawn_local(Box::pin(serve_request(talk.clone(), service.clone(), request, respond)));
                if talk.cancelled.get() > CANCELLED_MAX {
                    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
            }
            Ok(Some(Err(_)) | None) => return,
            Err(_) if is_idle && is_parting => return,
            Err(_) => {}
        }
        let is_draining = event_loop.draining.get() || talk.arrival.gate.is_closed();
        if (is_draining || is_idle) && !is_parting {
            connection.graceful_shutdown();
            is_parting = true;
        }
    }
}

/// Carries one request.
async fn serve_request<S: Service>(
    talk: Rc<Talk>,
    service: Rc<S>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let event_loop = &talk.event_loop;
    let mut head = event_loop.buffers.head();
    let marks = request.extensions();
    let is_too_large = marks.get::<h2::ext::TooLarge>().is_some();
    let is_malformed = !is_too_large && marks.get::<h2::ext::Malformed>().is_some();
    let has_body = !request.body().is_end_stream();
    let made = read_head(&mut head, (&request, has_body), &event_loop.limits.get(), &talk.meter);
    let mut wire = Http2::new(&talk, request.into_body(), respond, head.expects_continue);
    let exchange = Exchange { head: &head, arrival: &talk.arrival, wire: &mut wire };
    match made {
        _ if is_too_large => {
            let fault = Fault::HeadTooLarge(HeadLimit::Bytes(event_loop.limits.get().head_bytes_max));
            service.refuse(exchange, fault).await;
        }
        _ if is_malformed => {
            // Its stream is reset (RFC 9113, 8.1.1); the log has its line.
            service.note_malformed(&exchange);
            wire.refuse();
        }
        Ok(()) => service.serve(exchange).await,
        Err(fault) => service.refuse(exchange, fault).await,
    }
    // What is no request has cost as much as one that was taken back, and needs no answer either.
    let was_answered = wire.end() && !is_malformed;
    event_loop.buffers.keep_head(head);
    let cancelled = talk.cancelled.get();
    talk.cancelled.set(if was_answered { cancelled.saturating_sub(1) } else { cancelled + 1 });
    talk.open.set(talk.open.get() - 1);
    talk.rested_ms.set(event_loop.clock.coarse_ms());
    if was_answered && has_body {
        Box::pin(wire.take_rest()).await;
    }
}

fn read_head(
    head: &mut Head,
    (request, has_body): (&Request<RecvStream>, bool),
    limits: &Limits,
    meter: &Meter,
) -> Result<(), Fault> {
    let uri = request.uri();
    let path = match request.extensions().get::<h2::ext::RawPath>() {
        Some(raw) => &raw.0[..],
        None => uri.path_and_query().map_or("/", |path| path.as_str()).as_bytes(),
    };
    let pseudo = Pseudo {
        method: request.method().as_str().as_bytes(),
        path,
        authority: uri.authority().map(|authority| authority.as_str().as_bytes()),
    };
    let mut bytes = path.len();
    let lines = request.headers().iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let lines = lines.inspect(|(name, value)| bytes += name.len() + value.len());
    let made = make_head(head, pseudo, lines, (has_body, *limits));
    meter.note_payload(bytes as u64);
    made
}

#[cfg(test)]
mod tests;
