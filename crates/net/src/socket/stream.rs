//! In:     a connection of any kind of socket.
//! Out:    one byte stream.
//! Actors: the task of the connection.
//! Never:  does anything after this know what kind of socket it is.

use crate::socket::guarded::Guarded;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::sendfile;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

/// Bytes that the kernel holds unsent for a client before the connection counts as writable (TCP_NOTSENT_LOWAT): what
/// a slow client takes is seen as it takes it.
pub const UNSENT_BYTES: u32 = 128 * 1024;
/// The same for a client that has shown that it is fast: it need not be looked after as often.
const UNSENT_BYTES_FAST: u32 = 4 * 1024 * 1024;

/// A connection as the kernel has it.
pub enum Socket {
    /// Of TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(Guarded),
}

/// A connection to a client, or to a server.
pub enum Stream {
    /// As it is.
    Plain(Socket),
    /// Encrypted.
    Tls(Box<TlsStream<Socket>>),
}

impl Socket {
    /// Waits until there may be something to read.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.readable().await,
            Socket::Unix(stream) => stream.readable().await,
        }
    }

    /// The first bytes that have come and will be read; none at the end.
    pub async fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.peek(into).await,
            Socket::Unix(stream) => {
                let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
                stream.async_io(Interest::READABLE, || Ok(recv(stream.as_fd(), &mut *into, flags)?.0)).await
            }
        }
    }

    /// Waits until the kernel knows that nothing can be sent any more: it was reset, or both sides are closed.
    async fn broken(&self) {
        let broken = match self {
            Socket::Tcp(stream) => stream.ready(Interest::ERROR).await.map(drop),
            Socket::Unix(stream) if hangs_up(stream.as_fd()) => return,
            Socket::Unix(stream) => hung_up(stream.as_fd()).await,
        };
        if broken.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn when_writable(&self, mut act: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.async_io(Interest::WRITABLE, || act(stream.as_fd())).await,
            Socket::Unix(stream) => stream.async_io(Interest::WRITABLE, || act(stream.as_fd())).await,
        }
    }
}

/// Whether both sides of a unix socket are closed: unlike TCP it tells that from one.
fn hangs_up(socket: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::new(&socket, PollFlags::empty())];
    let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut asked, Some(&no_time)).is_ok_and(|ready| ready > 0) && asked[0].revents().contains(PollFlags::HUP)
}

/// Waits until both sides of a unix socket are closed. No error says that, and whoever writes by this connection may not
/// be told that it is not ready when it is: so it is watched by another descriptor.
async fn hung_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    let watched = std::os::unix::net::UnixStream::from(socket.try_clone_to_owned()?);
    let watched = UnixStream::from_std(watched)?;
    let look = || if hangs_up(watched.as_fd()) { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) };
    watched.async_io(Interest::WRITABLE, look).await
}

impl Stream {
    /// Waits until there may be something to read.
    pub async fn readable(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.readable().await,
            Stream::Tls(stream) => stream.fill_buf().await.map(drop),
        }
    }

    /// The same, for a task that waits for something else, too. Nothing has to be kept until then.
    pub fn poll_readable(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(Socket::Tcp(stream)) => stream.poll_read_ready(task),
            Stream::Plain(Socket::Unix(stream)) => stream.poll_read_ready(task),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_fill_buf(task).map_ok(drop),
        }
    }

    /// Waits until it is known that nothing can be sent any more, once the other side sends nothing more.
    pub async fn broken(&self) {
        match self {
            Stream::Plain(socket) => socket.broken().await,
            Stream::Tls(stream) => stream.get_ref().0.broken().await,
        }
    }

    /// Sends bytes and says that more follow at once.
    pub async fn send_more(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match self {
            Stream::Plain(socket) => socket.when_writable(|socket| Ok(send(socket, bytes, flags)?)).await,
            Stream::Tls(stream) => stream.write(bytes).await,
        }
    }

    /// Sends bytes of a file (`sendfile`); how many. Nothing where they have to be encrypted first.
    pub async fn send_file(&self, file: impl AsFd, at: u64, most: usize) -> Option<io::Result<usize>> {
        let Stream::Plain(socket) = self else { return None };
        Some(socket.when_writable(|socket| Ok(sendfile(socket, &file, Some(&mut at.clone()), most)?)).await)
    }

    /// Whether the kernel can send files here by itself.
    pub fn takes_files(&self) -> bool {
        matches!(self, Stream::Plain(_))
    }

    /// How much the kernel may hold unsent for this client. Where that is refused, the difference is small.
    pub fn hold_unsent(&self, is_fast: bool) {
        if let Stream::Plain(Socket::Tcp(stream)) = self {
            let bytes = if is_fast { UNSENT_BYTES_FAST } else { UNSENT_BYTES };
            let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(bytes);
        }
    }

    /// Has the close of this connection be a reset. A unix socket has no such thing.
    pub fn reset_on_close(&self) {
        let socket = match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref().0,
        };
        if let Socket::Tcp(stream) = socket {
            let _ = stream.set_zero_linger();
        }
    }
}

/// A connection that was accepted on another event loop.
pub enum Accepted {
    /// Of TCP, from there.
    Tcp(std::net::TcpStream, Peer),
    /// A unix socket.
    Unix(std::os::unix::net::UnixStream),
}

/// The client's end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// Nothing where it came by a unix socket.
    pub address: Option<IpAddr>,
    /// Its address as text; empty on a unix socket.
    pub ip: String,
    /// Its port; 0 on a unix socket.
    pub port: u16,
}

/// Reading and writing, by whichever of two kinds it is.
macro_rules! delegate {
    ($kind:ident, $one:ident, $other:ident) => {
        impl AsyncRead for $kind {
            fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $kind::$one(stream) => Pin::new(stream).poll_read(task, into),
                    $kind::$other(stream) => Pin::new(stream).poll_read(task, into),
                }
            }
        }

        impl AsyncWrite for $kind {
            fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $kind::$one(stream) => Pin::new(stream).poll_write(task, bytes),
                    $kind::$other(stream) => Pin::new(stream).poll_write(task, bytes),
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                task: &mut Context<'_>,
                parts: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $kind::$one(stream) => Pin::new(stream).poll_write_vectored(task, parts),
                    $kind::$other(stream) => Pin::new(stream).poll_write_vectored(task, parts),
                }
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $kind::$one(stream) => Pin::new(stream).poll_flush(task),
                    $kind::$other(stream) => Pin::new(stream).poll_flush(task),
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $kind::$one(stream) => Pin::new(stream).poll_shutdown(task),
                    $kind::$other(stream) => Pin::new(stream).poll_shutdown(task),
                }
            }
        }
    };
}

delegate!(Socket, Tcp, Unix);
delegate!(Stream, Plain, Tls);
