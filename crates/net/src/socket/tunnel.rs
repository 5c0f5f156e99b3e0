//! In:     two connections that speak a protocol of their own.
//! Out:    what one side says, to the other; its end, too.
//! Actors: the task of the connection.
//! Never:  does a connection that is silent hold a buffer, or more wait for one side than one read of the other.

use crate::runtime::deadline::{Deadline, SWEEP};
use crate::runtime::event_loop::EventLoop;
use crate::socket::stream::Stream;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWrite};

/// Bytes that are read at a time.
const READ_BYTES: usize = 16 * 1024;

/// One way.
#[derive(Default)]
struct Way {
    /// What was read and not written.
    waiting: Vec<u8>,
    written: usize,
    /// Nothing more comes.
    has_ended: bool,
    /// And the other side knows.
    is_shut: bool,
    /// There may be something that was written and not sent.
    is_unflushed: bool,
    /// When something last came.
    moved_ms: u64,
}

impl Way {
    /// Carries what can be carried now; ready once all was, or one of them has broken off.
    fn poll(
        &mut self,
        event_loop: &EventLoop,
        from: &mut Stream,
        to: &mut Stream,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            while self.written < self.waiting.len() {
                match Pin::new(&mut *to).poll_write(task, &self.waiting[self.written..]) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(wrote) => self.written += wrote?,
                }
                self.is_unflushed = true;
            }
            if self.is_unflushed && !to.takes_files() {
                match Pin::new(&mut *to).poll_flush(task) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(flushed) => flushed?,
                }
            }
            self.is_unflushed = false;
            if self.waiting.capacity() > 0 {
                self.written = 0;
                event_loop.buffers.keep_buffer(std::mem::take(&mut self.waiting));
            }
            if self.has_ended {
                if !self.is_shut {
                    // One that is gone need not be told.
                    self.is_shut = Pin::new(&mut *to).poll_shutdown(task).is_ready();
                }
                return if self.is_shut { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            if from.poll_readable(task).is_pending() {
                return Poll::Pending;
            }
            let mut buffer = event_loop.buffers.buffer();
            buffer.reserve(READ_BYTES);
            match pin!(from.take(READ_BYTES as u64).read_buf(&mut buffer)).poll(task) {
                Poll::Pending => {
                    event_loop.buffers.keep_buffer(buffer);
                    return Poll::Pending;
                }
                Poll::Ready(read) => self.has_ended = read? == 0,
            }
            if !self.has_ended {
                self.moved_ms = event_loop.clock.coarse_ms();
            }
            (self.waiting, self.written) = (buffer, 0);
        }
    }
}

/// Carries bytes both ways until both sides have ended, or have been silent for too long. What was read of each side
/// already goes first.
pub async fn join(
    event_loop: &EventLoop,
    (client, from_client): (&mut Stream, Vec<u8>),
    (server, from_server): (&mut Stream, Vec<u8>),
    silence_ms: u64,
) {
    let begun_ms = event_loop.clock.coarse_ms();
    let mut up = Way { waiting: from_client, moved_ms: begun_ms, ..Way::default() };
    let mut down = Way { waiting: from_server, moved_ms: begun_ms, ..Way::default() };
    let deadline = Deadline::new(&event_loop.deadlines);
    loop {
        let both = poll_fn(|task| {
            let there = up.poll(event_loop, client, server, task);
            let back = down.poll(event_loop, server, client, task);
            match (there, back) {
                (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(()),
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(()),
                _ => Poll::Pending,
            }
        });
        let due_ms = event_loop.clock.coarse_ms() + silence_ms + SWEEP.as_millis() as u64;
        let has_ended = deadline.until(due_ms, both).await.is_ok();
        let is_silent = event_loop.clock.coarse_ms() >= up.moved_ms.max(down.moved_ms).saturating_add(silence_ms);
        if has_ended || is_silent {
            return;
        }
    }
}
