//! In:     requests that want a worker; workers that come, become free, close and leave.
//! Out:    which request goes to which worker, and what waits where.
//! Actors: none; the edge keeps one desk for an app behind a lock that all its threads share.
//! Never:  does a request wait while a slot is free, at the desk or behind another one in a worker.

use super::LATE_US;
use std::collections::VecDeque;

/// A request for a worker.
#[derive(Debug, PartialEq, Eq)]
pub struct Given<W, P> {
    /// How the worker is reached.
    pub reach: W,
    /// The request.
    pub parcel: P,
    /// Whether the worker has a free slot for it; else it waits in the worker's lane.
    pub begins: bool,
}

/// What became of a request that came to the desk.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed<W, P> {
    /// This worker gets it now.
    With(Given<W, P>),
    /// It waits.
    Queued,
    /// The queue is full; here it is again.
    Full(P),
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Freed<W, P> {
    /// This one waited in the worker's lane, and begins.
    pub begun: Option<P>,
    /// This one goes to the worker.
    pub given: Option<Given<W, P>>,
}

/// Slots and queue of one application. `W` is how the edge reaches a worker, `P` a request.
#[derive(Debug)]
pub struct Desk<W, P> {
    slots: Vec<Slot<W, P>>,
    queue: VecDeque<(u64, P)>,
    queue_size: usize,
    turn: u64,
}

#[derive(Debug)]
struct Slot<W, P> {
    worker: u32,
    reach: W,
    capacity: u16,
    busy: u16,
    /// Requests that wait in the worker's lane, behind the one that it works on.
    ahead: VecDeque<(u64, P)>,
    /// How many may: as many as take little time together.
    ahead_max: usize,
    open: bool,
    /// There is no room in its lane: it gets nothing until there is.
    full: bool,
    /// When it last began one or answered one.
    since_us: u64,
    /// When it last became free: the longest free comes first, so that load spreads evenly.
    free_since: u64,
}

impl<W, P> Slot<W, P> {
    fn is_free(&self) -> bool {
        self.open && !self.full && self.busy < self.capacity
    }

    /// Several requests at a time end in any order, so nothing is to wait behind one of them.
    fn takes_one_ahead(&self) -> bool {
        self.open && !self.full && self.capacity == 1 && self.busy == 1 && self.ahead.len() < self.ahead_max
    }

    fn is_late(&self, now_us: u64) -> bool {
        self.since_us + LATE_US < now_us
    }
}

/// Takes a request back from the lane of a worker; `false` when the worker has begun it.
pub type Withdraw<'a, W, P> = &'a mut dyn FnMut(&W, &P) -> bool;

impl<W: Clone, P: Clone> Desk<W, P> {
    /// A desk without workers, where at most `queue_size` requests wait.
    pub fn new(queue_size: usize) -> Self {
        Desk { slots: Vec::new(), queue: VecDeque::new(), queue_size, turn: 0 }
    }

    /// How many may wait from now on; those that do go on.
    pub fn resize(&mut self, queue_size: usize) {
        self.queue_size = queue_size;
    }

    /// A worker is ready for `capacity` requests at a time: `next` gives them.
    pub fn join(&mut self, (worker, reach): (u32, W), capacity: u16, now_us: u64) {
        self.leave(worker);
        self.turn += 1;
        let (ahead, ahead_max, free_since) = (VecDeque::new(), 0, self.turn);
        let slot = Slot {
            worker,
            reach,
            capacity,
            busy: 0,
            ahead,
            ahead_max,
            open: true,
            full: false,
            since_us: now_us,
            free_since,
        };
        self.slots.push(slot);
    }

    /// What this worker takes next of all that waits, if anything.
    pub fn next(&mut self, worker: u32, now_us: u64, withdraw: Withdraw<'_, W, P>) -> Option<Given<W, P>> {
        let at = self.slots.iter().position(|slot| slot.worker == worker)?;
        self.give_next(at, now_us, withdraw)
    }

    /// A request comes, known by its `ticket` while it waits.
    pub fn place(&mut self, ticket: u64, parcel: P, now_us: u64) -> Placed<W, P> {
        match self.give(ticket, parcel, now_us) {
            Ok(given) => Placed::With(given),
            Err(parcel) if self.queue.len() >= self.queue_size => Placed::Full(parcel),
            Err(parcel) => {
                self.queue.push_back((ticket, parcel));
                Placed::Queued
            }
        }
    }

