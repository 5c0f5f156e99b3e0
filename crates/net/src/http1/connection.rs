//! In:     a byte stream.
//! Out:    heads as they become whole; bytes of bodies; the stream's end, kindly.
//! Actors: the task of the connection.
//! Never:  does an idle connection hold a buffer, or any connection wait without a deadline.

use crate::file::stored::StoredFile;
use crate::runtime::deadline::{Deadline, Elapsed, Wait};
use crate::runtime::event_loop::EventLoop;
use crate::socket::linger::{LINGER_MS, take_rest};
use crate::socket::listener::Gate;
use crate::socket::stream::Stream;
use crate::socket::tunnel;
use hallway_core::fault::HeadLimit;
use hallway_core::http1::{Found, Scan, parse_head, refuse_method};
use hallway_core::plan::Limits;
use hallway_core::{Fault, Head};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Room that a read finds in a fresh buffer, and at least.
const READ_BYTES: usize = 16 * 1024;
const READ_BYTES_MIN: usize = 4 * 1024;
/// A client that lets a write wait for so long is not fast.
const SLOW_MS: u64 = 1_000;
/// What a client may send ahead while it waits for an answer.
const AHEAD_BYTES_MAX: usize = 64 * 1024;

/// What came instead of waiting for the next head.
pub(super) enum Next {
    Request,
    Refused(Fault),
    Closed,
    /// It is no request: what follows is HTTP/2.
    Http2,
}

/// How HTTP/2 begins (RFC 9113, 3.4), up to where a head would end.
const HTTP2_BEGINS: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// One connection: its stream, what was read of it and not used, what is to be written.
pub(super) struct Connection {
    event_loop: Rc<EventLoop>,
    gate: Rc<Gate>,
    stream: Stream,
    deadline: Deadline,
    input: Vec<u8>,
    used: usize,
    is_fresh: bool,
    /// No request has come yet.
    is_first: bool,
    /// The client takes what it gets at once.
    is_fast: bool,
    pub(super) out: Vec<u8>,
}

