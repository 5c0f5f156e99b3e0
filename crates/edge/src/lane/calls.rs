//! In:     tickets on frames; workers that end or send nothing.
//! Out:    the call behind a ticket; which workers a call waits for in vain.
//! Actors: the event loop: its lane tasks and its request tasks.
//! Never:  does a frame reach a call that its worker was not given.

use super::call::Call;
use super::inbound::Lane;
use super::open_call::OpenCall;
use crate::house::House;
use crate::spool_room::Spool;
use hallway_core::Fault;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

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
        let call = Rc::new(Call::new(ticket, self.spool.clone(), self.all_bytes.clone()));
        entry.insert(call.clone());
        Some(OpenCall::new(self.clone(), call))
    }

    /// The call of a ticket, if this worker was given it.
    pub(crate) fn find(&self, ticket: u64, worker: u32) -> Option<Rc<Call>> {
        let table = self.table.borrow();
        let call = table.get((ticket & ((1 << KEY_BITS) - 1)) as usize)?;
        (call.ticket() == ticket && call.is_with(worker)).then(|| call.clone())
    }

    /// The call that waits for a file, and the part of that which is sent.
    pub(super) fn awaited(&self, ticket: u64) -> Option<(Rc<Call>, Range<u64>)> {
        let call = self.table.borrow().get((ticket & ((1 << KEY_BITS) - 1)) as usize).cloned();
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
        let call = self.table.borrow().get((ticket & ((1 << KEY_BITS) - 1)) as usize).cloned();
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
        let key = (call.ticket() & ((1 << KEY_BITS) - 1)) as usize;
        let removed = self.table.borrow_mut().try_remove(key);
        drop(removed);
    }
}

/// Ends workers that a call waits for in vain: for a next piece, for the end of what nobody wants
/// any more, or for what they do after an answer.
pub(crate) fn end_stuck(house: &House) {
    let now_ms = house.clock.coarse_ms();
    let before_ms = |lane: &Lane| {
        let timeout_ms = lane.desk.timeout_ms();
        now_ms.checked_sub(timeout_ms).filter(|_| timeout_ms > 0)
    };
    for stuck in house.calls.stuck(before_ms) {
        let seconds = stuck.desk.timeout_ms() as f64 / 1000.0;
        house.log.error(&format!(
            "{}: worker {} sent nothing for {seconds} s in the middle of a request: it shows its stacks and is replaced",
            stuck.desk.name, stuck.pid
        ));
        house.end_worker(&stuck);
    }
}
