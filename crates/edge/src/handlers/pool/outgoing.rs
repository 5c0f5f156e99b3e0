//! What is to be sent of a request.
//!
//! In:     the head of a request, as its server reads it; its body: here as a whole, or as it comes.
//! Out:    bytes for the server.
//! Actors: the task of the request; threads for files read spooled bodies.
//! Never:  holds more of a body that comes bit by bit than the server takes.

use crate::handlers::pool::trailing::Trailing;
use hallway_core::fields::Fields;
use hallway_core::gateway::{put_stdin, put_stdin_end};
use hallway_core::http1::{CHUNK_END, put_chunk_start, put_last_chunk};
use hallway_net::body::replay::Whole;
use hallway_net::file::read::read_part;
use hallway_net::file::stored::StoredFile;
use std::future::Future;
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
