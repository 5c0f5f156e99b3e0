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

use hallway_core::lane::{Desk, Given, Placed};
use std::collections::{BTreeMap, BTreeSet};

const QUEUE: usize = 8;

/// What a simulated worker has.
#[derive(Default)]
struct Worker {
    capacity: u16,
    open: bool,
    /// There is no room in its lane.
    full: bool,
    /// What it works on.
    busy: BTreeSet<u64>,
    /// What waits in its lane.
    lane: Vec<u64>,
}

struct World {
    seed: u64,
    now_us: u64,
    desk: Desk<u32, u64>,
    workers: BTreeMap<u32, Worker>,
    waiting: Vec<u64>,
    next_worker: u32,
    next_ticket: u64,
    answered: u64,
    taken_back: u64,
    /// How often a free slot had no room for its frame.
    found_full: u64,
}

/// Takes a request out of a simulated lane, as the edge does, where it is still there.
fn withdraw(workers: &mut BTreeMap<u32, Worker>, worker: u32, ticket: u64) -> bool {
    let lane = &mut workers.get_mut(&worker).expect("a worker that is there").lane;
    let before = lane.len();
    lane.retain(|waiting| *waiting != ticket);
    lane.len() < before
}

impl World {
    fn roll(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    fn give(&mut self, given: Given<u32, u64>) {
        let (reach, ticket) = (given.reach, given.parcel);
        let worker = self.workers.get_mut(&reach).expect("a worker that is there");
        assert!(worker.open, "{reach} takes nothing more");
        assert!(!worker.full, "{reach} has no room");
        if given.begins {
            if self.seed.is_multiple_of(5) {
                worker.full = true;
                self.found_full += 1;
                match self.desk.lacks_room(reach, (ticket, ticket), self.now_us) {
                    Placed::With(given) => self.give(given),
                    Placed::Queued => self.waiting.insert(0, ticket),
                    Placed::Full(_) => panic!("what was placed is not refused"),
                }
                return;
            }
            assert!(worker.busy.insert(ticket));
        } else {
            assert!(!worker.busy.is_empty(), "it waits behind nothing");
            if self.seed.is_multiple_of(7) {
                // There was no room for its frame.
                self.desk.put_back(reach, ticket);
                self.waiting.insert(0, ticket);
                return;
            }
            worker.lane.push(ticket);
        }
        assert!(worker.busy.len() <= usize::from(worker.capacity), "{reach} has more than its slots");
        assert!(worker.lane.len() <= usize::try_from(reach % 4).unwrap(), "{reach} has too many ahead");
    }

    /// Gives what came from the queue, or from another lane.
    fn give_next(&mut self, given: Given<u32, u64>) {
        if self.waiting.first() == Some(&given.parcel) {
            self.waiting.remove(0);
        } else {
            assert!(!self.waiting.contains(&given.parcel), "first come, first served");
            self.taken_back += 1;
        }
        self.give(given);
    }

    fn arrive(&mut self) {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        match self.desk.place(ticket, ticket, self.now_us) {
            Placed::With(given) => {
                assert!(self.waiting.is_empty(), "it overtook {:?}", self.waiting);
                self.give(given);
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

    /// A worker answers and goes on with what is in its lane, which the desk may hear later than others.
    fn answer(&mut self) {
        let Some(number) = self.any_worker() else { return };
        let worker = self.workers.get_mut(&number).unwrap();
        let Some(ticket) = worker.busy.pop_first() else { return };
        let begun = (!worker.lane.is_empty()).then(|| worker.lane.remove(0));
        worker.busy.extend(begun);
        self.answered += u64::from(ticket > 0);
        let (ahead_max, workers) = (number as usize % 4, &mut self.workers);
        let freed =
            self.desk.freed(number, ahead_max, self.now_us, &mut |from, parcel| withdraw(workers, *from, *parcel));
        assert_eq!(freed.begun, begun);
        if let Some(given) = freed.given {
            self.give_next(given);
        }
    }

    fn join(&mut self) {
        self.next_worker += 1;
        let (number, capacity) = (self.next_worker, 1 + self.roll(4).saturating_sub(2) as u16);
        self.workers.insert(number, Worker { capacity, open: true, ..Worker::default() });
        self.desk.join((number, number), capacity, self.now_us);
        self.give_all(number);
    }

    /// Gives a worker what it takes of what waits.
    fn give_all(&mut self, number: u32) {
        loop {
            let workers = &mut self.workers;
            let next = self.desk.next(number, self.now_us, &mut |from, parcel| withdraw(workers, *from, *parcel));
            let Some(given) = next else { return };
            self.give_next(given);
            // Other dice for the next one.
            self.roll(2);
        }
    }

    /// There is room in a lane again.
    fn make_room(&mut self) {
        let Some(number) = self.any_worker() else { return };
        self.workers.get_mut(&number).unwrap().full = false;
        self.desk.has_room(number);
        self.give_all(number);
    }

    /// A worker dies; half of what it had begun may go to another, and all that it had not.
    fn leave(&mut self) {
        let Some(number) = self.any_worker() else { return };
        let worker = self.workers.remove(&number).unwrap();
        self.desk.leave(number);
        for ticket in worker.busy.into_iter().filter(|ticket| ticket % 2 == 0).chain(worker.lane) {
            match self.desk.place_again(ticket, ticket, self.now_us) {
                Placed::With(given) => self.give(given),
                Placed::Queued => self.waiting.insert(0, ticket),
                Placed::Full(_) => panic!("what began once is not refused"),
            }
        }
    }

    fn give_up(&mut self) {
        let in_lanes = self.workers.values().flat_map(|worker| worker.lane.iter().copied());
        let waiting: Vec<u64> = self.waiting.iter().copied().chain(in_lanes).collect();
        if waiting.is_empty() {
            return;
        }
        let ticket = waiting[self.roll(waiting.len() as u64) as usize];
        let workers = &mut self.workers;
        assert!(self.desk.withdraw(ticket, &mut |from, parcel| withdraw(workers, *from, *parcel)));
        self.waiting.retain(|other| *other != ticket);
        assert!(!self.desk.withdraw(ticket, &mut |_, _| true), "it is gone");
    }

    fn step(&mut self) {
        self.now_us += self.roll(900);
        match self.roll(14) {
            0..=4 => self.arrive(),
            5..=8 => self.answer(),
            9 if self.workers.len() < 5 => self.join(),
            10 => self.give_up(),
            12..=13 => self.make_room(),
            11 if self.roll(4) == 0 => self.leave(),
            11 if self.roll(4) == 0 => {
                let Some(number) = self.any_worker() else { return };
                self.desk.close(number);
                self.workers.get_mut(&number).unwrap().open = false;
            }
            _ => {}
        }
        assert_eq!(self.desk.waiting(), self.waiting.len());
        let free = |worker: &Worker| worker.open && !worker.full && worker.busy.len() < usize::from(worker.capacity);
        if self.workers.values().any(free) {
            let in_lanes: Vec<u64> = self.workers.values().flat_map(|worker| worker.lane.iter().copied()).collect();
            assert!(
                self.waiting.is_empty() && in_lanes.is_empty(),
                "a slot is free while {:?} and {in_lanes:?} wait",
                self.waiting
            );
        }
    }
}

#[test]
fn no_request_waits_beside_a_free_slot() {
    let seeds: Vec<u64> = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (1..200).collect(),
    };
    let mut taken_back = 0;
    for seed in seeds {
        println!("SEED={seed}");
        let mut world = World {
            seed,
            now_us: 0,
            desk: Desk::new(QUEUE),
            workers: BTreeMap::new(),
            waiting: Vec::new(),
            next_worker: 0,
            next_ticket: 0,
            answered: 0,
            taken_back: 0,
            found_full: 0,
        };
        for _ in 0..3_000 {
            world.step();
        }
        assert!(world.answered > 100, "the world stood still: {}", world.answered);
        taken_back += world.taken_back;
        assert!(world.found_full > 10, "every lane had room");
    }
    assert!(taken_back > 0, "no request was ever taken out of a lane");
}
