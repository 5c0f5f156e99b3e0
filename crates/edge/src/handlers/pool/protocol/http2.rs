//! In:     a connection to a server that speaks HTTP/2, requests.
//! Out:    their answers, each on a stream of its own.
//! Actors: a task for each connection, which the engine wants; the tasks of the requests.
//! Never:  does one answer that nobody takes hold up the others of its connection for longer than its window.

use crate::handlers::pool::outgoing::Outgoing;
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use hallway_core::Fault;
use hallway_core::fields::{Fields, Name};
use hallway_core::http1::{Ending, INFORMATIONAL_MAX, ServerAnswer};
use hallway_core::semantics::AnswerHead;
use hallway_core::semantics::may_trail_answer;
use hallway_net::body::piece::Piece;
use hallway_net::runtime::clock::Clock;
use hallway_net::socket::stream::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Bytes that a server may send ahead of what is taken: of one answer, and of all.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Bytes of one request that wait to be sent.
const UNSENT_BYTES_MAX: usize = 64 * 1024;
/// The longest head of an answer.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

/// A connection that carries many requests at a time.
pub(in super::super) struct Multiplexed {
    send: SendRequest<Bytes>,
    /// Requests that are on it.
    pub(in super::super) open: Cell<usize>,
    pub(in super::super) born_ms: u64,
    /// When the last one began.
    pub(in super::super) used_ms: Cell<u64>,
    /// It takes nothing more.
    pub(in super::super) is_over: Rc<Cell<bool>>,
}

impl Multiplexed {
    /// Whether one more request finds room.
    pub(in super::super) fn has_room(&self) -> bool {
        !self.is_over.get() && self.open.get() < self.send.current_max_send_streams()
    }
}

