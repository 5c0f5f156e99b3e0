//! In:     pieces of an answer as they come.
//! Out:    the same as its client takes them, in their order.
//! Actors: one task puts in, the task of the request takes out.
//! Never:  does a worker wait for a client that is slow: what is not taken goes to a file, and where there is no room
//!         for that, the answer of such a client is cut.

use crate::body::piece::Piece;
use crate::file::spill::{Overflow, Space, Writing};
use crate::file::spool::Spool;
use hallway_core::Fault;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Body bytes of one answer that wait in memory; and when many answers wait.
const MEMORY_BYTES_MAX: usize = 256 * 1024;
const TIGHT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of all answers of one event loop from which on many do.
const ALL_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes read back from a file at a time: the client has them in hand while it takes them.
const READ_BYTES: u64 = 64 * 1024;
const TIGHT_READ_BYTES: u64 = 16 * 1024;
/// Between two looks whether there is room, or a client is too slow.
const LOOK: Duration = Duration::from_millis(5);

/// Who gives the pieces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Giver {
    /// A worker, which has others to serve.
    Worker,
    /// A server, which can wait.
    Server,
}

/// The part of an answer that has come and was not taken.
pub struct Backlog {
    inbox: RefCell<Inbox>,
    from: Giver,
    spool: Arc<Spool>,
    /// There was no room for it.
    cut: Cell<bool>,
    /// Nobody waits for the answer any more; what comes is dropped.
    abandoned: Cell<bool>,
    /// What is said once all is taken that has come, where nothing more will.
    expired: Cell<Option<Fault>>,
    /// Bytes of all answers of this event loop that wait in memory, or are being written.
    all_bytes: Rc<Cell<usize>>,
}

/// What has come and was not taken: first `pieces`, then what is in the file, then `newest`.
#[derive(Default)]
struct Inbox {
    pieces: VecDeque<Piece>,
    overflow: Overflow,
    newest: VecDeque<Piece>,
    /// Bytes of `pieces` and `newest`.
    memory_bytes: usize,
    /// Bytes of the piece that was given last: it is being written until the next one is asked for.
    given_bytes: usize,
    /// Nothing more will come, well or badly.
    end: Option<Result<(), Fault>>,
    taker: Option<Waker>,
    giver: Option<Waker>,
}

/// What the taker is to do for the next piece.
enum Step {
    Give(Piece, bool),
    /// Read it from the file.
    Read,
}

impl Backlog {
    /// One that has nothing yet. `all_bytes` counts what waits in memory on the whole event loop.
    pub fn new(from: Giver, spool: Arc<Spool>, all_bytes: Rc<Cell<usize>>) -> Backlog {
        let (inbox, abandoned, expired) = (RefCell::default(), Cell::new(false), Cell::new(None));
        Backlog { inbox, from, spool, cut: Cell::new(false), abandoned, expired, all_bytes }
    }

    /// Forgets what has come.
    pub fn start_over(&self) {
        self.change(|inbox| *inbox = Inbox::default());
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.get()
    }

    /// Whether nobody gets the rest of it: there was no room for what its client does not take.
    pub fn was_cut(&self) -> bool {
        self.cut.get() || self.inbox.borrow().overflow.was_cut()
    }

    /// Nobody waits for it any more.
    pub fn abandon(&self) {
        self.abandoned.set(true);
        self.drop_waiting();
    }

    /// Nobody takes what is in memory.
    fn drop_waiting(&self) {
        self.change(|inbox| {
            (inbox.pieces, inbox.newest, inbox.memory_bytes) = (VecDeque::new(), VecDeque::new(), 0);
            wake(&mut inbox.giver);
            wake(&mut inbox.taker);
        });
    }

    /// The rest of it is for nobody.
    fn give_up(&self) {
        self.cut.set(true);
        self.spool.note_cut();
        self.drop_waiting();
    }

