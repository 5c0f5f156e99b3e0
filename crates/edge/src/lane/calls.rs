//! In:     frames of workers, each with the ticket of a call; the end of a lane.
//! Out:    for the task of each request: the head of its answer, then the body's pieces.
//! Actors: the event loop: its lane tasks put in, its request tasks take out.
//! Never:  does a frame reach a call that its worker was not given.

use crate::lane::desk::AppDesk;
use crate::lane::parcel::Parcel;
use hallway_core::Fault;
use hallway_core::lane::put_cancel;
use hallway_core::semantics::AnswerHead;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::net::UnixDatagram;

/// Body bytes of one answer that wait for its client before the worker is made to wait.
const INBOX_BYTES_MAX: usize = 256 * 1024;
/// Bits of a ticket: the loop, a serial number, the key in its table.
const KEY_BITS: u32 = 20;
const THREAD_SHIFT: u32 = 56;

/// The calls of one event loop that are not finished.
pub(crate) struct Calls {
    thread: u16,
    serial: Cell<u64>,
    table: RefCell<Slab<Rc<Call>>>,
    /// Answers that are whole while their worker still has to tidy up after them.
    held: RefCell<Vec<Held>>,
    /// The outbound lane of each worker, for what goes the other way.
    lanes: RefCell<HashMap<u32, Rc<UnixDatagram>>>,
}

/// A slot that is not free although its answer is whole.
struct Held {
    worker: u32,
    ticket: u64,
    since_ms: u64,
}

/// A worker that has let a call wait for too long.
pub(crate) struct Stuck {
    pub(crate) worker: u32,
    pub(crate) worker_pid: u32,
}

/// One request at the application.
pub(crate) struct Call {
    ticket: Cell<u64>,
    parcel: RefCell<Option<Arc<Parcel>>>,
    state: RefCell<Inbox>,
    /// Nobody waits for the answer any more; what comes is dropped.
    abandoned: Cell<bool>,
    /// The worker was told to stop because it sent nothing for too long.
    expired: Cell<bool>,
    /// When the worker got it, or last sent something of its answer.
    progress_ms: Cell<u64>,
}

#[derive(Default)]
struct Inbox {
    /// The head, until it is taken.
    head: Option<Result<AnswerHead, Fault>>,
    begun: bool,
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The worker is done with it, well or badly.
    end: Option<Result<(), Fault>>,
    request: Option<Waker>,
    lane: Option<Waker>,
}

impl Calls {
    pub(crate) fn new(thread: u16) -> Self {
        Calls {
            thread,
            serial: Cell::new(0),
            table: RefCell::default(),
            held: RefCell::default(),
            lanes: RefCell::default(),
        }
    }

    /// Which outbound lane answers come by.
    pub(crate) fn thread(&self) -> u16 {
        self.thread
    }

    /// Which loop a ticket belongs to.
    pub(crate) fn thread_of(ticket: u64) -> usize {
        (ticket >> THREAD_SHIFT) as usize
    }

    /// A new call. Nothing when a million are open.
    pub(crate) fn open(self: &Rc<Self>) -> Option<OpenCall> {
        let mut table = self.table.borrow_mut();
        let entry = table.vacant_entry();
        let key = entry.key() as u64;
        if key >> KEY_BITS != 0 {
            return None;
        }
        let serial = self.serial.get().wrapping_add(1);
        self.serial.set(serial);
        let serial = (serial << KEY_BITS) & ((1 << THREAD_SHIFT) - 1);
        let ticket = (u64::from(self.thread) << THREAD_SHIFT) | serial | key;
        let call = Rc::new(Call {
            ticket: Cell::new(ticket),
            parcel: RefCell::default(),
            state: RefCell::default(),
            abandoned: Cell::new(false),
            expired: Cell::new(false),
            progress_ms: Cell::new(0),
        });
        entry.insert(call.clone());
        Some(OpenCall { calls: self.clone(), call, is_placed: Cell::new(false) })
    }

    /// The call of a ticket, if this worker was given it.
    pub(crate) fn find(&self, ticket: u64, worker: u32) -> Option<Rc<Call>> {
        let table = self.table.borrow();
        let call = table.get((ticket & ((1 << KEY_BITS) - 1)) as usize)?;
        (call.ticket.get() == ticket && call.is_with(worker)).then(|| call.clone())
    }

    /// The worker has ended this call; whether its slot is free by that.
    pub(crate) fn end(&self, call: &Call, end: Result<(), Fault>) {
        call.finish(end);
        if call.abandoned.get() {
            self.remove(call);
        }
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.borrow().is_empty() && self.held.borrow().is_empty()
    }

