//! In:     a byte stream, and what was read of it already.
//! Out:    the same, as long as what comes is of some use.
//! Actors: the task of the connection.
//! Never:  does a client keep the edge busy with frames that carry nothing, or waiting for the rest of a head, or
//!         for room to send to it.

use crate::http2::gathered::Gathered;
use crate::runtime::deadline::{Deadline, SWEEP, Wait};
use crate::runtime::event_loop::EventLoop;
use crate::socket::linger::{LINGER_BYTES_MAX, LINGER_MS};
use crate::socket::stream::Stream;
use hallway_core::http2::Heads;
use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Of so many bytes one has to be of use, beyond the first; nginx has the same measure.
const BYTES_FOR_ONE: u64 = 8;
const BYTES_FREE: u64 = 128 * 1024;
/// Bytes of a client that leaves which are taken at a time.
const PARTING_READ_BYTES: usize = 4 * 1024;
/// Bytes that are read before others on this event loop have their turn.
const TURN_BYTES: usize = 16 * 1024;

/// What came, and what it was good for.
#[derive(Debug, Default)]
pub(super) struct Meter {
    read_bytes: Cell<u64>,
    payload_bytes: Cell<u64>,
}

impl Meter {
    /// So many bytes belonged to requests or their answers.
    pub(super) fn note_payload(&self, bytes: u64) {
        self.payload_bytes.set(self.payload_bytes.get() + bytes);
    }

    fn is_flooded(&self) -> bool {
        self.read_bytes.get() / BYTES_FOR_ONE > self.payload_bytes.get() + BYTES_FREE
    }
}

/// A byte stream that is measured.
pub(super) struct Metered {
    event_loop: Rc<EventLoop>,
    stream: Stream,
    before: Vec<u8>,
    used: usize,
    meter: Rc<Meter>,
    heads: Heads,
    /// Bytes that were read since others had their turn.
    turn_bytes: usize,
    /// Since when a head that has begun is not whole, and what waits for it.
    head_since_ms: Option<u64>,
    head_deadline: Deadline,
    /// Frames of all streams that are ready, until the engine has no more of them.
    gathered: Gathered,
    /// Since when the client has taken nothing of what is to be sent, and what waits for that.
    stuck_since_ms: Option<u64>,
    write_deadline: Deadline,
    /// Until when what the client still sends is taken, once all was said, and how much that was.
    parts_at_ms: Option<u64>,
    parting_bytes: usize,
}

impl Metered {
    pub(super) fn new(event_loop: &Rc<EventLoop>, stream: Stream, before: Vec<u8>, meter: Rc<Meter>) -> Metered {
        let deadline = || Deadline::new(&event_loop.deadlines);
        let (head_deadline, write_deadline, heads) = (deadline(), deadline(), Heads::default());
        let (head_since_ms, stuck_since_ms, event_loop) = (None, None, event_loop.clone());
        Metered {
            event_loop,
            stream,
            before,
            used: 0,
            meter,
            heads,
            turn_bytes: 0,
            head_since_ms,
            head_deadline,
            gathered: Gathered::default(),
            stuck_since_ms,
            write_deadline,
            parts_at_ms: None,
            parting_bytes: 0,
        }
    }

    /// Follows what was read.
    fn follow(&mut self, bytes: &[u8]) {
        self.heads.follow(bytes);
        if !self.heads.is_open() {
            self.head_since_ms = None;
            self.head_deadline.rest();
        } else if self.head_since_ms.is_none() {
            self.head_since_ms = Some(self.event_loop.clock.coarse_ms());
        }
    }

    /// Writes what was gathered. What waits for more has no buffer.
    fn poll_drain(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drained = self.gathered.poll_drain(&mut self.stream, task);
        if let Some(buffer) = self.gathered.take_buffer() {
            self.event_loop.buffers.keep_buffer(buffer);
        }
        drained
    }

