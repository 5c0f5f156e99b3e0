//! In:     a byte stream, and what was read of it already.
//! Out:    the same, as long as what comes is of some use.
//! Actors: the task of the connection.
//! Never:  does a client keep the edge busy with frames that carry nothing.

use crate::stream::Stream;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Of so many bytes one has to be of use, beyond the first; nginx has the same measure.
const BYTES_FOR_ONE: u64 = 8;
const BYTES_FREE: u64 = 1024 * 1024;

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
    stream: Stream,
    before: Vec<u8>,
    used: usize,
    meter: Rc<Meter>,
}

impl Metered {
    pub(super) fn new(stream: Stream, before: Vec<u8>, meter: Rc<Meter>) -> Metered {
        Metered { stream, before, used: 0, meter }
    }
}

impl AsyncRead for Metered {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        let rest = &it.before[it.used..];
        if !rest.is_empty() {
            let take = rest.len().min(into.remaining());
            into.put_slice(&rest[..take]);
            it.used += take;
            if it.used == it.before.len() {
                (it.before, it.used) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(()));
        }
        if it.meter.is_flooded() {
            return Poll::Ready(Err(io::Error::other("frames without use")));
        }
        let before = into.filled().len();
        let read = Pin::new(&mut it.stream).poll_read(task, into);
        it.meter.read_bytes.set(it.meter.read_bytes.get() + (into.filled().len() - before) as u64);
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(task, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}