    /// An answer is whole, and its worker still has its slot.
    pub(crate) fn hold(&self, worker: u32, ticket: u64, now_ms: u64) {
        self.held.borrow_mut().push(Held { worker, ticket, since_ms: now_ms });
    }

    /// The worker has tidied up; whether it had to.
    pub(crate) fn release(&self, worker: u32, ticket: u64) -> bool {
        let mut held = self.held.borrow_mut();
        let at = held.iter().position(|it| (it.worker, it.ticket) == (worker, ticket));
        at.map(|at| held.swap_remove(at)).is_some()
    }

    /// Where answers of a worker come by, and cancels go.
    pub(crate) fn remember_lane(&self, worker: u32, socket: Rc<UnixDatagram>) {
        self.lanes.borrow_mut().insert(worker, socket);
    }

    /// The worker has ended, whoever still holds its lanes: what it sent before is read, then their end.
    pub(crate) fn end_lane(&self, worker: u32) {
        if let Some(socket) = self.lanes.borrow().get(&worker) {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// The lane has ended.
    pub(crate) fn forget_lane(&self, worker: u32) {
        self.lanes.borrow_mut().remove(&worker);
    }

    /// A request could not be sent to any worker.
    pub(crate) fn refuse(&self, ticket: u64) {
        let call = self.table.borrow().get((ticket & ((1 << KEY_BITS) - 1)) as usize).cloned();
        if let Some(call) = call.filter(|call| call.ticket.get() == ticket) {
            self.end(&call, Err(Fault::Internal("The request could not be handed to a worker.")));
        }
    }

    /// Tells a worker that nobody waits for an answer any more.
    fn cancel(&self, worker: u32, ticket: u64) {
        if let Some(socket) = self.lanes.borrow().get(&worker) {
            let mut packet = Vec::new();
            put_cancel(&mut packet, ticket);
            // If there is no room it goes unheard, and the timeout ends it.
            let _ = socket.try_send(&packet);
        }
    }

    /// Workers that have sent nothing since `before_ms` although somebody waits for it, or that
    /// have not ended by then what nobody waits for.
    pub(crate) fn stuck(&self, before_ms: u64) -> Vec<Stuck> {
        let mut stuck = Vec::new();
        for (_, call) in self.table.borrow().iter() {
            let parcel = call.parcel.borrow();
            let Some(parcel) = parcel.as_ref().filter(|parcel| parcel.handed_us().is_some()) else { continue };
            let progress_ms = call.progress_ms.get().max(parcel.handed_us().unwrap_or(0) / 1000);
            if progress_ms < before_ms && !call.expired.get() && call.waits_for_worker() {
                call.expire();
                stuck.push(Stuck { worker: parcel.worker(), worker_pid: parcel.worker_pid() });
            }
        }
        let (late, rest) = self.held.take().into_iter().partition(|held| held.since_ms < before_ms);
        self.held.replace(rest);
        let late: Vec<Held> = late;
        stuck.extend(late.iter().map(|held| Stuck { worker: held.worker, worker_pid: 0 }));
        stuck
    }

    /// A worker is gone: every call it had ends.
    pub(crate) fn lose(&self, worker: u32) {
        self.held.borrow_mut().retain(|held| held.worker != worker);
        let lost: Vec<Rc<Call>> =
            self.table.borrow().iter().map(|(_, call)| call).filter(|call| call.is_with(worker)).cloned().collect();
        for call in lost {
            self.end(&call, Err(Fault::WorkerLost));
        }
    }

    fn remove(&self, call: &Call) {
        let key = (call.ticket.get() & ((1 << KEY_BITS) - 1)) as usize;
        let removed = self.table.borrow_mut().try_remove(key);
        drop(removed);
    }
}

impl Call {
    /// Whether this worker has it and has not ended it.
    fn is_with(&self, worker: u32) -> bool {
        self.state.borrow().end.is_none()
            && self.parcel.borrow().as_ref().is_some_and(|parcel| parcel.worker() == worker)
    }

    /// Something of the answer has come.
    pub(crate) fn note_progress(&self, now_ms: u64) {
        self.progress_ms.set(now_ms);
    }

    /// Whether the next step is the worker's: the head was taken and all pieces are, or nobody is
    /// left to take them. Waiting for the head itself has a deadline of its own.
    fn waits_for_worker(&self) -> bool {
        let state = self.state.borrow();
        state.end.is_none()
            && (self.abandoned.get() || (state.begun && state.head.is_none() && state.pieces.is_empty()))
    }

    fn expire(&self) {
        self.expired.set(true);
        wake(&mut self.state.borrow_mut().request);
    }

    /// The head of the answer has come.
    pub(crate) fn begin(&self, head: Result<AnswerHead, Fault>) {
        let mut state = self.state.borrow_mut();
        if !state.begun {
            state.begun = true;
            state.head = Some(head);
            wake(&mut state.request);
        }
    }

    /// A piece of the body has come.
    pub(crate) fn add(&self, piece: &[u8]) {
        if piece.is_empty() || self.abandoned.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        state.bytes += piece.len();
        state.pieces.push_back(piece.to_vec());
        wake(&mut state.request);
    }

    fn finish(&self, end: Result<(), Fault>) {
        let mut state = self.state.borrow_mut();
        if let (Err(fault), false) = (end, state.begun) {
            state.head = Some(Err(fault));
        }
        state.end.get_or_insert(end);
        wake(&mut state.request);
    }

    /// Waits until the client has taken enough for more to be read from the worker.
    pub(crate) async fn room(&self) {
        poll_fn(|task| {
            let mut state = self.state.borrow_mut();
            if state.bytes < INBOX_BYTES_MAX || self.abandoned.get() {
                return Poll::Ready(());
            }
            state.lane = Some(task.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn poll_head(&self, task: &Context<'_>) -> Poll<Result<AnswerHead, Fault>> {
        let mut state = self.state.borrow_mut();
        match state.head.take() {
            Some(head) => Poll::Ready(head),
            None => {
                state.request = Some(task.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_piece(&self, task: &Context<'_>) -> Poll<Result<(Vec<u8>, bool), Fault>> {
        let mut state = self.state.borrow_mut();
        match (state.pieces.pop_front(), state.end) {
            (Some(piece), end) => {
                state.bytes -= piece.len();
                wake(&mut state.lane);
                let last = state.pieces.is_empty() && end == Some(Ok(()));
                Poll::Ready(Ok((piece, last)))
            }
            (None, Some(end)) => Poll::Ready(end.map(|()| (Vec::new(), true))),
            (None, None) if self.expired.get() => Poll::Ready(Err(Fault::AppTimeout)),
            (None, None) => {
                state.request = Some(task.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// A call as its request holds it. When it is dropped before its end, the answer is dropped as it comes.
pub(crate) struct OpenCall {
    calls: Rc<Calls>,
    call: Rc<Call>,
    /// Whether it is at the desk or with a worker, so that frames for it may still come.
    is_placed: Cell<bool>,
}

impl OpenCall {
    pub(crate) fn ticket(&self) -> u64 {
        self.call.ticket.get()
    }

    /// Binds the parcel that carries this call.
    pub(crate) fn carry(&self, parcel: &Arc<Parcel>) {
        *self.call.parcel.borrow_mut() = Some(parcel.clone());
    }

    /// It is at the desk now.
    pub(crate) fn place(&self, desk: &AppDesk, parcel: Arc<Parcel>) -> Result<(), Fault> {
        desk.place(parcel)?;
        self.is_placed.set(true);
        Ok(())
    }

    /// Gives up while it waits; `false` when a worker has it, or is being given it.
    pub(crate) fn withdraw(&self, desk: &AppDesk) -> bool {
        let was_waiting = desk.withdraw(self.ticket());
        if was_waiting {
            self.is_placed.set(false);
        }
        was_waiting
    }

    /// Forgets what a lost worker left, before the parcel goes to another.
    pub(crate) fn start_over(&self) {
        *self.call.state.borrow_mut() = Inbox::default();
    }

    /// Waits for the head of the answer.
    pub(crate) async fn head(&self) -> Result<AnswerHead, Fault> {
        poll_fn(|task| self.call.poll_head(task)).await
    }

    /// Whether the whole body is here, and is shorter than this.
    pub(crate) fn ends_short_of(&self, length: u64) -> bool {
        let state = self.call.state.borrow();
        state.end == Some(Ok(())) && (state.bytes as u64) < length
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let call = &self.call;
        if call.state.borrow().end.is_some() || !self.is_placed.get() {
            self.calls.remove(call);
        } else {
            call.abandoned.set(true);
            if let Some(parcel) = &*call.parcel.borrow() {
                self.calls.cancel(parcel.worker(), self.ticket());
            }
            let mut state = call.state.borrow_mut();
            (state.pieces, state.bytes) = (VecDeque::new(), 0);
            wake(&mut state.lane);
        }
    }
}

/// The rest of an answer's body.
pub(crate) struct AnswerStream(pub(crate) OpenCall);

impl AnswerStream {
    /// The next piece, and whether it is the last.
    pub(crate) async fn next(&mut self) -> Result<(Vec<u8>, bool), Fault> {
        poll_fn(|task| self.0.call.poll_piece(task)).await
    }
}