    /// A request comes back because its worker left: it goes before all others.
    pub fn place_again(&mut self, ticket: u64, parcel: P, now_us: u64) -> Placed<W, P> {
        match self.give(ticket, parcel, now_us) {
            Ok(given) => Placed::With(given),
            Err(parcel) => {
                self.queue.push_front((ticket, parcel));
                Placed::Queued
            }
        }
    }

    /// To the worker that is free for longest; else into the lane of one that will be free at once.
    fn give(&mut self, ticket: u64, parcel: P, now_us: u64) -> Result<Given<W, P>, P> {
        let free = self.slots.iter_mut().filter(|slot| slot.is_free());
        if let Some(slot) = free.min_by_key(|slot| (slot.busy, slot.free_since)) {
            slot.busy += 1;
            slot.since_us = now_us;
            return Ok(Given { reach: slot.reach.clone(), parcel, begins: true });
        }
        let soon = self.slots.iter_mut().filter(|slot| slot.takes_one_ahead() && !slot.is_late(now_us));
        match soon.min_by_key(|slot| (slot.ahead.len(), slot.since_us)).filter(|_| self.queue.is_empty()) {
            Some(slot) => {
                slot.ahead.push_back((ticket, parcel.clone()));
                Ok(Given { reach: slot.reach.clone(), parcel, begins: false })
            }
            None => Err(parcel),
        }
    }

    /// A worker has answered one request; `ahead_max` more may wait in its lane from now on.
    pub fn freed(&mut self, worker: u32, ahead_max: usize, now_us: u64, withdraw: Withdraw<'_, W, P>) -> Freed<W, P> {
        self.turn += 1;
        let turn = self.turn;
        let Some(at) = self.slots.iter().position(|slot| slot.worker == worker) else {
            return Freed { begun: None, given: None };
        };
        let slot = &mut self.slots[at];
        slot.busy = slot.busy.saturating_sub(1);
        (slot.free_since, slot.since_us, slot.ahead_max) = (turn, now_us, ahead_max);
        let begun = slot.ahead.pop_front().map(|(_, parcel)| parcel);
        slot.busy += u16::from(begun.is_some());
        Freed { begun, given: self.give_next(at, now_us, withdraw) }
    }

    /// The next request for this worker, if it takes one: first what waits in the lane of another
    /// one behind a request that takes long, then the queue; for a free slot, whatever waits in a lane.
    fn give_next(&mut self, at: usize, now_us: u64, withdraw: Withdraw<'_, W, P>) -> Option<Given<W, P>> {
        let slot = &self.slots[at];
        let (begins, goes_ahead) = (slot.is_free(), slot.takes_one_ahead());
        if !begins && !goes_ahead {
            return None;
        }
        let (ticket, parcel) = self
            .take_from_late(at, now_us, withdraw)
            .or_else(|| self.queue.pop_front())
            .or_else(|| if begins { self.take_from_longest(at, withdraw) } else { None })?;
        let slot = &mut self.slots[at];
        if begins {
            slot.busy += 1;
            slot.since_us = now_us;
        } else {
            slot.ahead.push_back((ticket, parcel.clone()));
        }
        Some(Given { reach: slot.reach.clone(), parcel, begins })
    }

    /// Takes back what waits for longest behind a request of another worker that takes long.
    fn take_from_late(&mut self, but: usize, now_us: u64, withdraw: Withdraw<'_, W, P>) -> Option<(u64, P)> {
        let others = self.slots.iter_mut().enumerate().filter(|(at, slot)| *at != but && slot.is_late(now_us));
        for (_, slot) in others {
            if let Some((_, parcel)) = slot.ahead.front()
                && withdraw(&slot.reach, parcel)
            {
                return slot.ahead.pop_front();
            }
        }
        None
    }

    /// Takes back what would wait for longest in any lane.
    fn take_from_longest(&mut self, but: usize, withdraw: Withdraw<'_, W, P>) -> Option<(u64, P)> {
        let others = self.slots.iter_mut().enumerate().filter(|(at, slot)| *at != but && !slot.ahead.is_empty());
        let (_, slot) = others.max_by_key(|(_, slot)| slot.ahead.len())?;
        let (_, parcel) = slot.ahead.back()?;
        if withdraw(&slot.reach, parcel) { slot.ahead.pop_back() } else { None }
    }

