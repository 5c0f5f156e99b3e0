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

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_net::file::nameless::{nameless_file, write_at};
    use hallway_net::runtime::thread_pool::ThreadPool;
    use std::task::Waker;

    const HEAD: &[u8] = b"HEAD\r\n\r\n";

    /// All that can be sent now, a little at a time.
    fn sent(outgoing: &mut Outgoing) -> Vec<u8> {
        let (mut all, mut task) = (Vec::new(), Context::from_waker(Waker::noop()));
        loop {
            let bytes = match outgoing.bytes(&mut task) {
                Ok(Some([])) | Ok(None) => return all,
                Ok(Some(bytes)) => bytes[..bytes.len().min(7_000)].to_vec(),
                Err(()) => panic!("it cannot be read"),
            };
            outgoing.advance(bytes.len());
            all.extend_from_slice(&bytes);
        }
    }

    fn fed(coding: Coding, waits: bool) -> Outgoing {
        Outgoing::fed(HEAD.to_vec(), (coding, None), waits)
    }

    #[test]
    fn a_whole_body_is_sent_behind_its_head_wherever_it_is() {
        for length in [0, 5, COPY_BYTES_MAX, COPY_BYTES_MAX + 1, 300_000] {
            let bytes: Vec<u8> = (0..length as u32).map(|at| (at % 251) as u8).collect();
            let file = nameless_file().unwrap();
            write_at(&file, &bytes, 0).unwrap();
            let threads = ThreadPool::new("a".into(), 0, 1);
            let file = Arc::new(StoredFile::new(file, (threads, true)));
            let memory = Whole::Memory(Rc::new(bytes.clone()));
            for body in [memory, Whole::File { file, bytes: length as u64 }] {
                let mut outgoing = Outgoing::new(HEAD.to_vec(), Some(&body), Coding::Plain);
                assert!(sent(&mut outgoing) == [HEAD, &bytes].concat(), "{length}");
                assert!(outgoing.is_done() && !outgoing.was_fed() && !outgoing.wants());
            }
        }
    }

    #[test]
    fn a_body_that_comes_bit_by_bit_is_wrapped_bit_by_bit() {
        let mut trailers = Fields::default();
        trailers.push(b"X-Sum", b"7");
        let table = [
            (Coding::Plain, &b"abcd"[..], &b""[..]),
            (Coding::Chunked, b"2\r\nab\r\n2\r\ncd\r\n", b"0\r\nX-Sum: 7\r\n\r\n"),
        ];
        for (coding, body, end) in table {
            let mut outgoing = fed(coding, false);
            assert!(outgoing.wants() && !outgoing.was_fed());
            assert_eq!(sent(&mut outgoing), HEAD);
            assert!(outgoing.is_drained() && !outgoing.is_done(), "{coding:?}");
            outgoing.feed(b"ab", None);
            outgoing.feed(b"cd", None);
            // Nothing is no end: a chunk without bytes would be one.
            outgoing.feed(b"", None);
            assert_eq!(sent(&mut outgoing), body);
            outgoing.feed(b"", Some(trailers.clone()));
            assert_eq!(sent(&mut outgoing), end);
            assert!(outgoing.is_done() && !outgoing.wants() && outgoing.was_fed());
        }
    }

    #[test]
    fn no_more_is_wanted_than_the_server_takes() {
        let mut outgoing = fed(Coding::Plain, false);
        let mut all = HEAD.to_vec();
        while outgoing.wants() {
            outgoing.feed(&[b'x'; 5_000], None);
            all.extend_from_slice(&[b'x'; 5_000]);
        }
        assert!(all.len() < FED_BYTES_MAX + 2 * 5_000);
        assert!(sent(&mut outgoing) == all && outgoing.wants());
    }

    #[test]
    fn a_body_waits_for_the_word_of_its_server() {
        let mut outgoing = fed(Coding::Plain, true);
        assert!(outgoing.waits_for_word() && !outgoing.wants());
        assert_eq!(sent(&mut outgoing), HEAD);
        outgoing.go_on();
        assert!(!outgoing.waits_for_word() && outgoing.wants());
        let mut whole = Outgoing::new(HEAD.to_vec(), None, Coding::Plain);
        whole.go_on();
        assert!(!whole.wants(), "there is nothing to go on with");
    }
}
