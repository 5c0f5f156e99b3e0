//! In:     frames, as the engine writes them; a byte stream.
//! Out:    the same bytes in as few writes as may be.
//! Actors: the task of the connection.
//! Never:  are bytes held back past a flush, or sent in another order.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Bytes that are written before a flush, where there are as many: what a record of TLS takes (RFC 8446, 5.1). A multiple of
/// it leaves no short record behind.
const WRITE_BYTES: usize = 16 * 1024;
/// Slices of one write: what waits, and of the engine the start of a frame and its payload.
const SLICES: usize = 4;

/// What was written and not flushed.
#[derive(Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    /// How much of it the stream has taken.
    taken: usize,
}

impl Gathered {
    /// Whether it has no buffer.
    pub(super) fn wants_buffer(&self) -> bool {
        self.bytes.capacity() == 0
    }

    pub(super) fn give_buffer(&mut self, buffer: Vec<u8>) {
        self.bytes = buffer;
    }

    /// Its buffer, where nothing waits in it.
    pub(super) fn take_buffer(&mut self) -> Option<Vec<u8>> {
        (self.bytes.is_empty() && self.bytes.capacity() > 0).then(|| std::mem::take(&mut self.bytes))
    }

    /// Takes these bytes to those that wait for a flush; how many. None where they are enough for a write together.
    pub(super) fn add(&mut self, parts: &[IoSlice<'_>]) -> Option<usize> {
        let length = length_of(parts);
        if self.bytes.len() - self.taken + length >= WRITE_BYTES {
            return None;
        }
        self.bytes.drain(..self.taken);
        self.taken = 0;
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        Some(length)
    }

    /// Has the stream take what waits and the first of these bytes; how many of them it, or the buffer, has taken.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        parts: &[IoSlice<'_>],
        task: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(length) = self.add(parts) {
                return Poll::Ready(Ok(length));
            }
            let waiting = self.bytes.len() - self.taken;
            let most = (waiting + length_of(parts)) / WRITE_BYTES * WRITE_BYTES;
            let slices = first_of(&self.bytes[self.taken..], parts, most);
            let wrote = some(ready!(Pin::new(&mut *stream).poll_write_vectored(task, &slices))?)?;
            self.note_taken(wrote.min(waiting));
            if wrote > waiting {
                return Poll::Ready(Ok(wrote - waiting));
            }
        }
    }

    /// Has the stream take all that waits.
    pub(super) fn poll_drain<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.taken < self.bytes.len() {
            let wrote = ready!(Pin::new(&mut *stream).poll_write(task, &self.bytes[self.taken..]))?;
            self.note_taken(some(wrote)?);
        }
        Poll::Ready(Ok(()))
    }

    fn note_taken(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
        }
    }
}

fn length_of(parts: &[IoSlice<'_>]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// The first `most` bytes of what waits and what comes, or fewer.
fn first_of<'a>(waiting: &'a [u8], parts: &'a [IoSlice<'_>], most: usize) -> [IoSlice<'a>; SLICES] {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let mut left = most;
    let all = std::iter::once(waiting).chain(parts.iter().map(|part| &**part));
    for (slice, part) in slices.iter_mut().zip(all) {
        let take = left.min(part.len());
        *slice = IoSlice::new(&part[..take]);
        left -= take;
    }
    slices
}

/// A stream that takes nothing, and does not say that it will, is at its end.
fn some(wrote: usize) -> io::Result<usize> {
    if wrote > 0 { Ok(wrote) } else { Err(io::ErrorKind::WriteZero.into()) }
}

#[cfg(test)]
mod tests;
