//! The body of a server's response.
//!
//! In:     pieces, as the server sends them.
//! Out:    the same for the client; the connection for a next request, once all has come.
//! Actors: the task of the request; one for a client that is slow, which takes what comes.
//! Never:  does a client that is slow hold a server.

use crate::handlers::pool::connections::Upstreams;
use crate::handlers::pool::lease::Held;
use crate::handlers::pool::outgoing::Outgoing;
use crate::handlers::pool::protocol::Flight;
use hallway_core::Fault;
use hallway_core::fields::Fields;
use hallway_core::plan::Pool;
use hallway_net::body::buffer::{Backlog, Giver};
use hallway_net::body::piece::Piece;
use hallway_net::runtime::deadline::{Deadline, SWEEP};
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// An answer on its way.
pub(super) struct Running {
    pub(super) upstreams: Rc<Upstreams>,
    pub(super) flight: Flight,
    pub(super) held: Held,
    pub(super) pool: Arc<Pool>,
    pub(super) deadline: Deadline,
}

impl Running {
    async fn piece(&mut self) -> Result<(Piece, bool), Fault> {
        let Running { upstreams, flight, .. } = self;
        let wanted = flight.outgoing().wants();
        let due_ms = upstreams.event_loop.clock.coarse_ms() + self.pool.pause_timeout_ms + SWEEP.as_millis() as u64;
        let next = poll_fn(|task| match flight.poll_piece(&upstreams.event_loop.clock, task) {
            // There is room for more of the request: an empty piece says so.
            Poll::Pending if !wanted && flight.outgoing().wants() => Poll::Ready(Ok((Piece::default(), false))),
            piece => piece,
        });
        let piece = self.deadline.until(due_ms, next).await;
        let piece = piece.unwrap_or(Err(Fault::ServerTimeout));
        if let Err(fault) = piece {
            self.held.server.note_failure(&self.pool, (fault, fault.detail()), upstreams.event_loop.clock.coarse_ms());
        }
        piece
    }

    /// All has come: the connection is for others now.
    pub(super) fn finish(mut self) -> Fields {
        let upstreams = self.upstreams.clone();
        let trailers = self.flight.trailers();
        tell_complaints(&upstreams, &self.pool, &self.held, &mut self.flight);
        if let Some(connection) = self.flight.into_reusable(&upstreams.event_loop.buffers) {
            upstreams.keep(self.held.server.number, connection, &self.pool, upstreams.event_loop.clock.coarse_ms());
        }
        trailers
    }
}

/// Says what a server complained of, where its protocol has a way for that.
pub(super) fn tell_complaints(upstreams: &Upstreams, pool: &Pool, held: &Held, flight: &mut Flight) {
    let complaints = flight.complaints();
    for line in String::from_utf8_lossy(&complaints).lines().filter(|line| !line.trim().is_empty()) {
        let line = line.trim().escape_debug();
        upstreams.event_loop.report(&format!("pool {}: server {} says: {line}", pool.name, held.server.name));
    }
}

/// The rest of an answer.
pub(crate) struct Stream {
    state: State,
    trailers: Rc<RefCell<Fields>>,
}

enum State {
    /// The client takes what comes.
    Direct(Box<Running>),
    /// The client is slow: what comes is kept for it, so that the server is free.
    Apart(Rc<Backlog>, tokio::task::JoinHandle<()>),
    Done,
}

impl Stream {
    pub(super) fn new(running: Option<Box<Running>>) -> Stream {
        Stream { state: running.map_or(State::Done, State::Direct), trailers: Rc::default() }
    }

    /// The next piece, and whether it is the last.
    pub(crate) async fn next(&mut self) -> Result<(Piece, bool), Fault> {
        match &mut self.state {
            State::Done => Ok((Piece::default(), true)),
            State::Apart(backlog, _) => backlog.piece().await,
            State::Direct(running) => {
                let (piece, last) = running.piece().await?;
                if last && let State::Direct(running) = std::mem::replace(&mut self.state, State::Done) {
                    *self.trailers.borrow_mut() = running.finish();
                }
                Ok((piece, last))
            }
        }
    }

    /// What came behind the body, once all of it was taken.
    pub(crate) fn trailers(&self) -> Fields {
        std::mem::take(&mut *self.trailers.borrow_mut())
    }

    /// The client is slow: from now on the server does not wait for it.
    pub(crate) fn set_apart(&mut self) {
        let is_whole = matches!(&self.state, State::Direct(running) if running.flight.has_sent());
        if !is_whole {
            return;
        }
        if let State::Direct(running) = std::mem::replace(&mut self.state, State::Done) {
            let backlog = Rc::new(Backlog::new(
                Giver::Server,
                running.upstreams.event_loop.spool.clone(),
                running.upstreams.event_loop.response_bytes.clone(),
            ));
            let task = gather(*running, backlog.clone(), self.trailers.clone());
            self.state = State::Apart(backlog, tokio::task::spawn_local(task));
        }
    }

    /// The way for more of the client's body, where the server still wants some.
    pub(crate) fn outgoing(&mut self) -> Option<&mut Outgoing> {
        match &mut self.state {
            State::Direct(running) => Some(running.flight.outgoing()).filter(|outgoing| outgoing.wants()),
            State::Apart(..) | State::Done => None,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let State::Apart(backlog, task) = &self.state {
            backlog.abandon();
            task.abort();
        }
    }
}

/// Takes an answer as it comes.
async fn gather(mut running: Running, backlog: Rc<Backlog>, trailers: Rc<RefCell<Fields>>) {
    loop {
        match running.piece().await {
            Err(fault) => return backlog.finish(Err(fault)),
            Ok((piece, last)) => {
                if !piece.is_empty() {
                    backlog.add(piece);
                }
                if last {
                    *trailers.borrow_mut() = running.finish();
                    return backlog.finish(Ok(()));
                }
            }
        }
        backlog.make_room().await;
        if backlog.was_cut() {
            return;
        }
    }
}