    /// What was given to wait in the lane of a worker found no room there: it waits here, before all others.
    pub fn put_back(&mut self, worker: u32, ticket: u64) {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.worker == worker) else { return };
        if let Some(at) = slot.ahead.iter().position(|(waiting, _)| *waiting == ticket) {
            self.queue.extend(slot.ahead.remove(at));
            self.queue.rotate_right(1);
        }
    }

    /// What was given to a free slot of a worker found no room in its lane: this goes to another one, or waits here before
    /// all others; that worker gets nothing until it has room.
    pub fn lacks_room(&mut self, worker: u32, (ticket, parcel): (u64, P), now_us: u64) -> Placed<W, P> {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.worker == worker) {
            slot.busy = slot.busy.saturating_sub(1);
            slot.full = true;
        }
        self.place_again(ticket, parcel, now_us)
    }

    /// There is room in the lane of a worker again: `next` gives it what waits.
    pub fn has_room(&mut self, worker: u32) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.worker == worker) {
            slot.full = false;
        }
    }

    /// A waiting request gives up. Whether it was still waiting.
    pub fn withdraw(&mut self, ticket: u64, withdraw: Withdraw<'_, W, P>) -> bool {
        if let Some(at) = self.queue.iter().position(|(waiting, _)| *waiting == ticket) {
            return self.queue.remove(at).is_some();
        }
        for slot in &mut self.slots {
            if let Some(at) = slot.ahead.iter().position(|(waiting, _)| *waiting == ticket) {
                return withdraw(&slot.reach, &slot.ahead[at].1) && slot.ahead.remove(at).is_some();
            }
        }
        false
    }

    /// A worker takes nothing more; what it has it may finish.
    pub fn close(&mut self, worker: u32) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.worker == worker) {
            slot.open = false;
        }
    }

    /// A worker is gone, and with it what was in its lane.
    pub fn leave(&mut self, worker: u32) {
        self.slots.retain(|slot| slot.worker != worker);
    }

    /// Whether any worker takes requests.
    pub fn is_served(&self) -> bool {
        self.slots.iter().any(|slot| slot.open)
    }

    /// Nobody is going to take what waits: here it is.
    pub fn give_up(&mut self) -> Vec<P> {
        self.queue.drain(..).map(|(_, parcel)| parcel).collect()
    }

    /// Requests that wait at the desk.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(reach: char, parcel: u64) -> Placed<char, u64> {
        Placed::With(Given { reach, parcel, begins: true })
    }

    fn never(_: &char, _: &u64) -> bool {
        false
    }

    #[test]
    fn first_come_first_served() {
        let mut desk: Desk<char, u64> = Desk::new(2);
        assert_eq!(desk.place(1, 1, 0), Placed::Queued);
        assert_eq!(desk.place(2, 2, 0), Placed::Queued);
        assert_eq!(desk.place(3, 3, 0), Placed::Full(3));
        desk.join((7, 'a'), 1, 0);
        assert_eq!(desk.next(7, 0, &mut never), Some(Given { reach: 'a', parcel: 1, begins: true }));
        assert_eq!(desk.next(7, 0, &mut never), None);
        assert_eq!(desk.place_again(1, 1, 0), Placed::Queued);
        let freed = desk.freed(7, 0, 0, &mut never);
        assert_eq!((freed.begun, freed.given), (None, Some(Given { reach: 'a', parcel: 1, begins: true })));
        assert!(desk.withdraw(2, &mut never));
        assert!(!desk.withdraw(2, &mut never));
        assert_eq!(desk.freed(7, 0, 0, &mut never).given, None);
        assert_eq!(desk.place(4, 4, 0), with('a', 4));
    }

    #[test]
    fn a_closed_worker_takes_nothing_more() {
        let mut desk: Desk<char, u64> = Desk::new(9);
        desk.join((1, 'a'), 1, 0);
        assert_eq!(desk.place(1, 1, 0), with('a', 1));
        desk.close(1);
        assert_eq!(desk.place(2, 2, 0), Placed::Queued);
        assert_eq!(desk.freed(1, 1, 0, &mut never).given, None);
        desk.join((2, 'b'), 1, 0);
        assert_eq!(desk.next(2, 0, &mut never), Some(Given { reach: 'b', parcel: 2, begins: true }));
    }

    #[test]
    fn without_room_in_a_lane_a_request_goes_to_another_worker_or_waits_before_all_others() {
        let mut desk: Desk<char, u64> = Desk::new(9);
        desk.join((1, 'a'), 3, 0);
        desk.join((2, 'b'), 1, 0);
        assert_eq!(desk.place(1, 1, 0), with('a', 1));
        assert_eq!(desk.lacks_room(1, (1, 1), 0), with('b', 1));
        assert_eq!(desk.place(2, 2, 0), Placed::Queued, "one has no room, the other no slot");
        assert_eq!(desk.freed(1, 1, 0, &mut never).given, None, "an answer is no room");
        desk.has_room(1);
        assert_eq!(desk.next(1, 0, &mut never), Some(Given { reach: 'a', parcel: 2, begins: true }));
        assert_eq!(desk.place(3, 3, 0), with('a', 3));
        assert_eq!(desk.lacks_room(1, (3, 3), 0), Placed::Queued);
        assert_eq!(desk.place(4, 4, 0), Placed::Queued);
        desk.has_room(1);
        let next = |desk: &mut Desk<char, u64>| desk.next(1, 0, &mut never).map(|given| given.parcel);
        assert_eq!((next(&mut desk), next(&mut desk), next(&mut desk)), (Some(3), Some(4), None), "in their order");
        // One that has joined anew has an empty lane.
        assert_eq!(desk.lacks_room(1, (4, 4), 0), Placed::Queued);
        desk.join((1, 'a'), 1, 0);
        assert_eq!(next(&mut desk), Some(4));
        // Those that are gone have none.
        desk.leave(1);
        desk.has_room(1);
        assert_eq!((desk.lacks_room(1, (4, 4), 0), next(&mut desk)), (Placed::Queued, None));
    }

    #[test]
    fn what_nobody_takes_is_given_up() {
        let mut desk: Desk<char, u64> = Desk::new(9);
        assert_eq!((desk.place(1, 1, 0), desk.place(2, 2, 0)), (Placed::Queued, Placed::Queued));
        assert!(!desk.is_served());
        assert_eq!((desk.give_up(), desk.waiting()), (vec![1, 2], 0));
        desk.join((1, 'a'), 1, 0);
        assert!(desk.is_served());
        desk.close(1);
        assert!(!desk.is_served(), "it only finishes what it has");
    }

    #[test]
    fn one_waits_behind_a_quick_one_until_that_is_late() {
        let mut desk: Desk<char, u64> = Desk::new(9);
        desk.join((1, 'a'), 1, 0);
        desk.join((2, 'b'), 1, 0);
        for (ticket, reach) in [(1, 'a'), (2, 'b')] {
            assert_eq!(desk.place(ticket, ticket, 10), with(reach, ticket));
        }
        for worker in [1, 2] {
            desk.freed(worker, 1, 20, &mut never);
        }
        assert_eq!(desk.place(3, 3, 30), with('a', 3));
        assert_eq!(desk.place(4, 4, 31), with('b', 4));
        let ahead = |reach, parcel| Placed::With(Given { reach, parcel, begins: false });
        assert_eq!(desk.place(5, 5, 32), ahead('a', 5));
        assert_eq!(desk.place(6, 6, 33), ahead('b', 6));
        assert_eq!(desk.place(7, 7, 34), Placed::Queued);
        // `b` goes on with 6 and gets 7; `a` is busy with 3 for ever, so `b` then gets 5 of it.
        let freed = desk.freed(2, 1, 40, &mut |_, _| true);
        assert_eq!((freed.begun, freed.given.map(|it| (it.parcel, it.begins))), (Some(6), Some((7, false))));
        let freed = desk.freed(2, 1, 41, &mut |_, _| true);
        assert_eq!((freed.begun, freed.given), (Some(7), None), "not yet late, and `b` is not free");
        let freed = desk.freed(2, 1, 42, &mut |_, parcel| *parcel == 5);
        assert_eq!((freed.begun, freed.given.map(|it| (it.parcel, it.begins))), (None, Some((5, true))));
        assert_eq!(desk.place(8, 8, 4000), Placed::Queued, "nothing waits behind what is late");
    }
}
