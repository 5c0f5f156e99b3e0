//! In:     a unix socket, by whose other side descriptors may come beside bytes.
//! Out:    the bytes; the connection ends where anything else came.
//! Actors: the task of the connection; a few threads that close what came.
//! Never:  does an event loop close what somebody has sent: that may take as long as the sender likes, also for what was
//!         never taken, and is closed with the socket.

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, Shutdown, recvmsg, shutdown};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

/// Most descriptors beside one message (SCM_MAX_FD).
const DESCRIPTORS_MAX: usize = 253;
/// Threads that close what came, and what is not touched of the stack of each takes no memory.
const CLOSERS: usize = 4;
const STACK_BYTES: usize = 128 * 1024;

/// A unix socket whose other side is not trusted.
pub struct Guarded(UnixStream);

impl From<UnixStream> for Guarded {
    fn from(stream: UnixStream) -> Guarded {
        Guarded(stream)
    }
}

impl Deref for Guarded {
    type Target = UnixStream;

    fn deref(&self) -> &UnixStream {
        &self.0
    }
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &self.get_mut().0;
        loop {
            ready!(stream.poll_read_ready(task))?;
            let room = into.initialize_unfilled();
            match stream.try_io(Interest::READABLE, || receive(stream.as_fd(), room)) {
                Ok((bytes, false)) => {
                    into.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Ok((_, true)) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(task, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(task)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Nothing more can be sent then, and what there is has an end.
        if shutdown(&self.0, Shutdown::Read).is_ok() {
            let mut room = [0; 4096];
            while receive(self.0.as_fd(), &mut room).is_ok_and(|(bytes, _)| bytes > 0) {}
        }
    }
}

/// Reads what is there; how much, and whether descriptors came beside it, which are closed apart.
fn receive(socket: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<(usize, bool)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut receive = || recvmsg(socket, &mut [IoSliceMut::new(room)], &mut beside, flags);
    let bytes = rustix::io::retry_on_intr(&mut receive)?.bytes;
    let mut sent = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            sent.extend(descriptors);
        }
    }
    let has_some = !sent.is_empty();
    if has_some {
        close_apart(sent);
    }
    Ok((bytes, has_some))
}

/// Has threads close these, whatever they wait for. What cannot be handed over stays open.
fn close_apart(descriptors: Vec<OwnedFd>) {
    static CLOSING: OnceLock<Sender<Vec<OwnedFd>>> = OnceLock::new();
    let closing = CLOSING.get_or_init(|| {
        let (sender, queue) = channel::<Vec<OwnedFd>>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..CLOSERS {
            let queue = queue.clone();
            let next = move || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let close = move || {
                while let Ok(descriptors) = next() {
                    for descriptor in descriptors {
                        // A socket that was told to wait for what it still has to send; no other has this to be told.
                        let _ = set_socket_linger(&descriptor, None);
                        drop(descriptor);
                    }
                }
            };
            let _ = std::thread::Builder::new().name("closing".into()).stack_size(STACK_BYTES).spawn(close);
        }
        sender
    });
    if let Err(unsent) = closing.send(descriptors) {
        unsent.0.into_iter().for_each(std::mem::forget);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::on_loop;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::fs::File;
    use std::io::Read;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn send_beside(socket: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        assert!(beside.push(SendAncillaryMessage::ScmRights(descriptors)));
        sendmsg(socket, &[IoSlice::new(bytes)], &mut beside, SendFlags::empty()).unwrap();
    }

    #[test]
    fn bytes_pass_and_descriptors_end_the_connection() {
        on_loop(async |_| {
            let (mut client, server) = UnixStream::pair().unwrap();
            let (mut server, mut room) = (Guarded::from(server), [0; 16]);
            client.write_all(b"hello").await.unwrap();
            assert_eq!(server.read(&mut room).await.unwrap(), 5);
            let file = File::open("/dev/null").unwrap();
            send_beside(&client, b"x", &[file.as_fd()]);
            let error = server.read(&mut room).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        });
    }

    #[test]
    fn what_came_is_closed_taken_or_not() {
        on_loop(async |_| {
            let (client, server) = UnixStream::pair().unwrap();
            let (mut server, mut room) = (Guarded::from(server), [0; 16]);
            let (mut taken_end, taken) = io::pipe().unwrap();
            let (mut left_end, left) = io::pipe().unwrap();
            send_beside(&client, b"x", &[taken.as_fd()]);
            send_beside(&client, b"x", &[left.as_fd()]);
            drop((taken, left));
            assert!(server.read(&mut room).await.is_err());
            // The end of a pipe is there once nobody has its other side.
            assert_eq!(taken_end.read(&mut room).unwrap(), 0);
            drop(server);
            assert_eq!(left_end.read(&mut room).unwrap(), 0);
        });
    }
}
