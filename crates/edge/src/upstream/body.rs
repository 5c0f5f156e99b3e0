//! In:     a request's body as it is known; an answer as it comes.
//! Out:    bytes for the server; pieces for the client.
//! Actors: the task of the request; threads for files read spooled bodies.
//! Never:  does a client that is slow hold a server.

use super::choose::Held;
use super::flight::Flight;
use super::trailing::Trailing;
use crate::backlog::{Backlog, Giver};
use crate::deadline::{Deadline, SWEEP};
use crate::detached::Whole;
use crate::files::{StoredFile, read_part};
use crate::house::House;
use crate::piece::Piece;
use hallway_core::Fault;
use hallway_core::fields::Fields;
use hallway_core::gateway::{put_stdin, put_stdin_end};
use hallway_core::http1::{CHUNK_END, put_chunk_start, put_last_chunk};
use hallway_core::plan::Pool;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bytes of a spooled body that are read at a time.
const FILE_BYTES: u64 = 128 * 1024;
/// Bytes of a body that comes as it is sent which may wait for the server.
const FED_BYTES_MAX: usize = 64 * 1024;

/// What is to be sent of a request.
pub(crate) struct Outgoing {
    /// What is ready to be sent: the head first, and a short body with it.
    ready: Vec<u8>,
    sent: usize,
    coding: Coding,
    then: Then,
    was_fed: bool,
    /// What follows behind the body, where the coding does not carry it.
    trailers: Fields,
}

/// How a body is wrapped for its server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Coding {
    Plain,
    Chunked,
    FastCgi,
    /// The frames of HTTP/2, which the engine makes.
    Frames,
}

impl Coding {
    fn put(self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self {
            _ if bytes.is_empty() => {}
            Coding::Plain | Coding::Frames => out.extend_from_slice(bytes),
            Coding::Chunked => {
                put_chunk_start(out, bytes.len() as u64);
                out.extend_from_slice(bytes);
                out.extend_from_slice(CHUNK_END);
            }
            Coding::FastCgi => put_stdin(out, bytes),
        }
    }

    fn put_end(self, out: &mut Vec<u8>, trailers: &Fields) {
        match self {
            Coding::Plain | Coding::Frames => {}
            Coding::Chunked => put_last_chunk(out, trailers),
            Coding::FastCgi => put_stdin_end(out),
        }
    }
}

/// What follows what is ready.
enum Then {
    Nothing,
    Memory(Rc<Vec<u8>>),
    File {
        file: Arc<StoredFile>,
        at: u64,
        end: u64,
        reading: Option<Reading>,
    },
    /// The client's body as it comes.
    Fed {
        has_ended: bool,
        waits_for_word: bool,
        /// What may stand behind it; everything, where the server is one that the client chose.
        trailing: Option<Trailing>,
    },
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Vec<u8>>>>>;

/// Bodies up to this length are copied behind the head; longer ones are sent from where they are.
const COPY_BYTES_MAX: usize = 16 * 1024;

impl Outgoing {
    /// A head, and the body behind it.
    pub(super) fn new(mut head: Vec<u8>, body: Option<&Whole>, coding: Coding) -> Outgoing {
        let then = match body {
            None => {
                coding.put_end(&mut head, &Fields::default());
                Then::Nothing
            }
            Some(Whole::Memory(bytes)) if bytes.len() <= COPY_BYTES_MAX => {
                coding.put(&mut head, bytes);
                coding.put_end(&mut head, &Fields::default());
                Then::Nothing
            }
            Some(Whole::Memory(bytes)) => Then::Memory(bytes.clone()),
            Some(Whole::File { file, bytes }) => Then::File { file: file.clone(), at: 0, end: *bytes, reading: None },
        };
        Outgoing { ready: head, sent: 0, coding, then, was_fed: false, trailers: Fields::default() }
    }

