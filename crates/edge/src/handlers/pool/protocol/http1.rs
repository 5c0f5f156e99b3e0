//! In:     a connection to a server, a request.
//! Out:    the answer: heads, pieces of its body, its end.
//! Actors: the task of the request. Request and answer travel at the same time.
//! Never:  is a connection used again on which anything was left unsaid, by either side.

use crate::handlers::pool::connect::Connection;
use crate::handlers::pool::outgoing::Outgoing;
use hallway_core::Fault;
use hallway_core::fields::Fields;
use hallway_core::gateway::{Decoder, parse_gateway_head};
use hallway_core::http1::{Asked, Chunked, Ending, Found, INFORMATIONAL_MAX, Scan, ServerAnswer, parse_answer};
use hallway_net::body::piece::Piece;
use hallway_net::runtime::buffers::BufferPool;
use hallway_net::runtime::clock::Clock;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncReadExt, AsyncWrite};

/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Room that a read finds. What is read of a body has more than it needs: a read that fills its room leaves open whether
/// there is more, and the next one would have to ask.
const READ_BYTES: usize = 128 * 1024;
const HEAD_READ_BYTES: usize = 16 * 1024;

/// How an answer's body goes on.
enum Rest {
    Done,
    Length(u64),
    Chunked(Box<Chunked>),
    Close,
    /// The records say where; whether they have.
    FastCgi(bool),
}

/// What the server speaks.
pub(in super::super) enum Speech {
    Http1 {
        /// Whether another request may follow on the connection.
        keeps: bool,
    },
    FastCgi(Box<Decoder>),
}

/// One request on a connection to a server.
pub(in super::super) struct OnConnection {
    connection: Connection,
    speech: Speech,
    /// What is left to be sent.
    outgoing: Outgoing,
    /// The server takes nothing more.
    is_deaf: bool,
    /// What was read and not used.
    input: Vec<u8>,
    used: usize,
    scan: Scan,
    rest: Rest,
    keep_alive: bool,
    informational: u32,
    trailers: Fields,
    /// Whether anything of an answer has come.
    has_heard: bool,
    /// The line of a head that could not be read.
    foul_line: Option<Box<[u8]>>,
    /// When anything last moved, on the coarse clock.
    pub(super) moved_ms: u64,
}

impl OnConnection {
    pub(in super::super) fn new(connection: Connection, speech: Speech, outgoing: Outgoing, now_ms: u64) -> Self {
        OnConnection {
            connection,
            speech,
            outgoing,
            is_deaf: false,
            input: Vec::new(),
            used: 0,
            scan: Scan::default(),
            rest: Rest::Done,
            keep_alive: false,
            informational: 0,
            trailers: Fields::default(),
            has_heard: false,
            foul_line: None,
            moved_ms: now_ms,
        }
    }

    /// Whether a failure may be that of a connection that the server had just ended: it has heard nothing of this request.
    pub(super) fn may_be_stale(&self) -> bool {
        self.connection.is_reused && !self.has_heard
    }

    /// Whether all of the request was sent, or nothing more is taken of it.
    pub(super) fn has_sent(&self) -> bool {
        self.is_deaf || self.outgoing.is_done()
    }

