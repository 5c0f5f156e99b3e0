//! In:     listening sockets that the master made.
//! Out:    connections, each as a task on one event loop.
//! Actors: one accepting task for each socket.
//! Never:  is a socket bound or closed for good here; they are the master's.

use crate::journey::rules::Rules;
use crate::journey::state::LoopState;
use crate::server::mailbox::{Mailboxes, Message};
use crate::server::pulse::Pulse;
use hallway_core::plan::{Listen, Listener};
use hallway_net::negotiate::arrive;
use hallway_net::socket::listener::{Bound, Gate, Socket};
use hallway_net::socket::stream;
use hallway_net::socket::stream::{Accepted, Peer};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;

/// Between two looks for idle connections while there is no room for another one.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Between two words about that.
const BETWEEN_COMPLAINTS_MS: u64 = 60_000;

/// What the accepting tasks of one event loop share.
pub(crate) struct Door {
    pub(crate) state: Rc<LoopState>,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) pulse: Rc<Pulse>,
    gates: RefCell<Vec<Rc<Gate>>>,
    /// Connections that are open.
    pub(crate) open: Cell<usize>,
    /// At most so many; who comes then waits in the kernel.
    open_max: usize,
    room: Notify,
    /// When the operator may be told of it again.
    complain_ms: Cell<u64>,
}

impl Door {
    pub(crate) fn new(state: Rc<LoopState>, mailboxes: Mailboxes, pulse: Rc<Pulse>, open_max: usize) -> Rc<Door> {
        let (gates, room) = (RefCell::default(), Notify::new());
        Rc::new(Door { state, mailboxes, pulse, gates, open: Cell::new(0), open_max, room, complain_ms: Cell::new(0) })
    }

    /// Goes by other rules from now on: addresses that they do not have are closed, at new ones connections
    /// are taken. Requests that have begun end by the rules they began with.
    pub(crate) fn adopt(self: &Rc<Self>, rules: Arc<Rules>, sockets: Vec<Bound>) {
        let listeners = &rules.plan.listeners;
        let mut gates = self.gates.borrow_mut();
        gates.retain(|gate| {
            let listener = listeners.iter().find(|listener| listener.at == *gate.at);
            match listener {
                Some(listener) => gate.change(listener),
                None => gate.close(),
            }
            listener.is_some()
        });
        for listener in listeners {
            if !gates.iter().any(|gate| *gate.at == listener.at) {
                gates.push(Rc::new(Gate::new(listener)));
            }
        }
        for Bound { at, socket } in sockets {
            let Some(gate) = gates.iter().find(|gate| *gate.at == at).cloned() else { continue };
            tokio::task::spawn_local(self.clone().accept(socket, gate));
        }
        drop(gates);
        let watchdog_ms = rules.plan.watchdog_ms;
        self.state.adopt(rules);
        self.pulse.renew(watchdog_ms);
    }

    /// Takes nobody in any more but those who wait already.
    pub(crate) fn close(&self) {
        self.gates.borrow().iter().for_each(|gate| gate.close());
    }

    /// Serves a connection as a task of this loop.
    fn let_in(self: &Rc<Self>, socket: stream::Socket, peer: Peer, gate: Rc<Gate>) {
        let door = self.clone();
        door.open.set(door.open.get() + 1);
        if door.open.get() == 1 {
            door.state.event_loop.clock.refresh();
            door.state.event_loop.work.notify_one();
        }
        tokio::task::spawn_local(async move {
            let (event_loop, service) = (door.state.event_loop.clone(), door.state.clone());
            arrive(event_loop, service, socket, (peer, gate)).await;
            door.open.set(door.open.get() - 1);
            door.room.notify_one();
            if door.open.get() == 0 {
                door.mailboxes.to(door.state.event_loop.thread, Message::Emptied);
            }
        });
    }

    /// A connection that another loop accepted at this address.
    pub(crate) fn let_in_accepted(self: &Rc<Self>, at: &Listen, accepted: Accepted) {
        let made = match accepted {
            Accepted::Tcp(stream, peer) => {
                TcpStream::from_std(stream).map(|stream| (stream::Socket::Tcp(stream), peer))
            }
            Accepted::Unix(stream) => {
                UnixStream::from_std(stream).map(|stream| (stream::Socket::Unix(stream.into()), no_peer()))
            }
        };
        let gate = self.gates.borrow().iter().find(|gate| *gate.at == *at).cloned();
        // Without a gate, the address was taken out just now: it is served like the last that came by it.
        let gate = gate.unwrap_or_else(|| {
            let gate = Gate::new(&Listener::from(at.clone()));
            gate.close();
            Rc::new(gate)
        });
        if let Ok((stream, peer)) = made {
            self.let_in(stream, peer, gate);
        }
    }