    /// Takes what the client still sends until it ends, or its time is over: windows that it opens, most of the time. A
    /// connection that is closed over them is reset, and what the client has not read yet may be lost (RFC 9112, 9.6).
    fn poll_see_off(&mut self, until_ms: u64, task: &mut Context<'_>) -> Poll<()> {
        let mut buffer = [MaybeUninit::uninit(); PARTING_READ_BYTES];
        while self.parting_bytes < LINGER_BYTES_MAX {
            let mut room = ReadBuf::uninit(&mut buffer);
            match Pin::new(&mut self.stream).poll_read(task, &mut room) {
                Poll::Ready(Ok(())) if !room.filled().is_empty() => self.parting_bytes += room.filled().len(),
                Poll::Ready(_) => break,
                Poll::Pending => return self.write_deadline.poll_due(Wait::Within, until_ms, task).map(drop),
            }
        }
        Poll::Ready(())
    }

    /// The result of a write: one that waits is not waited for without end.
    fn unless_stuck<T>(&mut self, wrote: Poll<io::Result<T>>, task: &mut Context<'_>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            if self.stuck_since_ms.take().is_some() {
                self.write_deadline.rest();
            }
            return wrote;
        }
        let since_ms = *self.stuck_since_ms.get_or_insert(self.event_loop.clock.coarse_ms());
        let due_ms = since_ms + self.event_loop.limits.get().write_timeout_ms + SWEEP.as_millis() as u64;
        ready!(self.write_deadline.poll_due(Wait::Within, due_ms, task));
        self.stream.reset_on_close();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Metered {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        if it.used < it.before.len() {
            let before = std::mem::take(&mut it.before);
            let take = (before.len() - it.used).min(into.remaining());
            into.put_slice(&before[it.used..it.used + take]);
            it.follow(&before[it.used..it.used + take]);
            it.used += take;
            if it.used < before.len() {
                it.before = before;
            }
            return Poll::Ready(Ok(()));
        }
        if it.meter.is_flooded() {
            return Poll::Ready(Err(io::Error::other("frames without use")));
        }
        if it.turn_bytes > TURN_BYTES {
            it.turn_bytes = 0;
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        let read = Pin::new(&mut it.stream).poll_read(task, into);
        let bytes = &into.filled()[before..];
        it.meter.read_bytes.set(it.meter.read_bytes.get() + bytes.len() as u64);
        it.turn_bytes = if read.is_pending() { 0 } else { it.turn_bytes + bytes.len() };
        it.follow(bytes);
        if let (Poll::Pending, Some(since_ms)) = (&read, it.head_since_ms) {
            let due_ms = since_ms + it.event_loop.limits.get().head_timeout_ms + SWEEP.as_millis() as u64;
            ready!(it.head_deadline.poll_due(Wait::Head, due_ms, task));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(task, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let it = self.get_mut();
        if it.gathered.wants_buffer() {
            it.gathered.give_buffer(it.event_loop.buffers.buffer());
        }
        // That these are kept says nothing of the client.
        if let Some(length) = it.gathered.add(parts) {
            return Poll::Ready(Ok(length));
        }
        let wrote = it.gathered.poll_write(&mut it.stream, parts, task);
        it.unless_stuck(wrote, task)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        let flushed = match it.poll_drain(task) {
            Poll::Ready(Ok(())) => Pin::new(&mut it.stream).poll_flush(task),
            waits => waits,
        };
        it.unless_stuck(flushed, task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        if let Some(until_ms) = it.parts_at_ms {
            return it.poll_see_off(until_ms, task).map(Ok);
        }
        let shut = match it.poll_drain(task) {
            Poll::Ready(Ok(())) => Pin::new(&mut it.stream).poll_shutdown(task),
            waits => waits,
        };
        ready!(it.unless_stuck(shut, task))?;
        let until_ms = it.event_loop.clock.coarse_ms() + LINGER_MS + SWEEP.as_millis() as u64;
        it.parts_at_ms = Some(until_ms);
        it.poll_see_off(until_ms, task).map(Ok)
    }
}

#[cfg(test)]
mod tests;
