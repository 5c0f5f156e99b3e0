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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn an_address_is_told_without_what_is_only_its_spelling() {
        let inherited = |local: Option<&str>| Listener {
            local: local.map(|local| local.parse().unwrap()),
            ..Listener::from(Listen::Inherited(3))
        };
        let tcp = |at: &str| Listener::from(Listen::Tcp(at.parse().unwrap()));
        let table = [
            (tcp("192.0.2.1:8000"), ("192.0.2.1", 8000)),
            (tcp("[::ffff:192.0.2.1]:80"), ("192.0.2.1", 80)),
            (tcp("[2001:db8::1]:443"), ("2001:db8::1", 443)),
            (Listener::from(Listen::Unix("/run/x".into())), ("localhost", 80)),
            (inherited(Some("192.0.2.9:81")), ("192.0.2.9", 81)),
            (inherited(None), ("localhost", 80)),
        ];
        for (listener, (name, port)) in table {
            let local = Gate::new(&listener).local;
            assert_eq!((&*local.name, local.port), (name, port));
        }
    }

    #[test]
    fn an_open_gate_follows_the_plan() {
        let listener = Listener::from(Listen::Tcp("192.0.2.1:443".parse().unwrap()));
        let gate = Gate::new(&listener);
        assert!(!gate.is_tls() && gate.takes_http2() && !gate.is_closed());
        gate.change(&Listener { tls: true, ..listener.clone() });
        assert!(gate.is_tls() && !gate.is_forward());
        gate.change(&Listener { forward: true, ..listener });
        assert!(!gate.is_tls() && gate.is_forward() && !gate.takes_http2());
    }

    #[test]
    fn each_loop_gets_its_socket_and_one_that_is_shared_goes_to_the_first() {
        let tcp = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
        let unix = || OwnedFd::from(UnixDatagram::unbound().unwrap());
        let mut loops: Vec<Vec<Bound>> = vec![Vec::new(), Vec::new()];
        Bound::deal(vec![tcp(), tcp()], &Listen::Tcp("127.0.0.1:1".parse().unwrap()), &mut loops).unwrap();
        Bound::deal(vec![unix()], &Listen::Unix("/run/x".into()), &mut loops).unwrap();
        Bound::deal(vec![unix()], &Listen::Inherited(3), &mut loops).unwrap();
        Bound::deal(vec![tcp()], &Listen::Inherited(4), &mut loops).unwrap();
        let kinds = |bound: &[Bound]| -> String {
            let kind = |one: &Bound| match one.socket {
                Socket::Tcp(_) => 't',
                Socket::UnixShared(_) => 'u',
                Socket::TcpShared(_) => 's',
            };
            bound.iter().map(kind).collect()
        };
        assert_eq!((&*kinds(&loops[0]), &*kinds(&loops[1])), ("tuus", "t"));
    }
}
