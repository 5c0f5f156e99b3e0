//! In:     frames of one answer as its worker sends them.
//! Out:    its head, then the pieces of its body, as its client takes them.
//! Actors: the lane task of its worker puts in, the task of its request takes out.
//! Never:  is a frame taken for a call that has another worker, or more of its body than was granted.

use crate::handlers::app::lane::Lane;
use crate::handlers::app::parcel::Parcel;
use hallway_core::Fault;
use hallway_core::lane::Credit;
use hallway_core::semantics::AnswerHead;
use hallway_net::body::buffer::{Backlog, Giver, wake};
use hallway_net::body::piece::Piece;
use hallway_net::file::spool::Spool;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// One request at the application.
pub(crate) struct Call {
    ticket: u64,
    parcel: RefCell<Option<Arc<Parcel>>>,
    head: RefCell<Start>,
    body: Backlog,
    /// How much of it may come, and under which number that is told.
    credit: Cell<Credit>,
    stream: Cell<u16>,
    /// A task makes room for more of it.
    lacks_room: Cell<bool>,
    /// The part of a file that ends the answer, while that file is awaited: its worker has nothing more to say of it.
    awaited_part: Cell<Option<(u64, u64)>>,
    /// When the worker last sent something of its answer.
    progress_ms: Cell<u64>,
}

/// The beginning of the answer.
#[derive(Default)]
struct Start {
    /// The head, until it is taken.
    head: Option<Result<AnswerHead, Fault>>,
    begun: bool,
    request: Option<Waker>,
}

impl Call {
    pub(super) fn new(ticket: u64, spool: Arc<Spool>, all_bytes: Rc<Cell<usize>>) -> Self {
        let body = Backlog::new(Giver::Worker, spool, all_bytes);
        let (parcel, head, awaited_part) = (RefCell::default(), RefCell::default(), Cell::new(None));
        let (credit, stream, lacks_room) = (Cell::default(), Cell::new(0), Cell::new(false));
        Call { ticket, parcel, head, body, credit, stream, lacks_room, awaited_part, progress_ms: Cell::new(0) }
    }

    pub(super) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// The part of its body that has come.
    pub(crate) fn body(&self) -> &Backlog {
        &self.body
    }

    /// Binds the parcel that carries it.
    pub(super) fn carry(&self, parcel: &Arc<Parcel>) {
        *self.parcel.borrow_mut() = Some(parcel.clone());
    }

    /// Forgets what a lost worker left.
    pub(super) fn start_over(&self) {
        *self.head.borrow_mut() = Start::default();
        self.awaited_part.set(None);
        self.credit.take();
        self.body.start_over();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.body.is_abandoned()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.body.has_ended()
    }

    /// Whether its answer has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.head.borrow().begun
    }

    /// Bytes of its body have come; `false` where its worker was not granted so many.
    pub(super) fn take_credit(&self, bytes: usize) -> bool {
        let mut credit = self.credit.get();
        let is_granted = credit.take(bytes);
        self.credit.set(credit);
        is_granted
    }

    /// There is room for more: up to how many bytes in all are granted, if that is to be told.
    pub(super) fn renew_credit(&self) -> Option<u64> {
        let mut credit = self.credit.get();
        let granted = credit.renew();
        self.credit.set(credit);
        granted
    }

    /// Its worker calls it by this number until it ends.
    pub(super) fn name_stream(&self, stream: u16) {
        self.stream.set(stream);
    }

    /// Under which its credit is told.
    pub(super) fn stream(&self) -> (u16, u64) {
        (self.stream.get(), self.ticket)
    }

    /// There is no room for more; whether that was known.
    pub(super) fn note_no_room(&self) -> bool {
        self.lacks_room.replace(true)
    }

    /// There is room again.
    pub(super) fn note_room(&self) {
        self.lacks_room.set(false);
    }

    /// The answer ends with this part of a file that has to be taken first.
    pub(super) fn await_file(&self, part: Range<u64>) {
        self.awaited_part.set(Some((part.start, part.end)));
    }

    /// The part of the file that was awaited, which has come.
    pub(super) fn take_awaited_part(&self) -> Option<Range<u64>> {
        self.awaited_part.take().map(|(start, end)| start..end)
    }

    /// Whether this worker has it and has not ended it.
    pub(super) fn is_with(&self, worker: u32) -> bool {
        !self.has_ended()
            && self.awaited_part.get().is_none()
            && self.parcel.borrow().as_ref().is_some_and(|parcel| parcel.is_with(worker))
    }

    /// Something of the answer has come.
    pub(crate) fn note_progress(&self, now_ms: u64) {
        self.progress_ms.set(now_ms);
    }

    /// Gives up on a worker that has sent nothing since `before_ms` of its lane although the next step
    /// is its own; returns its lane.
    pub(super) fn expire(&self, before_ms: impl Fn(&Lane) -> Option<u64>) -> Option<Arc<Lane>> {
        let parcel = self.parcel.borrow();
        let parcel = parcel.as_ref()?;
        let progress_ms = self.progress_ms.get().max(parcel.begun_us()? / 1000);
        let lane = parcel.lane()?;
        let before_ms = before_ms(&lane)?;
        if progress_ms >= before_ms || self.body.has_expired() || !self.waits_for_worker() {
            return None;
        }
        self.give_up();
        Some(lane)
    }

    /// Its worker was given up; it need not be told again.
    pub(super) fn give_up(&self) {
        self.body.expire(Fault::AppTimeout);
    }

    /// Whether the head was taken and all that came is, or nobody is left to take it. Waiting for
    /// the head itself has a deadline of its own.
    fn waits_for_worker(&self) -> bool {
        let start = self.head.borrow();
        let all_taken = start.begun && start.head.is_none() && self.body.is_empty();
        !self.has_ended() && (self.is_abandoned() || self.body.was_cut() || all_taken)
    }

    /// The head of the answer has come.
    pub(crate) fn begin(&self, head: Result<AnswerHead, Fault>) {
        let mut start = self.head.borrow_mut();
        if !start.begun {
            start.begun = true;
            start.head = Some(head);
            wake(&mut start.request);
        }
    }

    /// A piece of the body has come.
    pub(crate) fn add(&self, piece: Piece) {
        self.body.add(piece);
    }

    /// The worker is done with it.
    pub(super) fn finish(&self, end: Result<(), Fault>) {
        let mut start = self.head.borrow_mut();
        if let (Err(fault), false) = (end, start.begun) {
            start.head = Some(Err(fault));
        }
        wake(&mut start.request);
        drop(start);
        self.body.finish(end);
    }

    /// Waits for the head of the answer. One whose body is a file comes with that: both go in one packet.
    pub(super) async fn head(&self) -> Result<AnswerHead, Fault> {
        poll_fn(|task| {
            let mut start = self.head.borrow_mut();
            let ready = if self.awaited_part.get().is_none() { start.head.take() } else { None };
            match ready {
                Some(head) => Poll::Ready(head),
                None => {
                    start.request = Some(task.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