impl Connection {
    pub(super) fn new(event_loop: &Rc<EventLoop>, stream: Stream, gate: Rc<Gate>) -> Self {
        let deadline = Deadline::new(&event_loop.deadlines);
        Connection {
            event_loop: event_loop.clone(),
            gate,
            stream,
            deadline,
            input: Vec::new(),
            used: 0,
            is_fresh: true,
            is_first: true,
            is_fast: false,
            out: Vec::new(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.event_loop.limits.get()
    }

    /// Whether no further request is to be taken.
    pub(super) fn is_draining(&self) -> bool {
        self.event_loop.draining.get() || self.gate.is_closed()
    }

    /// The stream, and what was read of it and not used.
    pub(super) fn into_parts(self) -> (Stream, Vec<u8>) {
        (self.stream, self.input[self.used..].to_vec())
    }

    /// Waits for the first byte of a next request; `false` when none will come.
    pub(super) async fn await_bytes(&mut self) -> bool {
        if self.used < self.input.len() {
            return true;
        }
        let wait = if self.is_fresh { Wait::Fresh } else { Wait::KeptAlive };
        if self.is_draining() && !self.is_fresh {
            return false;
        }
        self.is_fresh = false;
        self.give_buffers_back();
        let due_ms = self.due_ms(self.limits().idle_timeout_ms);
        let (spares, stream, input) = (&self.event_loop.buffers, &mut self.stream, &mut self.input);
        // A buffer is held only while there is something to put into it.
        let read = poll_fn(|task| {
            let mut buffer = spares.buffer();
            buffer.reserve(READ_BYTES);
            let read = pin!(stream.read_buf(&mut buffer)).poll(task);
            if matches!(read, Poll::Ready(Ok(bytes)) if bytes > 0) {
                *input = buffer;
            } else {
                spares.keep_buffer(buffer);
            }
            read
        });
        matches!(self.deadline.wait(wait, due_ms, read).await, Ok(Ok(bytes)) if bytes > 0)
    }

    /// Reads until a head is whole, and takes it from the input.
    pub(super) async fn read_head(&mut self, head: &mut Head) -> Next {
        head.clear();
        let limits = self.limits();
        let due_ms = self.due_ms(limits.head_timeout_ms);
        let mut scan = Scan::default();
        let mut skipped = false;
        loop {
            let rest = &self.input[self.used..];
            if !skipped && rest.starts_with(b"\r\n") {
                // One empty line before a request line is forgiven (RFC 9112, 2.2).
                (self.used, skipped, scan) = (self.used + 2, true, Scan::default());
                continue;
            }
            match scan.feed(rest) {
                Found::Head(2) => return Next::Refused(Fault::BadRequest("There are empty lines before the request.")),
                Found::Head(_) if self.is_first && rest.starts_with(HTTP2_BEGINS) => return Next::Http2,
                Found::Head(length) if length <= limits.head_bytes_max => {
                    self.is_first = false;
                    let raw = &self.input[self.used..self.used + length];
                    let parsed = parse_head(raw, limits, head);
                    self.used += length;
                    return parsed.map_or_else(Next::Refused, |()| Next::Request);
                }
                Found::Head(_) => return Next::Refused(too_large(rest, &limits)),
                Found::More if rest.len() > limits.head_bytes_max => return Next::Refused(too_large(rest, &limits)),
                Found::More => {}
                Found::BareLineFeed => return Next::Refused(Fault::BadRequest("A line does not end with CR LF.")),
            }
            match self.fill(Wait::Head, due_ms).await {
                Ok(0) | Err(Fault::ClientGone) if self.used == self.input.len() => return Next::Closed,
                Ok(0) => return Next::Refused(Fault::BadRequest("The request head is not complete.")),
                Ok(_) => {}
                Err(Fault::RequestTimeout(_)) if self.used == self.input.len() => return Next::Closed,
                Err(Fault::ClientGone) => return Next::Closed,
                Err(fault) => return Next::Refused(fault),
            }
        }
    }

    /// Waits for the client to close. What it sends instead (its next requests) is kept, up to a
    /// limit; past that its end is not seen until these are answered. A client that has closed its sending side may
    /// still read (as `nc -N` does): only a reset, or a write that fails, says that it has left.
    pub(super) async fn await_end(&mut self) {
        while self.unused().len() < AHEAD_BYTES_MAX {
            if self.used == self.input.len() {
                // However long the answer takes, no buffer waits with it.
                self.used = 0;
                self.event_loop.buffers.keep_buffer(std::mem::take(&mut self.input));
                match self.stream.readable().await {
                    Ok(()) => {}
                    // Encrypted, and closed without a word (RFC 8446, 6.1).
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return self.broken().await,
                    Err(_) => return,
                }
                self.input = self.event_loop.buffers.buffer();
            }
            make_room(&mut self.input, READ_BYTES);
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return self.broken().await,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        std::future::pending().await
    }

    /// Waits until nothing can be sent any more. What few need is not kept by the connections of the others.
    async fn broken(&self) {
        Box::pin(self.stream.broken()).await;
    }

    /// What was read and not used.
    pub(super) fn unused(&self) -> &[u8] {
        &self.input[self.used..]
    }

    /// Marks bytes as used.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Reads more of a body onto the unused bytes; 0 at the end of the stream.
    pub(super) async fn fill_body(&mut self) -> Result<usize, Fault> {
        let due_ms = self.due_ms(self.limits().body_timeout_ms);
        self.fill(Wait::Within, due_ms).await
    }

    /// Reads the next bytes of a body straight into `into`, at most `most`.
    pub(super) async fn read_into(&mut self, into: &mut Vec<u8>, most: u64) -> Result<usize, Fault> {
        let due_ms = self.due_ms(self.limits().body_timeout_ms);
        let stream = &mut self.stream;
        let read = async {
            stream.readable().await?;
            make_room(into, usize::try_from(most).unwrap_or(READ_BYTES));
            stream.take(most).read_buf(into).await
        };
        match self.deadline.until(due_ms, read).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(_)) => Err(Fault::ClientGone),
            Err(_) => Err(Fault::RequestTimeout("The request body stopped coming.")),
        }
    }

    async fn fill(&mut self, wait: Wait, due_ms: u64) -> Result<usize, Fault> {
        if self.used == self.input.len() {
            self.input.clear();
            self.used = 0;
        } else if self.used > READ_BYTES {
            self.input.drain(..self.used);
            self.used = 0;
        }
        if self.input.capacity() == 0 {
            self.input = self.event_loop.buffers.buffer();
        }
        make_room(&mut self.input, READ_BYTES);
        match self.deadline.wait(wait, due_ms, self.stream.read_buf(&mut self.input)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(_)) => Err(Fault::ClientGone),
            Err(_) => Err(Fault::RequestTimeout("The request did not arrive in time.")),
        }
    }