    /// A head whose body is fed. With `waits_for_word` the server is asked first whether it wants it.
    pub(super) fn fed(head: Vec<u8>, (coding, trailing): (Coding, Option<Trailing>), waits_for_word: bool) -> Outgoing {
        let then = Then::Fed { has_ended: false, waits_for_word, trailing };
        Outgoing { ready: head, sent: 0, coding, then, was_fed: false, trailers: Fields::default() }
    }

    /// Whether more of the client's body is wanted now.
    pub(super) fn wants(&self) -> bool {
        let waiting = self.ready.len() - self.sent;
        matches!(self.then, Then::Fed { has_ended: false, waits_for_word: false, .. }) && waiting < FED_BYTES_MAX
    }

    /// Whether nothing of it waits to be sent.
    pub(super) fn is_drained(&self) -> bool {
        self.sent == self.ready.len()
    }

    /// Whether anything of the client's body was taken as it came.
    pub(super) fn was_fed(&self) -> bool {
        self.was_fed
    }

    /// The server wants the body.
    pub(super) fn go_on(&mut self) {
        if let Then::Fed { waits_for_word, .. } = &mut self.then {
            *waits_for_word = false;
        }
    }

    /// Whether the server has not said yet that it wants the body.
    pub(super) fn waits_for_word(&self) -> bool {
        matches!(self.then, Then::Fed { waits_for_word: true, .. })
    }

    /// More of the client's body; at its end its trailers.
    pub(crate) fn feed(&mut self, bytes: &[u8], end: Option<Fields>) {
        let Then::Fed { has_ended, trailing, .. } = &mut self.then else { return };
        self.was_fed = true;
        if self.sent > FED_BYTES_MAX {
            self.ready.drain(..self.sent);
            self.sent = 0;
        }
        if self.sent == self.ready.len() {
            (self.ready, self.sent) = (std::mem::take(&mut self.ready), 0);
            self.ready.clear();
        }
        self.coding.put(&mut self.ready, bytes);
        if let Some(mut trailers) = end {
            *has_ended = true;
            trailing.iter().for_each(|trailing| trailing.retain(&mut trailers));
            self.coding.put_end(&mut self.ready, &trailers);
            self.trailers = trailers;
        }
    }

    /// The next bytes; an empty slice where all were sent, nothing where they have to be waited for.
    pub(super) fn bytes(&mut self, task: &mut Context<'_>) -> Result<Option<&[u8]>, ()> {
        if self.sent == self.ready.len() {
            match &mut self.then {
                Then::Nothing | Then::Fed { has_ended: true, .. } => return Ok(Some(&[])),
                // What is here so far has to leave before more is waited for.
                Then::Fed { .. } => return Ok(Some(&[])),
                Then::Memory(bytes) => {
                    let bytes = std::mem::take(bytes);
                    (self.ready, self.sent) = (Vec::with_capacity(bytes.len() + 64), 0);
                    self.coding.put(&mut self.ready, &bytes);
                    self.coding.put_end(&mut self.ready, &Fields::default());
                    self.then = Then::Nothing;
                }
                Then::File { at, end, .. } if at == end => return Ok(Some(&[])),
                Then::File { file, at, end, reading } => {
                    let reading = reading.get_or_insert_with(|| {
                        let (file, part) = (file.clone(), *at..(*at + FILE_BYTES).min(*end));
                        Box::pin(async move { read_part(&file, part).await.map_err(|_| io::ErrorKind::Other.into()) })
                    });
                    let Poll::Ready(read) = reading.as_mut().poll(task) else { return Ok(None) };
                    let part = read.map_err(drop)?;
                    *at += part.len() as u64;
                    let is_last = at == end;
                    if let Then::File { reading, .. } = &mut self.then {
                        *reading = None;
                    }
                    if part.is_empty() {
                        return Err(());
                    }
                    if self.coding == Coding::Plain {
                        (self.ready, self.sent) = (part, 0);
                    } else {
                        (self.ready, self.sent) = (Vec::with_capacity(part.len() + 64), 0);
                        self.coding.put(&mut self.ready, &part);
                        if is_last {
                            self.coding.put_end(&mut self.ready, &Fields::default());
                        }
                    }
                }
            }
        }
        Ok(Some(&self.ready[self.sent..]))
    }

