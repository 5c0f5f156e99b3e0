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
pub struct LocalAddress {
    /// The address, without a port; `localhost` for a unix socket.
    pub name: String,
    /// The port; 80 for a unix socket.
    pub port: u16,
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
pub struct Gate {
    /// As the plan has it.
    pub at: Arc<Listen>,
    /// As apps are told.
    pub local: LocalAddress,
    is_tls: Cell<bool>,
    is_forward: Cell<bool>,
    is_closed: Cell<bool>,
    /// Told when nobody is taken in any more.
    pub closed: Notify,
}

impl Gate {
    /// An address that was opened just now.
    pub fn new(listener: &Listener) -> Gate {
        let local = match listener.address() {
            Some(address) => LocalAddress { name: address.ip().to_canonical().to_string(), port: address.port() },
            None => LocalAddress { name: "localhost".into(), port: 80 },
        };
        let (is_tls, is_forward) = (Cell::new(listener.tls), Cell::new(listener.forward));
        let (at, is_closed) = (Arc::new(listener.at.clone()), Cell::new(false));
        Gate { at, local, is_tls, is_forward, is_closed, closed: Notify::new() }
    }

    /// Whether no further connection or request is taken here.
    pub fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Whether this is for requests to other servers.
    pub fn is_forward(&self) -> bool {
        self.is_forward.get()
    }

    /// Whether HTTP/2 is spoken here, too.
    pub fn takes_http2(&self) -> bool {
        !self.is_forward.get()
    }

    /// Something else is spoken here from now on.
    pub fn change(&self, listener: &Listener) {
        self.is_tls.set(listener.tls);
        self.is_forward.set(listener.forward);
    }

    /// Whether connections are encrypted here.
    pub fn is_tls(&self) -> bool {
        self.is_tls.get()
    }

    /// Takes nobody in any more.
    pub fn close(&self) {
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
