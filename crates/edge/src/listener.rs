//! Listening sockets, and the addresses behind them.
//!
//! In:     listening sockets that the master made; the listeners of a plan.
//! Out:    what is spoken at an address, and whether it is still served.
//! Actors: none.
//! Never:  binds or closes a socket for good: they are the master's.

use hallway_core::plan::{Listen, Listener};
use rustix::net::{AddressFamily, getsockname};
use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::Notify;

/// The address a client reached, as WSGI tells it.
pub(crate) struct LocalAddress {
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// A listening socket and its address.
#[derive(Debug)]
pub struct Bound {
    /// The address as the plan has it.
    pub at: Listen,
    /// The socket.
    pub socket: Socket,
}

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

/// An address at which an event loop takes connections, for as long as the plan has it.
pub(crate) struct Gate {
    pub(crate) at: Arc<Listen>,
    pub(crate) local: LocalAddress,
    is_tls: Cell<bool>,
    is_forward: Cell<bool>,
    is_closed: Cell<bool>,
    pub(crate) closed: Notify,
}

impl Gate {
    pub(crate) fn new(listener: &Listener) -> Gate {
        let local = match listener.address() {
            Some(address) => LocalAddress { name: address.ip().to_canonical().to_string(), port: address.port() },
            None => LocalAddress { name: "localhost".into(), port: 80 },
        };
        let (is_tls, is_forward) = (Cell::new(listener.tls), Cell::new(listener.forward));
        let (at, is_closed) = (Arc::new(listener.at.clone()), Cell::new(false));
        Gate { at, local, is_tls, is_forward, is_closed, closed: Notify::new() }
    }

    /// Whether no further connection or request is taken here.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Whether this is for requests to other servers.
    pub(crate) fn is_forward(&self) -> bool {
        self.is_forward.get()
    }

    /// Whether HTTP/2 is spoken here, too.
    pub(crate) fn takes_http2(&self) -> bool {
        !self.is_forward.get()
    }

    /// Something else is spoken here from now on.
    pub(crate) fn change(&self, listener: &Listener) {
        self.is_tls.set(listener.tls);
        self.is_forward.set(listener.forward);
    }

    /// Whether connections are encrypted here.
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls.get()
    }

    /// Takes nobody in any more.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        self.closed.notify_waiters();
    }
}

impl Bound {
    /// Gives each event loop its sockets of an address; one that is shared goes to the first.
    ///
    /// # Errors
    /// Those of asking what a socket is.
    pub fn deal(sockets: Vec<OwnedFd>, at: &Listen, loops: &mut [Vec<Bound>]) -> io::Result<()> {
        for (socket, own) in sockets.into_iter().zip(loops) {
            let socket = match at {
                Listen::Tcp(_) => Socket::Tcp(socket),
                Listen::Unix(_) => Socket::UnixShared(socket),
                Listen::Inherited(_) if getsockname(&socket)?.address_family() == AddressFamily::UNIX => {
                    Socket::UnixShared(socket)
                }
                Listen::Inherited(_) => Socket::TcpShared(socket),
            };
            own.push(Bound { at: at.clone(), socket });
        }
        Ok(())
    }
}