    /// What stood behind the client's body.
    pub(super) fn trailers(&mut self) -> Fields {
        std::mem::take(&mut self.trailers)
    }

    /// The buffer of its head, for another one.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.ready
    }

    /// So many of them were sent.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// Whether all was sent.
    pub(super) fn is_done(&self) -> bool {
        self.sent == self.ready.len()
            && match &self.then {
                Then::Nothing | Then::Fed { has_ended: true, .. } => true,
                Then::File { at, end, .. } => at == end,
                Then::Memory(_) | Then::Fed { .. } => false,
            }
    }
}

/// An answer on its way.
pub(super) struct Running {
    pub(super) flight: Flight,
    pub(super) held: Held,
    pub(super) pool: Arc<Pool>,
    pub(super) deadline: Deadline,
}

impl Running {
    async fn piece(&mut self, house: &House) -> Result<(Piece, bool), Fault> {
        let flight = &mut self.flight;
        let wanted = flight.outgoing().wants();
        let due_ms = house.clock.coarse_ms() + self.pool.pause_timeout_ms + SWEEP.as_millis() as u64;
        let next = poll_fn(|task| match flight.poll_piece(&house.clock, task) {
            // There is room for more of the request: an empty piece says so.
            Poll::Pending if !wanted && flight.outgoing().wants() => Poll::Ready(Ok((Piece::default(), false))),
            piece => piece,
        });
        let piece = self.deadline.until(due_ms, next).await;
        let piece = piece.unwrap_or(Err(Fault::ServerTimeout));
        if let Err(fault) = piece {
            self.held.server.note_failure(&self.pool, (fault, fault.detail()), house.clock.coarse_ms());
        }
        piece
    }

    /// All has come: the connection is for others now.
    pub(super) fn finish(mut self, house: &House) -> Fields {
        let trailers = self.flight.trailers();
        tell_complaints(house, &self.pool, &self.held, &mut self.flight);
        if let Some(connection) = self.flight.into_reusable(&house.spares) {
            house.upstreams.keep(self.held.server.number, connection, &self.pool, house.clock.coarse_ms());
        }
        trailers
    }
}

/// Says what a server complained of, where its protocol has a way for that.
pub(super) fn tell_complaints(house: &House, pool: &Pool, held: &Held, flight: &mut Flight) {
    let complaints = flight.complaints();
    for line in String::from_utf8_lossy(&complaints).lines().filter(|line| !line.trim().is_empty()) {
        let line = line.trim().escape_debug();
        house.log.error(&format!("pool {}: server {} says: {line}", pool.name, held.server.name));
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
    pub(crate) async fn next(&mut self, house: &House) -> Result<(Piece, bool), Fault> {
        match &mut self.state {
            State::Done => Ok((Piece::default(), true)),
            State::Apart(backlog, _) => backlog.piece().await,
            State::Direct(running) => {
                let (piece, last) = running.piece(house).await?;
                if last && let State::Direct(running) = std::mem::replace(&mut self.state, State::Done) {
                    *self.trailers.borrow_mut() = running.finish(house);
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
    pub(crate) fn set_apart(&mut self, house: &Rc<House>) {
        let is_whole = matches!(&self.state, State::Direct(running) if running.flight.has_sent());
        if !is_whole {
            return;
        }
        if let State::Direct(running) = std::mem::replace(&mut self.state, State::Done) {
            let backlog = Rc::new(Backlog::new(Giver::Server, house.spool.clone(), house.answer_bytes.clone()));
            let task = gather(house.clone(), *running, backlog.clone(), self.trailers.clone());
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
async fn gather(house: Rc<House>, mut running: Running, backlog: Rc<Backlog>, trailers: Rc<RefCell<Fields>>) {
    loop {
        match running.piece(&house).await {
            Err(fault) => return backlog.finish(Err(fault)),
            Ok((piece, last)) => {
                if piece.len() > 0 {
                    backlog.add(piece);
                }
                if last {
                    *trailers.borrow_mut() = running.finish(&house);
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
