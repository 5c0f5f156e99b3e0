//! In:     requests that want a worker; workers that come, become free, close and leave.
//! Out:    which request goes to which worker, and what waits.
//! Actors: none; the edge keeps one desk for an app behind a lock that all its threads share.
//! Never:  does a request wait while a slot is free, or overtake one that came before it.

use std::collections::VecDeque;

/// What became of a request that came to the desk.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed<W, P> {
    /// This worker takes it now.
    With(W, P),
    /// It waits.
    Queued,
    /// The queue is full; here it is again.
    Full(P),
}

/// Slots and queue of one application. `W` is how the edge reaches a worker, `P` a request.
#[derive(Debug)]
pub struct Desk<W, P> {
    slots: Vec<Slot<W>>,
    queue: VecDeque<(u64, P)>,
    queue_size: usize,
    turn: u64,
}

#[derive(Debug)]
struct Slot<W> {
    worker: u32,
    reach: W,
    capacity: u16,
    busy: u16,
    open: bool,
    /// When it last became free: the longest free comes first, so that load spreads evenly.
    free_since: u64,
}

impl<W: Clone, P> Desk<W, P> {
    /// A desk without workers, where at most `queue_size` requests wait.
    pub fn new(queue_size: usize) -> Self {
        Desk { slots: Vec::new(), queue: VecDeque::new(), queue_size, turn: 0 }
    }

    /// A worker is ready for `capacity` requests at a time; returns those that it takes now.
    pub fn join(&mut self, worker: u32, reach: W, capacity: u16) -> Vec<P> {
        self.leave(worker);
        self.turn += 1;
        let mut slot = Slot { worker, reach, capacity, busy: 0, open: true, free_since: self.turn };
        let taken = usize::from(capacity).min(self.queue.len());
        slot.busy = taken as u16;
        self.slots.push(slot);
        self.queue.drain(..taken).map(|(_, parcel)| parcel).collect()
    }

    /// A request comes, known by its `ticket` while it waits.
    pub fn place(&mut self, ticket: u64, parcel: P) -> Placed<W, P> {
        if let Some(slot) = self.free_slot() {
            slot.busy += 1;
            return Placed::With(slot.reach.clone(), parcel);
        }
        if self.queue.len() >= self.queue_size {
            return Placed::Full(parcel);
        }
        self.queue.push_back((ticket, parcel));
        Placed::Queued
    }

    /// A request comes back because its worker left before it began: it goes before all others.
    pub fn place_again(&mut self, ticket: u64, parcel: P) -> Placed<W, P> {
        if let Some(slot) = self.free_slot() {
            slot.busy += 1;
            return Placed::With(slot.reach.clone(), parcel);
        }
        self.queue.push_front((ticket, parcel));
        Placed::Queued
    }

    /// A worker has answered one request; returns the next one that it takes.
    pub fn freed(&mut self, worker: u32) -> Option<(W, P)> {
        self.turn += 1;
        let turn = self.turn;
        let slot = self.slots.iter_mut().find(|slot| slot.worker == worker)?;
        slot.busy = slot.busy.saturating_sub(1);
        slot.free_since = turn;
        if !slot.open || slot.busy >= slot.capacity {
            return None;
        }
        let (_, parcel) = self.queue.pop_front()?;
        slot.busy += 1;
        Some((slot.reach.clone(), parcel))
    }

    /// A waiting request gives up. Whether it was still waiting.
    pub fn withdraw(&mut self, ticket: u64) -> bool {
        match self.queue.iter().position(|(waiting, _)| *waiting == ticket) {
            Some(at) => self.queue.remove(at).is_some(),
            None => false,
        }
    }

    /// A worker takes nothing more; what it has it may finish.
    pub fn close(&mut self, worker: u32) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.worker == worker) {
            slot.open = false;
        }
    }

    /// A worker is gone.
    pub fn leave(&mut self, worker: u32) {
        self.slots.retain(|slot| slot.worker != worker);
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn free_slot(&mut self) -> Option<&mut Slot<W>> {
        let free = |slot: &&mut Slot<W>| slot.open && slot.busy < slot.capacity;
        self.slots.iter_mut().filter(free).min_by_key(|slot| (slot.busy, slot.free_since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_come_first_served() {
        let mut desk: Desk<char, u64> = Desk::new(2);
        assert_eq!(desk.place(1, 1), Placed::Queued);
        assert_eq!(desk.place(2, 2), Placed::Queued);
        assert_eq!(desk.place(3, 3), Placed::Full(3));
        assert_eq!(desk.join(7, 'a', 1), [1]);
        assert_eq!(desk.place_again(1, 1), Placed::Queued);
        assert_eq!(desk.freed(7), Some(('a', 1)));
        assert!(desk.withdraw(2));
        assert!(!desk.withdraw(2));
        assert_eq!(desk.freed(7), None);
        assert_eq!(desk.place(4, 4), Placed::With('a', 4));
    }

    #[test]
    fn a_closed_worker_takes_nothing_more() {
        let mut desk: Desk<char, u64> = Desk::new(9);
        desk.join(1, 'a', 1);
        assert_eq!(desk.place(1, 1), Placed::With('a', 1));
        desk.close(1);
        assert_eq!(desk.place(2, 2), Placed::Queued);
        assert_eq!(desk.freed(1), None);
        assert_eq!(desk.join(2, 'b', 1), [2]);
    }
}
