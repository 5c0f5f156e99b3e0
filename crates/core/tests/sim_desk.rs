//! In:     seeds: requests that come and give up, workers that join, answer, close and leave.
//! Out:    what must hold of the desk at every moment.
//! Actors: a simulated edge with its own dice; replay: `SEED=7 cargo test sim_desk`.
//! Never:  does a world depend on anything but its seed.

#![allow(
    clippy::disallowed_macros,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use hallway_core::lane::{Desk, Placed};
use std::collections::{BTreeMap, BTreeSet};

const QUEUE: usize = 8;

struct World {
    seed: u64,
    desk: Desk<u32, u64>,
    /// Each worker: capacity, whether it is open, what it works on.
    workers: BTreeMap<u32, (u16, bool, BTreeSet<u64>)>,
    waiting: Vec<u64>,
    next_worker: u32,
    next_ticket: u64,
    answered: u64,
}

impl World {
    fn roll(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    fn give(&mut self, worker: u32, ticket: u64) {
        let (capacity, open, busy) = self.workers.get_mut(&worker).expect("a worker that is there");
        assert!(*open, "{worker} takes nothing more");
        assert!(busy.insert(ticket));
        assert!(busy.len() <= usize::from(*capacity), "{worker} has more than its slots");
    }

    fn arrive(&mut self) {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        match self.desk.place(ticket, ticket) {
            Placed::With(worker, ticket) => {
                assert!(self.waiting.is_empty(), "it overtook {:?}", self.waiting);
                self.give(worker, ticket);
            }
            Placed::Queued => self.waiting.push(ticket),
            // Those that came back from a lost worker may stand above the limit.
            Placed::Full(_) => assert!(self.waiting.len() >= QUEUE, "refused with room in the queue"),
        }
    }

    fn any_worker(&mut self) -> Option<u32> {
        let count = self.workers.len() as u64;
        (count > 0).then(|| self.roll(count) as usize).and_then(|at| self.workers.keys().nth(at).copied())
    }

    fn answer(&mut self) {
        let Some(worker) = self.any_worker() else { return };
        let busy = &mut self.workers.get_mut(&worker).unwrap().2;
        let Some(ticket) = busy.pop_first() else { return };
        self.answered += u64::from(ticket > 0);
        if let Some((worker, ticket)) = self.desk.freed(worker) {
            assert_eq!(self.waiting.remove(0), ticket, "first come, first served");
            self.give(worker, ticket);
        }
    }

    fn join(&mut self) {
        self.next_worker += 1;
        let (worker, capacity) = (self.next_worker, 1 + self.roll(3) as u16);
        self.workers.insert(worker, (capacity, true, BTreeSet::new()));
        for ticket in self.desk.join(worker, worker, capacity) {
            assert_eq!(self.waiting.remove(0), ticket, "first come, first served");
            self.give(worker, ticket);
        }
    }

    /// A worker dies; half of what it had may go to another.
    fn leave(&mut self) {
        let Some(worker) = self.any_worker() else { return };
        let (_, _, busy) = self.workers.remove(&worker).unwrap();
        self.desk.leave(worker);
        for ticket in busy.into_iter().filter(|ticket| ticket % 2 == 0) {
            match self.desk.place_again(ticket, ticket) {
                Placed::With(worker, ticket) => self.give(worker, ticket),
                Placed::Queued => self.waiting.insert(0, ticket),
                Placed::Full(_) => panic!("what began once is not refused"),
            }
        }
    }

    fn step(&mut self) {
        match self.roll(12) {
            0..=4 => self.arrive(),
            5..=8 => self.answer(),
            9 if self.workers.len() < 5 => self.join(),
            10 => {
                let Some(&ticket) = self.waiting.last() else { return };
                assert!(self.desk.withdraw(ticket));
                self.waiting.pop();
            }
            11 if self.roll(4) == 0 => self.leave(),
            11 if self.roll(4) == 0 => {
                let Some(worker) = self.any_worker() else { return };
                self.desk.close(worker);
                self.workers.get_mut(&worker).unwrap().1 = false;
            }
            _ => {}
        }
        assert_eq!(self.desk.waiting(), self.waiting.len());
        let free = self.workers.values().any(|(capacity, open, busy)| *open && busy.len() < usize::from(*capacity));
        assert!(!free || self.waiting.is_empty(), "a slot is free while {:?} wait", self.waiting);
    }
}

#[test]
fn no_request_waits_beside_a_free_slot() {
    let seeds: Vec<u64> = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (1..200).collect(),
    };
    for seed in seeds {
        println!("SEED={seed}");
        let mut world = World {
            seed,
            desk: Desk::new(QUEUE),
            workers: BTreeMap::new(),
            waiting: Vec::new(),
            next_worker: 0,
            next_ticket: 0,
            answered: 0,
        };
        for _ in 0..3_000 {
            world.step();
        }
        assert!(world.answered > 100, "the world stood still: {}", world.answered);
    }
}