    /// Whether nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.inbox.borrow().end.is_some()
    }

    /// Whether all that has come was taken.
    pub fn is_empty(&self) -> bool {
        self.inbox.borrow().is_empty()
    }

    /// Nothing more will come, and this is why.
    pub fn expire(&self, fault: Fault) {
        self.expired.set(Some(fault));
        wake(&mut self.inbox.borrow_mut().taker);
    }

    /// Whether its giver was given up.
    pub fn has_expired(&self) -> bool {
        self.expired.get().is_some()
    }

    /// A piece has come.
    pub fn add(&self, piece: Piece) {
        if self.was_cut() {
            return self.drop_waiting();
        }
        self.change(|inbox| {
            inbox.memory_bytes += piece.bytes().len();
            let is_oldest = inbox.overflow.is_empty() && inbox.newest.is_empty();
            let queue = if is_oldest { &mut inbox.pieces } else { &mut inbox.newest };
            // Short ones that wait become one: each takes memory beside its bytes.
            if !queue.back_mut().is_some_and(|last| last.absorb(&piece)) {
                queue.push_back(piece);
            }
            wake(&mut inbox.taker);
        });
    }

    /// All has come, or nothing more will.
    pub fn finish(&self, end: Result<(), Fault>) {
        let mut inbox = self.inbox.borrow_mut();
        inbox.end.get_or_insert(end);
        wake(&mut inbox.taker);
    }

    /// Changes what waits, and counts it with that of all others.
    fn change<R>(&self, change: impl FnOnce(&mut Inbox) -> R) -> R {
        let mut inbox = self.inbox.borrow_mut();
        let before = inbox.memory_bytes + inbox.given_bytes;
        let result = change(&mut inbox);
        let after = inbox.memory_bytes + inbox.given_bytes;
        self.all_bytes.set((self.all_bytes.get() + after).saturating_sub(before));
        result
    }

    /// Bytes of this answer that may wait in memory.
    fn memory_bytes_max(&self) -> usize {
        if self.is_tight() { TIGHT_BYTES_MAX } else { MEMORY_BYTES_MAX }
    }

    fn is_tight(&self) -> bool {
        self.all_bytes.get() > ALL_BYTES_MAX
    }

    /// Whether more of the answer may come.
    pub fn has_room(&self) -> bool {
        self.inbox.borrow().memory_bytes < self.memory_bytes_max() || self.abandoned.get() || self.was_cut()
    }

    /// Makes room for more of the answer: what is past the memory goes to a file. Only when that is full, or there is
    /// none, a server has to wait for the client; a worker only where this answer has all that one may.
    pub async fn make_room(&self) {
        // A client that is fast takes it now.
        tokio::task::yield_now().await;
        while !self.has_room() {
            let is_tight = self.is_tight();
            let bytes = self.inbox.borrow().batch_bytes(is_tight);
            let space = self.inbox.borrow_mut().overflow.reserve(bytes, &self.spool);
            match (space, self.from) {
                (Space::Taken, _) => self.write(is_tight).await,
                (Space::FileFull, _) | (Space::SpoolFull | Space::NoFile, Giver::Server) => self.await_room().await,
                (Space::SpoolFull, Giver::Worker) => self.have_room(bytes).await,
                (Space::NoFile, Giver::Worker) => self.be_taken().await,
            }
        }
    }

    /// Writes a batch whose room was taken.
    async fn write(&self, is_tight: bool) {
        let (writing, bytes) = self.change(|inbox| inbox.take_batch(is_tight, &self.spool));
        let written = writing.write().await;
        let is_lost = written == Err(None);
        self.change(|inbox| {
            inbox.overflow.note_written(bytes, written.is_ok());
            if let Err(Some(batch)) = written {
                // No disk, or a full one: then memory and patience have to do.
                inbox.memory_bytes += batch.len();
                inbox.newest.push_front(batch.into());
            }
            wake(&mut inbox.taker);
        });
        if is_lost {
            self.give_up();
        }
    }

    /// Waits until the spool has room for a batch: the answers of slow clients are cut for that, also this one; who takes
    /// its answer is waited for.
    async fn have_room(&self, bytes: usize) {
        while !self.has_room() {
            // What is cut is free once its file is closed.
            let is_coming = self.spool.make_room(bytes as u64);
            if self.inbox.borrow().overflow.has_space(bytes) {
                return;
            }
            if !is_coming && self.inbox.borrow().overflow.is_slow() {
                return self.give_up();
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the client has taken enough; where it takes nothing, its answer ends.
    async fn be_taken(&self) {
        while !self.has_room() {
            if self.inbox.borrow().overflow.is_slow() {
                return self.give_up();
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn await_room(&self) {
        poll_fn(|task| {
            if self.has_room() {
                return Poll::Ready(());
            }
            let mut inbox = self.inbox.borrow_mut();
            inbox.giver = Some(task.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether the whole body is here, and is shorter than this.
    pub fn ends_short_of(&self, length: u64) -> bool {
        let inbox = self.inbox.borrow();
        let waiting: u64 = inbox.pieces.iter().chain(&inbox.newest).map(Piece::len).sum();
        inbox.end == Some(Ok(())) && waiting + inbox.overflow.unread_bytes() < length
    }

    /// The next piece of the body, and whether it is the last.
    pub async fn piece(&self) -> Result<(Piece, bool), Fault> {
        match poll_fn(|task| self.poll_step(task)).await? {
            Step::Give(piece, last) => Ok((piece, last)),
            Step::Read => {
                let bytes_max = if self.is_tight() { TIGHT_READ_BYTES } else { READ_BYTES };
                let reading = self.inbox.borrow().overflow.reading(bytes_max);
                let read = reading.read().await;
                if self.was_cut() {
                    return Err(Fault::SpoolFull);
                }
                let piece = read.map_err(|_| Fault::Internal("A spool file could not be read."))?;
                let last = self.change(|inbox| {
                    inbox.overflow.note_taken(piece.len());
                    inbox.overflow.note_read(piece.len());
                    inbox.given_bytes = piece.len();
                    inbox.is_done()
                });
                Ok((piece.into(), last))
            }
        }
    }

    fn poll_step(&self, task: &Context<'_>) -> Poll<Result<Step, Fault>> {
        if self.was_cut() {
            return Poll::Ready(Err(Fault::SpoolFull));
        }
        let from_memory = self.change(Inbox::take_from_memory);
        let mut inbox = self.inbox.borrow_mut();
        match (from_memory, inbox.end) {
            (Some(piece), _) => {
                wake(&mut inbox.giver);
                let last = inbox.is_done();
                Poll::Ready(Ok(Step::Give(piece, last)))
            }
            (None, _) if inbox.overflow.unread_bytes() > 0 => Poll::Ready(Ok(Step::Read)),
            (None, Some(end)) if inbox.overflow.is_empty() => {
                Poll::Ready(end.map(|()| Step::Give(Piece::default(), true)))
            }
            (None, _) => {
                if let Some(fault) = self.expired.get() {
                    return Poll::Ready(Err(fault));
                }
                inbox.taker = Some(task.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Inbox {
    /// The oldest piece, where that is not in the file.
    fn take_from_memory(&mut self) -> Option<Piece> {
        self.given_bytes = 0;
        let newest = |inbox: &mut Inbox| if inbox.overflow.is_empty() { inbox.newest.pop_front() } else { None };
        let piece = self.pieces.pop_front().or_else(|| newest(self))?;
        self.given_bytes = piece.bytes().len();
        self.memory_bytes -= self.given_bytes;
        self.overflow.note_taken(self.given_bytes);
        Some(piece)
    }

    /// Whether nothing is left, and nothing will come.
    fn is_done(&self) -> bool {
        self.end == Some(Ok(())) && self.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.newest.is_empty() && self.overflow.is_empty()
    }

    /// How many pieces stay in memory: the oldest one, which is most likely wanted next; where memory is tight, none.
    fn kept(&self, is_tight: bool) -> usize {
        usize::from(!is_tight && self.overflow.is_empty())
    }

    /// Bytes that are to go to the file next.
    fn batch_bytes(&self, is_tight: bool) -> usize {
        let oldest = self.pieces.iter().skip(self.kept(is_tight)).filter(|_| self.overflow.is_empty());
        oldest.chain(&self.newest).map(|piece| piece.bytes().len()).sum()
    }

    /// Takes them.
    fn take_batch(&mut self, is_tight: bool, spool: &Arc<Spool>) -> (Writing, usize) {
        let mut batch = Vec::new();
        let keep = self.kept(is_tight);
        if self.overflow.is_empty() && self.pieces.len() > keep {
            let rest = self.pieces.split_off(keep);
            rest.iter().for_each(|piece| batch.extend_from_slice(piece.bytes()));
        }
        self.newest.drain(..).for_each(|piece| batch.extend_from_slice(piece.bytes()));
        let bytes = batch.len();
        self.memory_bytes -= bytes;
        (self.overflow.writing(batch, spool), bytes)
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.change(|inbox| (inbox.memory_bytes, inbox.given_bytes) = (0, 0));
    }
}

/// Wakes who waits, once.
pub fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