    async fn accept(self: Rc<Self>, socket: Socket, gate: Rc<Gate>) {
        let accepted = match socket {
            Socket::Tcp(socket) => self.accept_tcp(socket, &gate, false).await,
            Socket::TcpShared(socket) => self.accept_tcp(socket, &gate, true).await,
            Socket::UnixShared(socket) => self.accept_unix(socket, &gate).await,
        };
        if let Err(error) = accepted {
            self.state.event_loop.report(&format!("a listening socket cannot be used: {error}"));
        }
    }

    /// Accepts until the gate closes, and then what already waits.
    async fn accept_tcp(self: &Rc<Self>, socket: OwnedFd, gate: &Rc<Gate>, shared: bool) -> io::Result<()> {
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        while let Some(accepted) = self.unless_closed(gate, listener.accept()).await {
            match accepted {
                Ok((stream, address)) => {
                    // Answers are written whole; waiting for more to send would only delay them.
                    let _ = stream.set_nodelay(true);
                    let ip = address.ip().to_canonical();
                    let peer = Peer { address: Some(ip), ip: ip.to_string(), port: address.port() };
                    if shared {
                        if let Ok(stream) = stream.into_std() {
                            self.mailboxes.deal(&gate.at, Accepted::Tcp(stream, peer));
                        }
                    } else {
                        self.let_in(stream::Socket::Tcp(stream), peer, gate.clone());
                    }
                }
                Err(error) => self.pause(&error).await,
            }
        }
        Ok(())
    }

    /// The same for a unix socket.
    async fn accept_unix(self: &Rc<Self>, socket: OwnedFd, gate: &Rc<Gate>) -> io::Result<()> {
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        while let Some(accepted) = self.unless_closed(gate, listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    if let Ok(stream) = stream.into_std() {
                        self.mailboxes.deal(&gate.at, Accepted::Unix(stream));
                    }
                }
                Err(error) => self.pause(&error).await,
            }
        }
        Ok(())
    }

    /// The result of an accept; nothing once the gate is closed and nobody waits before it.
    async fn unless_closed<T>(&self, gate: &Gate, accept: impl Future<Output = T>) -> Option<T> {
        while self.open.get() >= self.open_max && !gate.is_closed() {
            self.make_room();
            // Some are idle for long enough in a moment, if not now.
            let _ = tokio::time::timeout(BETWEEN_LOOKS, self.room.notified()).await;
        }
        let mut accept = std::pin::pin!(accept);
        let mut closed = std::pin::pin!(gate.closed.notified());
        std::future::poll_fn(|task| {
            if let std::task::Poll::Ready(accepted) = accept.as_mut().poll(task) {
                return std::task::Poll::Ready(Some(accepted));
            }
            if closed.as_mut().poll(task).is_ready() || gate.is_closed() {
                return std::task::Poll::Ready(None);
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// No descriptor is left for one more connection: those that are idle make room, as with nginx.
    fn make_room(&self) {
        let event_loop = &self.state.event_loop;
        let now_ms = event_loop.clock.coarse_ms();
        if now_ms >= self.complain_ms.get() {
            self.complain_ms.set(now_ms + BETWEEN_COMPLAINTS_MS);
            let open = self.open_max;
            event_loop.report(&format!(
                "{open} connections are open, the most for which there are descriptors (ulimit -n); idle ones are closed"
            ));
        }
        event_loop.deadlines.end_idle(now_ms, event_loop.limits.get().idle_timeout_ms);
    }

    /// After a failed accept. A connection that was reset in the queue is nobody's loss; out of
    /// descriptors or memory, the queue is the place to wait.
    async fn pause(&self, error: &io::Error) {
        if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            self.state.event_loop.report(&format!("a connection could not be accepted: {error}"));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn no_peer() -> Peer {
    Peer { address: None, ip: String::new(), port: 0 }
}

#[cfg(test)]
mod tests;