    /// The rest of the request.
    pub(super) fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    /// Sends on, as far as the server takes it. A server that takes nothing more may still answer.
    fn send(&mut self, clock: &Clock, task: &mut Context<'_>) {
        while !self.is_deaf {
            let stream = Pin::new(&mut self.connection.stream);
            match self.outgoing.bytes(task) {
                Ok(None) => return,
                Ok(Some([])) => {
                    // What was encrypted may still be here.
                    if let Poll::Ready(flushed) = stream.poll_flush(task) {
                        self.is_deaf = flushed.is_err();
                    }
                    return;
                }
                Ok(Some(bytes)) => match stream.poll_write(task, bytes) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(bytes)) if bytes > 0 => {
                        self.moved_ms = clock.coarse_ms();
                        self.outgoing.advance(bytes);
                    }
                    Poll::Ready(_) => self.is_deaf = true,
                },
                Err(()) => self.is_deaf = true,
            }
        }
    }

    /// The next head of an answer: one with a status below 200 is followed by another one.
    pub(super) fn poll_head(
        &mut self,
        (clock, spares): (&Clock, &BufferPool),
        asked: Asked,
        task: &mut Context<'_>,
    ) -> Poll<Result<ServerAnswer, Fault>> {
        self.send(clock, task);
        if matches!(self.speech, Speech::FastCgi(_)) {
            return self.poll_gateway_head(clock, task);
        }
        loop {
            match self.scan.feed(&self.input[self.used..]) {
                Found::Head(length) if length <= HEAD_BYTES_MAX => {
                    let answer = match parse_answer(&self.input[self.used..self.used + length], asked) {
                        Ok(answer) => answer,
                        Err(foul) => return Poll::Ready(Err(self.note_foul(foul.fault, foul.line))),
                    };
                    (self.used, self.scan) = (self.used + length, Scan::default());
                    self.moved_ms = clock.coarse_ms();
                    return Poll::Ready(self.begin(answer));
                }
                Found::More if self.input.len() - self.used < HEAD_BYTES_MAX => {}
                Found::Head(_) | Found::More => {
                    return Poll::Ready(Err(Fault::BadAnswer("The head of the server's answer is too long.")));
                }
                Found::BareLineFeed => {
                    const BARE: Fault = Fault::BadAnswer("A line of the server's answer does not end with CR LF.");
                    let mut lines = self.input[self.used..].split_inclusive(|byte| *byte == b'\n');
                    let line = lines.find(|line| !line.ends_with(b"\r\n")).unwrap_or_default().to_vec();
                    return Poll::Ready(Err(self.note_foul(BARE, line)));
                }
            }
            if self.input.capacity() == 0 {
                if self.connection.answers_long {
                    // No such buffer waits with a server.
                    let readable = ready!(self.connection.stream.poll_readable(task));
                    if readable.is_err() {
                        return Poll::Ready(Err(Fault::ServerLost));
                    }
                    self.input = Vec::with_capacity(READ_BYTES);
                } else {
                    self.input = spares.buffer();
                }
            }
            self.input.reserve(HEAD_READ_BYTES);
            let read = pin!(self.connection.stream.read_buf(&mut self.input)).poll(task);
            if read.is_pending() && self.input.is_empty() && self.connection.answers_long {
                self.input = Vec::new();
            }
            match ready!(read) {
                // A head that comes byte by byte has no more time than another one.
                Ok(bytes) if bytes > 0 => self.note_heard(clock),
                _ => return Poll::Ready(Err(Fault::ServerLost)),
            }
        }
    }

    /// A head cannot be read, for this line of it.
    fn note_foul(&mut self, fault: Fault, line: Vec<u8>) -> Fault {
        self.foul_line = (!line.is_empty()).then(|| line.into());
        fault
    }

    /// The line for which a head could not be read, for the log.
    pub(super) fn foul_line(&self) -> Option<&[u8]> {
        self.foul_line.as_deref()
    }

    /// Something of a head has come.
    fn note_heard(&mut self, clock: &Clock) {
        if !std::mem::replace(&mut self.has_heard, true) {
            self.moved_ms = clock.coarse_ms();
        }
    }

    /// The head that a script wrote.
    fn poll_gateway_head(&mut self, clock: &Clock, task: &mut Context<'_>) -> Poll<Result<ServerAnswer, Fault>> {
        loop {
            let ended = match ready!(self.poll_records(task)) {
                Ok(ended) => ended,
                Err(fault) => return Poll::Ready(Err(fault)),
            };
            self.note_heard(clock);
            match parse_gateway_head(&self.input)? {
                Some((head, used)) => {
                    self.used = used;
                    let has_body = !matches!(head.status, 204 | 304);
                    self.rest = if has_body { Rest::FastCgi(ended) } else { Rest::Done };
                    let ending = if has_body { Ending::Close } else { Ending::None };
                    return Poll::Ready(Ok(ServerAnswer { head, ending, keep_alive: false }));
                }
                None if ended => {
                    return Poll::Ready(Err(Fault::BadAnswer("The server's answer has no head.")));
                }
                None => {}
            }
        }
    }

    /// The next piece of what a script wrote.
    fn poll_gateway_piece(&mut self, clock: &Clock, task: &mut Context<'_>) -> Poll<Result<(Piece, bool), Fault>> {
        let mut ended = matches!(self.rest, Rest::FastCgi(true));
        while self.used == self.input.len() && !ended {
            self.input.clear();
            self.used = 0;
            ended = ready!(self.poll_records(task))?;
        }
        let piece = take_rest(&mut self.input, &mut self.used, u64::MAX);
        self.rest = if ended { Rest::Done } else { Rest::FastCgi(false) };
        self.moved_ms = clock.coarse_ms();
        Poll::Ready(Ok((piece, ended)))
    }

    /// Reads records onto the input; whether the answer has ended.
    fn poll_records(&mut self, task: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        let Speech::FastCgi(decoder) = &mut self.speech else { return Poll::Ready(Ok(true)) };
        let raw = ready!(poll_read(&mut self.connection, READ_BYTES, task)).map_err(|_| Fault::ServerLost)?;
        if raw.is_empty() {
            return Poll::Ready(Err(Fault::ServerLost));
        }
        Poll::Ready(decoder.decode(&raw, &mut self.input).map(|step| step.ended))
    }

    /// What the server complained of.
    pub(super) fn complaints(&mut self) -> Vec<u8> {
        match &mut self.speech {
            Speech::FastCgi(decoder) => decoder.complaints(),
            Speech::Http1 { .. } => Vec::new(),
        }
    }

    fn begin(&mut self, answer: ServerAnswer) -> Result<ServerAnswer, Fault> {
        if answer.head.status == 100 {
            self.outgoing.go_on();
        }
        if (100..200).contains(&answer.head.status) && answer.head.status != 101 {
            self.informational += 1;
            if self.informational > INFORMATIONAL_MAX {
                return Err(Fault::BadAnswer("The server does not come to its answer."));
            }
            return Ok(answer);
        }
        self.keep_alive = answer.keep_alive && matches!(self.speech, Speech::Http1 { keeps: true });
        self.connection.answers_long = matches!(answer.ending, Ending::Length(bytes) if bytes > HEAD_READ_BYTES as u64);
        self.rest = match answer.ending {
            Ending::None => Rest::Done,
            Ending::Length(bytes) => Rest::Length(bytes),
            Ending::Chunked => Rest::Chunked(Box::new(Chunked::of_server())),
            Ending::Close => Rest::Close,
        };
        Ok(answer)
    }

    /// The next piece of the body, and whether it is the last.
    pub(super) fn poll_piece(&mut self, clock: &Clock, task: &mut Context<'_>) -> Poll<Result<(Piece, bool), Fault>> {
        self.send(clock, task);
        let now_ms = clock.coarse_ms();
        match &mut self.rest {
            Rest::FastCgi(_) => self.poll_gateway_piece(clock, task),
            Rest::Done => Poll::Ready(Ok((Piece::default(), true))),
            Rest::Length(left) => {
                let piece = if self.used < self.input.len() {
                    take_rest(&mut self.input, &mut self.used, *left)
                } else {
                    let bytes = ready!(poll_read(&mut self.connection, READ_BYTES, task));
                    let (mut read, mut used) = (bytes.map_err(|_| Fault::ServerLost)?, 0);
                    let piece = take_rest(&mut read, &mut used, *left);
                    if !read.is_empty() {
                        (self.input, self.used) = (read, used);
                    }
                    piece
                };
                if piece.is_empty() {
                    return Poll::Ready(Err(Fault::ServerLost));
                }
                *left -= piece.len();
                let last = *left == 0;
                if last {
                    self.rest = Rest::Done;
                }
                self.moved_ms = now_ms;
                Poll::Ready(Ok((piece, last)))
            }
            Rest::Chunked(chunked) => {
                let mut body = Vec::new();
                loop {
                    if self.used == self.input.len() {
                        let bytes = ready!(poll_read(&mut self.connection, READ_BYTES, task));
                        (self.input, self.used) = (bytes.map_err(|_| Fault::ServerLost)?, 0);
                        if self.input.is_empty() {
                            return Poll::Ready(Err(Fault::ServerLost));
                        }
                    }
                    let progress = chunked.decode(&self.input[self.used..], &mut body)?;
                    self.used += progress.used;
                    if progress.ended {
                        self.trailers = chunked.trailers();
                        self.rest = Rest::Done;
                    } else if body.is_empty() {
                        continue;
                    }
                    self.moved_ms = now_ms;
                    return Poll::Ready(Ok((body.into(), progress.ended)));
                }
            }
            Rest::Close => {
                let piece = if self.used < self.input.len() {
                    take_rest(&mut self.input, &mut self.used, u64::MAX)
                } else {
                    let bytes = ready!(poll_read(&mut self.connection, READ_BYTES, task));
                    Piece::from(bytes.map_err(|_| Fault::ServerLost)?)
                };
                let last = piece.is_empty();
                if last {
                    self.rest = Rest::Done;
                }
                self.moved_ms = now_ms;
                Poll::Ready(Ok((piece, last)))
            }
        }
    }

    /// Whether all of the answer has come.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.rest, Rest::Done)
    }

    /// The whole body, where it came with its head.
    pub(super) fn take_whole(&mut self) -> Option<Piece> {
        let here = (self.input.len() - self.used) as u64;
        let is_here = matches!(self.rest, Rest::Length(left) if left == here);
        is_here.then(|| {
            self.rest = Rest::Done;
            take_rest(&mut self.input, &mut self.used, here)
        })
    }

    /// What came behind the body.
    pub(super) fn trailers(&mut self) -> Fields {
        std::mem::take(&mut self.trailers)
    }

    /// The connection, where another request can follow on it.
    pub(super) fn into_reusable(self, spares: &BufferPool) -> Option<Connection> {
        let is_all = self.has_ended() && self.used == self.input.len() && self.outgoing.is_done() && !self.is_deaf;
        spares.keep_buffer(self.input);
        spares.keep_buffer(self.outgoing.into_buffer());
        (is_all && self.keep_alive).then_some(self.connection)
    }

    /// The connection after an upgrade, and what the server has said on it already.
    pub(super) fn into_tunnel(self) -> (hallway_net::socket::stream::Stream, Vec<u8>) {
        (self.connection.stream, self.input[self.used..].to_vec())
    }
}

/// Takes what was read as a piece, without a copy.
fn take_rest(input: &mut Vec<u8>, used: &mut usize, most: u64) -> Piece {
    let take = usize::try_from(most).unwrap_or(usize::MAX).min(input.len() - *used);
    if *used + take < input.len() {
        // More than there should be: it stays, and the connection is not used again.
        let piece = input[*used..*used + take].to_vec();
        *used += take;
        return piece.into();
    }
    let (bytes, from) = (std::mem::take(input), std::mem::take(used));
    Piece::Own { bytes, from }
}

fn poll_read(connection: &mut Connection, most: usize, task: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
    // No buffer waits with a server that is slow.
    ready!(connection.stream.poll_readable(task))?;
    let mut bytes = Vec::with_capacity(most);
    ready!(pin!((&mut connection.stream).take(most as u64).read_buf(&mut bytes)).poll(task))?;
    Poll::Ready(Ok(bytes))
}

#[cfg(test)]
mod tests;