    /// Writes `out`, then `piece`, then `tail`; the client may pause for `write_timeout`.
    pub(super) async fn flush_with(&mut self, piece: &[u8], tail: &[u8]) -> Result<(), Fault> {
        let timeout_ms = self.limits().write_timeout_ms;
        let mut written = 0;
        let total = self.out.len() + piece.len() + tail.len();
        while written < total {
            let due_ms = self.due_ms(timeout_ms);
            // The system call for one part costs less than that for several.
            let alone = if total == self.out.len() { &self.out } else { piece };
            let wrote = if total == alone.len() {
                self.deadline.until(due_ms, self.stream.write(&alone[written..])).await
            } else {
                let parts = remaining([&self.out, piece, tail], written);
                self.deadline.until(due_ms, self.stream.write_vectored(&parts)).await
            };
            match wrote {
                Ok(Ok(bytes)) if bytes > 0 => written += bytes,
                Ok(_) => return Err(Fault::ClientGone),
                Err(elapsed) => return Err(self.give_up(elapsed)),
            }
        }
        self.out.clear();
        if self.stream.takes_files() {
            return Ok(());
        }
        // What was encrypted may still be here.
        let due_ms = self.due_ms(timeout_ms);
        match self.deadline.until(due_ms, self.stream.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Fault::ClientGone),
            Err(elapsed) => Err(self.give_up(elapsed)),
        }
    }

    /// Writes `out`, and says that more follows at once.
    pub(super) async fn flush_more(&mut self) -> Result<(), Fault> {
        let timeout_ms = self.limits().write_timeout_ms;
        let mut written = 0;
        while written < self.out.len() {
            let due_ms = self.due_ms(timeout_ms);
            match self.deadline.until(due_ms, self.stream.send_more(&self.out[written..])).await {
                Ok(Ok(bytes)) if bytes > 0 => written += bytes,
                Ok(_) => return Err(Fault::ClientGone),
                Err(elapsed) => return Err(self.give_up(elapsed)),
            }
        }
        self.out.clear();
        Ok(())
    }

    /// Carries bytes between the client and a server until they are done.
    pub(super) async fn join(&mut self, server: &mut Stream, before: Vec<u8>, silence_ms: u64) {
        let from_client = self.unused().to_vec();
        self.give_buffers_back();
        tunnel::join(&self.event_loop, (&mut self.stream, from_client), (server, before), silence_ms).await;
    }

    /// Whether the kernel can send files on this connection by itself.
    pub(super) fn takes_files(&self) -> bool {
        self.stream.takes_files()
    }

    /// Has the kernel send some bytes of a file; how many. 0 at the end of the file.
    pub(super) async fn send_from(&mut self, file: &StoredFile, at: u64, most: usize) -> Result<usize, Fault> {
        let begun_ms = self.event_loop.clock.coarse_ms();
        let due_ms = self.due_ms(self.limits().write_timeout_ms);
        let sent = self.deadline.until(due_ms, self.stream.send_file(file, at, most)).await;
        if self.is_fast && self.event_loop.clock.coarse_ms() > begun_ms + SLOW_MS {
            self.note_speed(false);
        }
        match sent {
            Ok(Some(Ok(bytes))) => Ok(bytes),
            Ok(_) => Err(Fault::ClientGone),
            Err(elapsed) => Err(self.give_up(elapsed)),
        }
    }

    /// The client has shown how fast it is.
    pub(super) fn note_speed(&mut self, is_fast: bool) {
        if self.is_fast != is_fast {
            self.is_fast = is_fast;
            self.stream.hold_unsent(is_fast);
        }
    }

    /// Microseconds on the clock of the process.
    pub(super) fn now_us(&self) -> u64 {
        self.event_loop.clock.now_us()
    }

    /// A client took nothing for too long: what the kernel still holds for it goes at once, too (as nginx's
    /// `reset_timedout_connection`).
    fn give_up(&self, Elapsed: Elapsed) -> Fault {
        self.stream.reset_on_close();
        Fault::ClientGone
    }

    /// Says that nothing more will come, where that has to be said (RFC 8446, 6.1), and ends the connection.
    pub(super) async fn part(mut self) {
        if !self.stream.takes_files() {
            let due_ms = self.due_ms(0);
            let _ = self.deadline.until(due_ms, self.stream.shutdown()).await;
        }
    }

    /// Sends what can be sent of these bytes without waiting.
    pub(super) fn say_at_once(&mut self, bytes: &[u8]) {
        let mut task = Context::from_waker(Waker::noop());
        let mut stream = Pin::new(&mut self.stream);
        // Who does not take it sees the connection end, as without it.
        if stream.as_mut().poll_write(&mut task, bytes).is_ready() {
            let _ = stream.poll_flush(&mut task);
        }
    }

    /// Ends the connection so that nobody can take what was sent for a whole answer.
    pub(super) fn break_off(self) {
        self.stream.reset_on_close();
    }

    /// Ends the connection. With `lingers`, a client that is still sending gets the time to read.
    pub(super) async fn close(mut self, lingers: bool) {
        let due_ms = self.due_ms(LINGER_MS);
        if self.deadline.until(due_ms, self.stream.shutdown()).await.is_err() || !lingers {
            return;
        }
        let _ = self.deadline.until(due_ms, take_rest(&mut self.stream, &mut self.input)).await;
    }

    /// The coarse time in `wait_ms`; one sweep late rather than early.
    fn due_ms(&self, wait_ms: u64) -> u64 {
        self.event_loop.clock.coarse_ms() + wait_ms + crate::runtime::deadline::SWEEP.as_millis() as u64
    }

    fn give_buffers_back(&mut self) {
        self.used = 0;
        self.event_loop.buffers.keep_buffer(std::mem::take(&mut self.input));
        self.event_loop.buffers.keep_buffer(std::mem::take(&mut self.out));
    }

    /// A buffer for the answer, where there is none yet.
    pub(super) fn prepare_out(&mut self) {
        if self.out.capacity() == 0 {
            self.out = self.event_loop.buffers.buffer();
        }
    }
}

/// Makes room for a read of at most this length. A buffer that has some room stays as it is: one
/// more byte must not double what a slow client costs.
fn make_room(buffer: &mut Vec<u8>, most: usize) {
    let wanted = most.min(READ_BYTES);
    if buffer.capacity() - buffer.len() < wanted.min(READ_BYTES_MIN) {
        buffer.reserve(wanted);
    }
}

/// A head without an end: too long in its method (501), in its first line (414) or as a whole (431).
fn too_large(rest: &[u8], limits: &Limits) -> Fault {
    if let Some(fault) = refuse_method(rest) {
        return fault;
    }
    let line = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
    if line > limits.target_bytes_max {
        Fault::TargetTooLong
    } else {
        Fault::HeadTooLarge(HeadLimit::Bytes(limits.head_bytes_max))
    }
}

/// The parts that are left to write once `written` bytes of them are.
fn remaining<'a>(parts: [&'a [u8]; 3], written: usize) -> [io::IoSlice<'a>; 3] {
    let mut skip = written;
    parts.map(|part| {
        let here = skip.min(part.len());
        skip -= here;
        io::IoSlice::new(&part[here..])
    })
}