/// Begins to speak HTTP/2 on a connection.
///
/// # Errors
/// That the server does not.
pub(in super::super) async fn converse(stream: Stream, now_ms: u64) -> io::Result<Multiplexed> {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(UNSENT_BYTES_MAX)
        .max_header_list_size(HEAD_BYTES_MAX);
    let (send, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
    let is_over = Rc::new(Cell::new(false));
    let ends = is_over.clone();
    tokio::task::spawn_local(async move {
        // Its requests see the error themselves.
        let _ = connection.await;
        ends.set(true);
    });
    Ok(Multiplexed { send, open: Cell::new(0), born_ms: now_ms, used_ms: Cell::new(now_ms), is_over })
}

/// One request on a stream.
pub(in super::super) struct OnStream {
    on: Rc<Multiplexed>,
    is_reused: bool,
    outgoing: Outgoing,
    has_sent: bool,
    is_deaf: bool,
    send: SendStream<Bytes>,
    answer: ResponseFuture,
    body: Option<RecvStream>,
    has_ended: bool,
    has_heard: bool,
    was_refused: bool,
    informational: u32,
    trailers: Fields,
    pub(super) moved_ms: u64,
}

impl OnStream {
    /// Sends the head of a request; its body follows.
    ///
    /// # Errors
    /// That the connection takes no more.
    pub(in super::super) async fn begin(
        on: Rc<Multiplexed>,
        request: Request<()>,
        outgoing: Outgoing,
        now_ms: u64,
    ) -> Result<OnStream, h2::Error> {
        let mut handle = on.send.clone().ready().await?;
        let is_all = outgoing.is_done();
        let (answer, send) = handle.send_request(request, is_all)?;
        let is_reused = on.used_ms.replace(now_ms) != on.born_ms || on.open.get() > 0;
        on.open.set(on.open.get() + 1);
        Ok(OnStream {
            on,
            is_reused,
            outgoing,
            has_sent: is_all,
            is_deaf: false,
            send,
            answer,
            body: None,
            has_ended: false,
            has_heard: false,
            was_refused: false,
            informational: 0,
            trailers: Fields::default(),
            moved_ms: now_ms,
        })
    }

    pub(super) fn may_be_stale(&self) -> bool {
        self.is_reused && !self.has_heard && self.on.is_over.get()
    }

    pub(super) fn was_refused(&self) -> bool {
        self.was_refused
    }

    pub(super) fn has_sent(&self) -> bool {
        self.has_sent || self.is_deaf
    }

    /// Nothing comes by this connection any more.
    pub(super) fn note_deaf(&mut self) {
        if !self.has_heard {
            self.on.is_over.set(true);
        }
    }

    pub(super) fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) fn trailers(&mut self) -> Fields {
        std::mem::take(&mut self.trailers)
    }

    /// Sends on, as far as the windows of the server let it.
    fn send(&mut self, clock: &Clock, task: &mut Context<'_>) {
        while !self.has_sent && !self.is_deaf {
            let is_done = self.outgoing.is_done();
            let sent = match self.outgoing.bytes(task) {
                Ok(None) => return,
                Ok(Some([])) if is_done => {
                    self.has_sent = true;
                    let trailers = self.outgoing.trailers();
                    match trailers.is_empty() {
                        true => self.send.send_data(Bytes::new(), true),
                        false => self.send.send_trailers(lines_of(&trailers)),
                    }
                }
                Ok(Some([])) => return,
                Ok(Some(bytes)) => {
                    self.send.reserve_capacity(bytes.len());
                    // What there is already is not told again.
                    let room = match self.send.capacity() {
                        0 => self.send.poll_capacity(task),
                        room => Poll::Ready(Some(Ok(room))),
                    };
                    match room {
                        Poll::Pending => return,
                        Poll::Ready(Some(Ok(0))) => continue,
                        Poll::Ready(Some(Ok(room))) => {
                            let part = &bytes[..room.min(bytes.len())];
                            let length = part.len();
                            let sent = self.send.send_data(Bytes::copy_from_slice(part), false);
                            self.outgoing.advance(length);
                            self.moved_ms = clock.coarse_ms();
                            sent
                        }
                        Poll::Ready(Some(Err(error))) => Err(error),
                        Poll::Ready(None) => return self.is_deaf = true,
                    }
                }
                Err(()) => return self.is_deaf = true,
            };
            self.is_deaf |= sent.is_err();
        }
    }

    pub(super) fn poll_head(&mut self, clock: &Clock, task: &mut Context<'_>) -> Poll<Result<ServerAnswer, Fault>> {
        self.send(clock, task);
        if let Poll::Ready(Some(Ok(more))) = self.answer.poll_informational(task) {
            self.informational += 1;
            if self.informational > INFORMATIONAL_MAX || more.status() == 101 {
                self.send.send_reset(Reason::ENHANCE_YOUR_CALM);
                return Poll::Ready(Err(Fault::BadAnswer("The server does not come to its answer.")));
            }
            if more.status() == 100 {
                self.outgoing.go_on();
            }
            let head = head_of(more.status().as_u16(), more.headers())?;
            return Poll::Ready(Ok(ServerAnswer { head, ending: Ending::None, keep_alive: true }));
        }
        let answer = match ready!(Pin::new(&mut self.answer).poll(task)) {
            Ok(answer) => answer,
            Err(error) => return Poll::Ready(Err(self.fail(&error))),
        };
        (self.has_heard, self.moved_ms) = (true, clock.coarse_ms());
        let (parts, body) = answer.into_parts();
        if parts.status == 101 {
            return Poll::Ready(Err(Fault::BadAnswer("The server changed the protocol, which HTTP/2 has no way for.")));
        }
        let head = head_of(parts.status.as_u16(), &parts.headers)?;
        let ending =
            if body.is_end_stream() { Ending::None } else { head.length.map_or(Ending::Close, Ending::Length) };
        self.has_ended = body.is_end_stream();
        self.body = Some(body);
        Poll::Ready(Ok(ServerAnswer { head, ending, keep_alive: true }))
    }

    pub(super) fn poll_piece(&mut self, clock: &Clock, task: &mut Context<'_>) -> Poll<Result<(Piece, bool), Fault>> {
        self.send(clock, task);
        let Some(body) = self.body.as_mut().filter(|_| !self.has_ended) else {
            return Poll::Ready(Ok((Piece::default(), true)));
        };
        match ready!(body.poll_data(task)) {
            Some(Ok(bytes)) => {
                self.moved_ms = clock.coarse_ms();
                let _ = body.flow_control().release_capacity(bytes.len());
                Poll::Ready(Ok((Piece::from(Vec::from(bytes)), false)))
            }
            Some(Err(error)) => Poll::Ready(Err(self.fail(&error))),
            None => match ready!(body.poll_trailers(task)) {
                Ok(trailers) => {
                    let all = trailers.iter().flatten();
                    for (name, value) in all.filter(|(name, _)| may_trail_answer(name.as_str().as_bytes())) {
                        self.trailers.push(name.as_str().as_bytes(), value.as_bytes());
                    }
                    self.has_ended = true;
                    Poll::Ready(Ok((Piece::default(), true)))
                }
                Err(error) => Poll::Ready(Err(self.fail(&error))),
            },
        }
    }

    /// What a broken stream means.
    fn fail(&mut self, error: &h2::Error) -> Fault {
        self.was_refused = error.reason() == Some(Reason::REFUSED_STREAM) || (error.is_go_away() && error.is_remote());
        if error.is_io() || error.is_go_away() {
            self.on.is_over.set(true);
        }
        let is_foul =
            matches!(error.reason(), Some(Reason::PROTOCOL_ERROR | Reason::FRAME_SIZE_ERROR)) && error.is_library();
        if is_foul { Fault::BadAnswer("The server's answer is not HTTP/2.") } else { Fault::ServerLost }
    }
}

impl Drop for OnStream {
    fn drop(&mut self) {
        self.on.open.set(self.on.open.get() - 1);
        if !self.has_ended {
            self.send.send_reset(Reason::CANCEL);
        }
    }
}

/// The head of an answer as it goes on.
fn head_of(status: u16, lines: &HeaderMap) -> Result<AnswerHead, Fault> {
    let mut head = AnswerHead::new(status);
    for (name, value) in lines {
        match Name::of(name.as_str().as_bytes()) {
            Name::ContentLength => {
                let length = value.to_str().ok().and_then(|text| text.parse().ok());
                head.length = Some(length.ok_or(Fault::BadAnswer("The server's Content-Length is not a number."))?);
            }
            Name::Connection | Name::KeepAlive | Name::ProxyConnection | Name::TransferEncoding | Name::Upgrade => {}
            Name::Server => {}
            name_of => head.fields.push_known(name_of, name.as_str().as_bytes(), value.as_bytes()),
        }
    }
    Ok(head)
}

fn lines_of(fields: &Fields) -> HeaderMap {
    let mut lines = HeaderMap::new();
    for field in fields.iter() {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(field.raw_name), HeaderValue::from_bytes(field.value)) {
            lines.append(name, value);
        }
    }
    lines
}
