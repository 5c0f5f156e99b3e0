//! In:     listening sockets that the master made.
//! Out:    connections, each as a task on one event loop.
//! Actors: one accepting task for each socket.
//! Never:  is a socket bound or closed for good here; they are the master's.

use crate::exchange::LocalAddress;
use crate::house::House;
use crate::http1;
use crate::posts::Posts;
use crate::stream::{Accepted, Peer, Stream};
use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;

/// Between two looks for idle connections while there is no room for another one.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Between two words about that.
const BETWEEN_COMPLAINTS_MS: u64 = 60_000;

/// A listening socket of the edge.
#[derive(Debug)]
pub enum Socket {
    /// One of the sockets of a TCP address: each event loop has its own.
    Tcp(OwnedFd),
    /// The only socket of an address: the first event loop accepts and deals out.
    UnixShared(OwnedFd),
    /// The same for TCP: a socket that was inherited.
    TcpShared(OwnedFd),
}

/// What the accepting tasks of one event loop share.
pub(crate) struct Door {
    pub(crate) house: Rc<House>,
    pub(crate) posts: Posts,
    /// Told when the house drains: no further connection is to be taken.
    pub(crate) closed: Notify,
    /// Connections that are open.
    pub(crate) open: Cell<usize>,
    /// At most so many; who comes then waits in the kernel.
    pub(crate) open_max: usize,
    pub(crate) room: Notify,
    /// When the operator may be told of it again.
    pub(crate) complain_ms: Cell<u64>,
}

impl Door {
    /// Serves a connection as a task of this loop.
    pub(crate) fn let_in(self: &Rc<Self>, stream: Stream, peer: Peer, local: Rc<LocalAddress>) {
        let door = self.clone();
        door.open.set(door.open.get() + 1);
        if door.open.get() == 1 {
            door.house.clock.refresh();
            door.house.work.notify_one();
        }
        tokio::task::spawn_local(async move {
            http1::serve(door.house.clone(), stream, peer, local).await;
            door.open.set(door.open.get() - 1);
            door.room.notify_one();
            if door.open.get() == 0 {
                door.posts.emptied(door.house.calls.thread());
            }
        });
    }

    /// A connection that another loop accepted.
    pub(crate) fn let_in_accepted(self: &Rc<Self>, accepted: Accepted) {
        let made = match accepted {
            Accepted::Tcp(stream, peer) => TcpStream::from_std(stream).map(|stream| (Stream::Tcp(stream), peer)),
            Accepted::Unix(stream) => UnixStream::from_std(stream).map(|stream| (Stream::Unix(stream), no_peer())),
        };
        if let Ok((stream, peer)) = made {
            self.let_in(stream, peer, Rc::new(unknown_local()));
        }
    }

    /// Accepts until the door closes, and then what already waits.
    pub(crate) async fn accept_tcp(self: Rc<Self>, socket: OwnedFd, shared: bool) -> io::Result<()> {
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let local = Rc::new(local_of(&listener));
        while let Some(accepted) = self.unless_closed(listener.accept()).await {
            match accepted {
                Ok((stream, address)) => {
                    // Answers are written whole; waiting for more to send would only delay them.
                    let _ = stream.set_nodelay(true);
                    let ip = address.ip().to_canonical();
                    let peer = Peer { address: Some(ip), ip: ip.to_string(), port: address.port() };
                    if shared {
                        if let Ok(stream) = stream.into_std() {
                            self.posts.deal(Accepted::Tcp(stream, peer));
                        }
                    } else {
                        self.let_in(Stream::Tcp(stream), peer, local.clone());
                    }
                }
                Err(error) => self.pause(&error).await,
            }
        }
        Ok(())
    }

    /// The same for a unix socket.
    pub(crate) async fn accept_unix(self: Rc<Self>, socket: OwnedFd) -> io::Result<()> {
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        while let Some(accepted) = self.unless_closed(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    if let Ok(stream) = stream.into_std() {
                        self.posts.deal(Accepted::Unix(stream));
                    }
                }
                Err(error) => self.pause(&error).await,
            }
        }
        Ok(())
    }

    /// The result of an accept; nothing once the door is closed and nobody waits before it.
    async fn unless_closed<T>(&self, accept: impl Future<Output = T>) -> Option<T> {
        while self.open.get() >= self.open_max && !self.house.draining.get() {
            self.make_room();
            // Some are idle for long enough in a moment, if not now.
            let _ = tokio::time::timeout(BETWEEN_LOOKS, self.room.notified()).await;
        }
        let mut accept = std::pin::pin!(accept);
        let mut closed = std::pin::pin!(self.closed.notified());
        std::future::poll_fn(|task| {
            if let std::task::Poll::Ready(accepted) = accept.as_mut().poll(task) {
                return std::task::Poll::Ready(Some(accepted));
            }
            if closed.as_mut().poll(task).is_ready() || self.house.draining.get() {
                return std::task::Poll::Ready(None);
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// No descriptor is left for one more connection: those that are idle make room, as with nginx.
    fn make_room(&self) {
        let (house, now_ms) = (&self.house, self.house.clock.coarse_ms());
        if now_ms >= self.complain_ms.get() {
            self.complain_ms.set(now_ms + BETWEEN_COMPLAINTS_MS);
            let open = self.open_max;
            house.log.error(&format!(
                "{open} connections are open, the most for which there are descriptors (ulimit -n); idle ones are closed"
            ));
        }
        house.deadlines.end_idle(now_ms, house.plan.limits.idle_timeout_ms);
    }

    /// After a failed accept. A connection that was reset in the queue is nobody's loss; out of
    /// descriptors or memory, the queue is the place to wait.
    async fn pause(&self, error: &io::Error) {
        if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            self.house.log.error(&format!("a connection could not be accepted: {error}"));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn local_of(listener: &TcpListener) -> LocalAddress {
    listener.local_addr().map_or_else(
        |_| unknown_local(),
        |address| LocalAddress { name: address.ip().to_string(), port: address.port() },
    )
}

fn unknown_local() -> LocalAddress {
    LocalAddress { name: "localhost".into(), port: 80 }
}

fn no_peer() -> Peer {
    Peer { address: None, ip: String::new(), port: 0 }
}
