//! In:     a connection of any kind of socket.
//! Out:    one byte stream.
//! Actors: the task of the connection.
//! Never:  does anything after this know what kind of socket it is.

use rustix::fs::sendfile;
use rustix::net::{SendFlags, send};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A client's connection.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Waits until there may be something to read.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.readable().await,
            Stream::Unix(stream) => stream.readable().await,
        }
    }

    /// Sends bytes and says that more follow at once.
    pub(crate) async fn send_more(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        self.when_writable(|socket| Ok(send(socket, bytes, flags)?)).await
    }

    /// Sends bytes of a file (`sendfile`); how many.
    pub(crate) async fn send_file(&self, file: &File, at: u64, most: usize) -> io::Result<usize> {
        self.when_writable(|socket| Ok(sendfile(socket, file, Some(&mut at.clone()), most)?)).await
    }

    async fn when_writable(&self, mut act: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.async_io(Interest::WRITABLE, || act(stream.as_fd())).await,
            Stream::Unix(stream) => stream.async_io(Interest::WRITABLE, || act(stream.as_fd())).await,
        }
    }

    /// Has the close of this connection be a reset. A unix socket has no such thing.
    pub(crate) fn reset_on_close(&self) {
        if let Stream::Tcp(stream) = self {
            let _ = stream.set_zero_linger();
        }
    }
}

/// A connection that was accepted on another event loop.
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream, Peer),
    Unix(std::os::unix::net::UnixStream),
}

/// The client's end of a connection.
pub(crate) struct Peer {
    /// Nothing where it came by a unix socket.
    pub(crate) address: Option<IpAddr>,
    /// Its address as text; empty on a unix socket.
    pub(crate) ip: String,
    /// Its port; 0 on a unix socket.
    pub(crate) port: u16,
}

macro_rules! delegate {
    ($self:ident, $method:ident, $($argument:expr),*) => {
        match $self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Unix(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_read, task, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write, task, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write_vectored, task, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_flush, task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_shutdown, task)
    }
}
