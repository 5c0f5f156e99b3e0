//! In:     tickets on frames; workers that end or send nothing.
//! Out:    the call behind a ticket; which workers a call waits for in vain.
//! Actors: the event loop: its lane tasks and its request tasks.
//! Never:  does a frame reach a call that its worker was not given.

use crate::handlers::app::call::Call;
use crate::handlers::app::dispatcher::AppDesk;
use crate::handlers::app::lane::Lane;
use crate::handlers::app::parcel::Parcel;
use crate::handlers::app::ticket::{key_of, ticket};
use hallway_core::Fault;
use hallway_core::semantics::AnswerHead;
use hallway_net::body::piece::Piece;
use hallway_net::file::spool::Spool;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// The calls of one event loop that are not finished.
pub(crate) struct Calls {
    thread: u16,
    serial: Cell<u64>,
    table: RefCell<Slab<Rc<Call>>>,
    /// Answers that are whole while their worker still has to tidy up after them.
    held: RefCell<Vec<Held>>,
    /// Bytes of answers that wait in memory.
    all_bytes: Rc<Cell<usize>>,
    spool: Arc<Spool>,
}

/// A slot that is not free although its answer is whole.
struct Held {
    lane: Arc<Lane>,
    ticket: u64,
    since_ms: u64,
}

impl Calls {
    pub(crate) fn new(thread: u16, spool: Arc<Spool>, all_bytes: Rc<Cell<usize>>) -> Self {
        let (table, held) = (RefCell::default(), RefCell::default());
        Calls { thread, serial: Cell::new(0), table, held, all_bytes, spool }
    }

    /// A new call. Nothing when a million are open.
    pub(crate) fn open(self: &Rc<Self>) -> Option<OpenCall> {
        let mut table = self.table.borrow_mut();
        let entry = table.vacant_entry();
        let serial = self.serial.get().wrapping_add(1);
        let ticket = ticket(self.thread, serial, entry.key())?;
        self.serial.set(serial);
        let call = Rc::new(Call::new(ticket, self.spool.clone(), self.all_bytes.clone()));
        entry.insert(call.clone());
        Some(OpenCall::new(self.clone(), call))
    }

    /// The call of a ticket, if this worker was given it.
    pub(crate) fn find(&self, ticket: u64, worker: u32) -> Option<Rc<Call>> {
        let table = self.table.borrow();
        let call = table.get(key_of(ticket))?;
        (call.ticket() == ticket && call.is_with(worker)).then(|| call.clone())
    }

    /// The call that waits for a file, and the part of that which is sent.
    pub(super) fn awaited(&self, ticket: u64) -> Option<(Rc<Call>, Range<u64>)> {
        let call = self.table.borrow().get(key_of(ticket)).cloned();
        let call = call.filter(|call| call.ticket() == ticket)?;
        let part = call.take_awaited_part()?;
        Some((call, part))
    }

    /// The worker has ended this call, well or badly.
    pub(crate) fn end(&self, call: &Call, end: Result<(), Fault>) {
        call.finish(end);
        if call.is_abandoned() {
            self.remove(call);
        }
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.borrow().is_empty() && self.held.borrow().is_empty()
    }

    /// Lets go of the room for many, where there are none.
    pub(crate) fn shrink(&self) {
        self.table.borrow_mut().shrink_to_fit();
    }

    /// An answer is whole, and its worker still has its slot.
    pub(crate) fn hold(&self, lane: &Arc<Lane>, ticket: u64, now_ms: u64) {
        self.held.borrow_mut().push(Held { lane: lane.clone(), ticket, since_ms: now_ms });
    }

    /// The worker has tidied up; whether it had to.
    pub(crate) fn release(&self, worker: u32, ticket: u64) -> bool {
        let mut held = self.held.borrow_mut();
        let at = held.iter().position(|it| (it.lane.worker, it.ticket) == (worker, ticket));
        at.map(|at| held.swap_remove(at)).is_some()
    }

    /// A request goes to no worker.
    pub(crate) fn refuse(&self, ticket: u64, fault: Fault) {
        let call = self.table.borrow().get(key_of(ticket)).cloned();
        if let Some(call) = call.filter(|call| call.ticket() == ticket) {
            self.end(&call, Err(fault));
        }
    }

    /// Workers that have sent nothing since `before_ms` of their lane although somebody waits for it, or
    /// that have not ended by then what nobody waits for.
    pub(crate) fn stuck(&self, before_ms: impl Fn(&Lane) -> Option<u64>) -> Vec<Arc<Lane>> {
        let mut stuck: Vec<Arc<Lane>> =
            self.table.borrow().iter().filter_map(|(_, call)| call.expire(&before_ms)).collect();
        let is_late = |held: &Held| before_ms(&held.lane).is_some_and(|before_ms| held.since_ms < before_ms);
        let (late, rest) = self.held.take().into_iter().partition(is_late);
        self.held.replace(rest);
        let late: Vec<Held> = late;
        stuck.extend(late.into_iter().map(|held| held.lane));
        stuck
    }

    /// A worker is gone: every call it had ends.
    pub(crate) fn lose(&self, worker: u32) {
        self.held.borrow_mut().retain(|held| held.lane.worker != worker);
        let lost: Vec<Rc<Call>> =
            self.table.borrow().iter().map(|(_, call)| call).filter(|call| call.is_with(worker)).cloned().collect();
        for call in lost {
            self.end(&call, Err(Fault::WorkerLost));
        }
    }

    /// Forgets a call.
    pub(super) fn remove(&self, call: &Call) {
        let key = key_of(call.ticket());
        let removed = self.table.borrow_mut().try_remove(key);
        drop(removed);
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
    pub(super) fn new(calls: Rc<Calls>, call: Rc<Call>) -> Self {
        OpenCall { calls, call, is_placed: Cell::new(false) }
    }

    pub(crate) fn ticket(&self) -> u64 {
        self.call.ticket()
    }

    /// Binds the parcel that carries this call.
    pub(crate) fn carry(&self, parcel: &Arc<Parcel>) {
        self.call.carry(parcel);
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
        self.call.start_over();
    }

    /// Its worker was given up.
    pub(crate) fn give_up(&self) {
        self.call.give_up();
    }

    /// Waits for the head of the answer.
    pub(crate) async fn head(&self) -> Result<AnswerHead, Fault> {
        self.call.head().await
    }

    /// Whether the whole body is here, and is shorter than this.
    pub(crate) fn ends_short_of(&self, length: u64) -> bool {
        self.call.body().ends_short_of(length)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.call.has_ended() || !self.is_placed.get() {
            self.calls.remove(&self.call);
        } else {
            self.call.body().abandon();
        }
    }
}

/// The rest of an answer's body.
pub(crate) struct ResponseStream(pub(crate) OpenCall);

impl ResponseStream {
    /// The next piece, and whether it is the last.
    pub(crate) async fn next(&mut self) -> Result<(Piece, bool), Fault> {
        self.0.call.body().piece().await
    }
}
