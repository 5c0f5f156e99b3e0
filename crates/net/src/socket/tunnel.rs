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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{Client, connection, late, on_loop, pass, settle};
    use std::rc::Rc;
    use tokio::io::AsyncWriteExt;
    use tokio::task::JoinHandle;

    const SILENCE_MS: u64 = 10_000;

    /// The outer ends of a tunnel, and its task.
    fn tunnel(event_loop: &Rc<EventLoop>) -> (Client, Client, JoinHandle<()>) {
        let ((client, mut near), (server, mut far)) = (connection(), connection());
        let event_loop = event_loop.clone();
        let task = tokio::task::spawn_local(async move {
            let (up, down) = ((&mut near, b"early ".to_vec()), (&mut far, b"first ".to_vec()));
            join(&event_loop, up, down, SILENCE_MS).await;
        });
        (client, server, task)
    }

    #[test]
    fn what_was_read_before_goes_first_both_ways() {
        on_loop(async |event_loop| {
            let (mut client, mut server, _) = tunnel(&event_loop);
            client.say("up").await;
            server.say("down").await;
            assert_eq!(server.hear("up").await, "early up");
            assert_eq!(client.hear("down").await, "first down");
        });
    }

    #[test]
    fn the_end_of_one_side_is_told_and_the_other_goes_on() {
        on_loop(async |event_loop| {
            let (mut client, mut server, task) = tunnel(&event_loop);
            client.say("all").await;
            client.0.shutdown().await.unwrap();
            assert_eq!(server.hear_out().await, "early all");
            server.say("answer").await;
            assert_eq!(client.hear("answer").await, "first answer");
            assert!(!task.is_finished());
            server.0.shutdown().await.unwrap();
            task.await.unwrap();
        });
    }

    #[test]
    fn a_side_that_breaks_off_ends_both() {
        on_loop(async |event_loop| {
            let (mut client, server, task) = tunnel(&event_loop);
            drop(server);
            client.say("for nobody").await;
            task.await.unwrap();
            assert!(client.hear_out().await.len() <= "first ".len());
        });
    }

    #[test]
    fn silence_ends_it_and_a_word_of_either_side_does_not() {
        on_loop(async |event_loop| {
            let (mut client, mut server, task) = tunnel(&event_loop);
            for _ in 0..2 {
                pass(&event_loop, SILENCE_MS / 4 * 3).await;
                client.say(".").await;
                pass(&event_loop, SILENCE_MS / 4 * 3).await;
                server.say(".").await;
                settle().await;
            }
            assert!(!task.is_finished());
            pass(&event_loop, late(SILENCE_MS)).await;
            task.await.unwrap();
        });
    }

    #[test]
    fn a_side_that_takes_nothing_holds_up_its_own_way_only() {
        on_loop(async |event_loop| {
            let (mut client, mut server, task) = tunnel(&event_loop);
            // More than the sockets between them hold.
            let sending = tokio::task::spawn_local(async move {
                let mut sent = 0;
                while server.0.write_all(&[b'x'; 4096]).await.is_ok() && sent < 4_000_000 {
                    sent += 4096;
                }
                (server, sent)
            });
            settle().await;
            assert!(!sending.is_finished(), "it waits for the client");
            let taken = async {
                let mut taken = 0;
                let mut room = vec![0; 65536];
                while taken < 4_000_000 {
                    taken += client.0.read(&mut room).await.unwrap();
                }
                client.say("up").await;
            };
            taken.await;
            let (mut server, _) = sending.await.unwrap();
            assert!(server.hear("up").await.ends_with("early up"));
            assert!(!task.is_finished());
        });
    }
}
