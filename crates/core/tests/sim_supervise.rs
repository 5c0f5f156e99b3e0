//! In:     seeds: children that boot, fail, die, hang and are asked to stop at any moment.
//! Out:    what must hold of the tree at every moment, and what it must come to.
//! Actors: a simulated operating system, with its own clock and dice; replay: `SEED=7 cargo test sim_supervise`.
//! Never:  does a world depend on anything but its seed.

#![allow(
    clippy::disallowed_macros,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use hallway_core::supervise::{AppSettings, Child, Command, Event, Place, Settings, Supervisor, Tidings};
use std::collections::{BTreeMap, BTreeSet};

const WORKERS: u32 = 4;
const GRACEFUL_MS: u64 = 2_000;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// Two apps, the first with two workers.
fn settings() -> Settings {
    let app = |workers| AppSettings { workers, timeout_ms: 2_000, graceful_timeout_ms: GRACEFUL_MS };
    Settings { apps: vec![app(2), app(WORKERS - 2)], graceful_timeout_ms: GRACEFUL_MS, gives_up: false }
}

struct World {
    dice: Dice,
    tree: Supervisor,
    now_ms: u64,
    /// What will happen, by time and by the order in which it was planned.
    future: BTreeMap<(u64, u64), Event>,
    planned: u64,
    edge: bool,
    /// Whether it is killed, and its end is kept back.
    is_kept: bool,
    /// Edges that there ever were.
    edges: u32,
    workers: BTreeSet<u32>,
    ready: BTreeSet<u32>,
    laned: BTreeSet<u32>,
    ever: BTreeSet<u32>,
    leaving: BTreeSet<u32>,
    /// Whether anything still goes wrong by itself.
    faults: bool,
    exited: Option<i32>,
    /// Apps that do not load, and whether they hang instead of failing.
    broken: BTreeMap<usize, bool>,
    /// Apps that the edge answers for.
    down: BTreeSet<usize>,
    places: BTreeMap<u32, Place>,
    /// When workers were told to leave; who has had last words.
    told_ms: BTreeMap<u32, u64>,
    spoken: BTreeSet<u32>,
    /// Workers that there may be at a time, beside those that leave.
    most: usize,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            dice: Dice(seed),
            tree: Supervisor::new(settings()),
            now_ms: 0,
            future: BTreeMap::new(),
            planned: 0,
            edge: false,
            edges: 0,
            is_kept: false,
            workers: BTreeSet::new(),
            ready: BTreeSet::new(),
            laned: BTreeSet::new(),
            ever: BTreeSet::new(),
            leaving: BTreeSet::new(),
            faults: false,
            exited: None,
            broken: BTreeMap::new(),
            down: BTreeSet::new(),
            places: BTreeMap::new(),
            told_ms: BTreeMap::new(),
            spoken: BTreeSet::new(),
            most: WORKERS as usize + 2,
        }
    }

    /// Has the tree go by other settings.
    fn adopt(&mut self, apps: &[(usize, AppSettings)]) {
        for command in self.tree.adopt(self.now_ms, apps, GRACEFUL_MS) {
            self.obey(command);
        }
        self.happen(Event::Tick);
    }

    fn plan(&mut self, after_ms: u64, event: Event) {
        self.planned += 1;
        self.future.insert((self.now_ms + after_ms, self.planned), event);
    }

    fn lives(&self, child: Child) -> bool {
        match child {
            Child::Edge => self.edge,
            Child::Worker(worker) => self.workers.contains(&worker),
        }
    }

    /// Lets an event happen, if it still can, and carries out what the tree decides.
    fn happen(&mut self, event: Event) {
        match event {
            Event::Ready(child) if !self.lives(child) => return,
            Event::Overdue(worker) | Event::Stuck(worker) | Event::Spent(worker) | Event::Left(worker)
                if !self.ready.contains(&worker) =>
            {
                return;
            }
            Event::Exited(child, _) if !self.lives(child) => return,
            Event::EdgeHangs { .. } if !self.edge => return,
            Event::Left(worker) => {
                self.leaving.insert(worker);
                self.told_ms.entry(worker).or_insert(self.now_ms);
            }
            Event::Exited(Child::Edge, _) => {
                (self.edge, self.is_kept) = (false, false);
                self.laned.clear();
            }
            Event::Exited(Child::Worker(worker), _) => {
                self.workers.remove(&worker);
                self.ready.remove(&worker);
                self.laned.remove(&worker);
            }
            Event::Ready(Child::Worker(worker)) => {
                self.ready.insert(worker);
                self.down.remove(&self.places[&worker].app);
            }
            _ => {}
        }
        for command in self.tree.step(self.now_ms, event) {
            self.obey(command);
        }
        let wake_at = self.tree.wake_at();
        assert!(wake_at.is_none_or(|at| at > self.now_ms), "asleep past {wake_at:?} at {}", self.now_ms);
        let staying = self.workers.difference(&self.leaving).count();
        assert!(staying <= self.most, "too many workers: {:?} of {:?}", self.workers, self.tree);
    }

    fn obey(&mut self, command: Command) {
        assert!(self.exited.is_none(), "{command:?} after the end");
        match command {
            Command::SpawnEdge => self.spawn_edge(),
            Command::SpawnWorker { worker, place } => self.spawn_worker(worker, place),
            Command::AnswerFor(app) => {
                assert!(self.edge, "nobody could answer for {app}");
                let serves = |worker: &&u32| self.places[worker].app == app && !self.leaving.contains(worker);
                assert_eq!(self.ready.iter().find(serves), None, "{app} has workers");
                self.down.insert(app);
            }
            Command::Tell(Tidings::Overstays(worker)) => {
                let told_ms = self.told_ms[&worker];
                assert!(self.now_ms >= told_ms + GRACEFUL_MS || self.tree.is_stopping(), "{worker} is cut too early");
            }
            Command::Tell(_) => {}
            Command::DealLanes(worker) => {
                assert!(self.edge && self.workers.contains(&worker), "lanes to nobody: {worker}");
                self.laned.insert(worker);
                // Now and then one is busy for too long to come to a new edge.
                if self.ready.contains(&worker) && !(self.faults && self.dice.roll(8) == 0) {
                    let busy_ms = self.dice.roll(500);
                    self.plan(busy_ms, Event::Joined(worker));
                }
            }
            Command::Finish(child) => {
                assert!(self.lives(child), "{child:?} is asked to finish and is not there");
                if let Child::Worker(worker) = child {
                    self.leaving.insert(worker);
                    self.told_ms.insert(worker, self.now_ms);
                }
                let hangs = self.dice.roll(5) == 0;
                let rest_ms = if hangs { 60_000 } else { self.dice.roll(1_000) };
                self.plan(rest_ms, Event::Exited(child, Some(0)));
            }
            Command::DumpStacks(worker) => {
                assert!(self.workers.contains(&worker));
                self.spoken.insert(worker);
                self.leaving.insert(worker);
            }
            Command::DumpEdge => assert!(self.edge && !self.tree.is_stopping(), "who stops is not disturbed"),
            Command::Kill(child) => {
                assert!(self.lives(child), "{child:?} is killed and is not there");
                if let Child::Worker(worker) = child {
                    let is_late = self.told_ms.contains_key(&worker);
                    assert!(!is_late || self.spoken.contains(&worker), "{worker} was cut, and nobody was told");
                    self.leaving.insert(worker);
                }
                // The end of an edge may be kept back, for ever.
                if child == Child::Edge && self.dice.roll(6) == 0 {
                    self.is_kept = true;
                } else {
                    self.plan(1, Event::Exited(child, None));
                }
            }
            Command::Exit(code) => {
                assert!((!self.edge || self.is_kept) && self.workers.is_empty(), "the master left children behind");
                self.exited = Some(code);
            }
        }
    }

    fn spawn_edge(&mut self) {
        assert!(!self.edge || self.is_kept, "a second edge");
        (self.is_kept, self.laned) = (false, BTreeSet::new());
        (self.edge, self.down) = (true, BTreeSet::new());
        self.edges += 1;
        // Now and then one hangs before it is ready.
        let (boot_ms, starts) = (self.dice.roll(50), !self.faults || self.dice.roll(8) > 0);
        if starts {
            self.plan(boot_ms, Event::Ready(Child::Edge));
        }
        if self.faults {
            let life_ms = self.dice.roll(3_000);
            let end = match self.dice.roll(3) {
                0 => Event::EdgeHangs { speaks: self.dice.roll(2) == 0 },
                _ => Event::Exited(Child::Edge, None),
            };
            self.plan(life_ms, end);
        }
    }

    fn spawn_worker(&mut self, worker: u32, place: Place) {
        assert!(self.ever.insert(worker), "the number {worker} was given twice");
        self.workers.insert(worker);
        self.places.insert(worker, place);
        let boot_ms = 10 + self.dice.roll(200);
        match self.broken.get(&place.app) {
            Some(true) => return,
            Some(false) => return self.plan(boot_ms, Event::Exited(Child::Worker(worker), Some(4))),
            None => {}
        }
        if self.faults && self.dice.roll(4) == 0 {
            return self.plan(boot_ms, Event::Exited(Child::Worker(worker), Some(4)));
        }
        self.plan(boot_ms, Event::Ready(Child::Worker(worker)));
        if self.faults {
            let (life_ms, rest_ms) = (self.dice.roll(2_000), self.dice.roll(4_000));
            let end = match self.dice.roll(5) {
                4 => {
                    self.plan(life_ms + rest_ms, Event::Exited(Child::Worker(worker), Some(1)));
                    Event::Left(worker)
                }
                0 => Event::Overdue(worker),
                1 => Event::Spent(worker),
                2 => Event::Roll,
                _ => Event::Exited(Child::Worker(worker), None),
            };
            self.plan(life_ms, end);
        }
    }

    /// Lets time pass.
    fn run_until(&mut self, end_ms: u64) {
        let mut steps = 0;
        while self.exited.is_none() {
            steps += 1;
            assert!(steps < 100_000, "the tree does not come to rest");
            let planned = self.future.keys().next().map(|(at, _)| *at);
            let next_ms = planned.into_iter().chain(self.tree.wake_at()).min().unwrap_or(u64::MAX);
            if next_ms > end_ms {
                break;
            }
            self.now_ms = self.now_ms.max(next_ms);
            match self.future.first_entry() {
                Some(entry) if entry.key().0 <= self.now_ms => {
                    let event = entry.remove();
                    self.happen(event);
                }
                _ => self.happen(Event::Tick),
            }
        }
        self.now_ms = self.now_ms.max(end_ms);
    }
}

fn seeds() -> Vec<u64> {
    match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..300).collect(),
    }
}

#[test]
fn apps_come_and_go() {
    for seed in seeds() {
        println!("SEED={seed}");
        let mut world = World::new(seed);
        world.most = usize::MAX;
        world.happen(Event::Start);
        world.run_until(1_000);
        world.faults = true;
        let app = |workers| AppSettings { workers, timeout_ms: 2_000, graceful_timeout_ms: GRACEFUL_MS };
        for round in 0..10u64 {
            let wanted: Vec<usize> = (0..4).filter(|_| world.dice.roll(2) == 0).collect();
            let apps: Vec<(usize, AppSettings)> =
                wanted.into_iter().map(|number| (number, app(1 + world.dice.roll(3) as u32))).collect();
            world.adopt(&apps);
            if world.dice.roll(2) == 0 {
                let (over_ms, number) = (world.dice.roll(500), world.dice.roll(4) as usize);
                world.plan(over_ms, Event::Dismiss(number));
            }
            let pause_ms = world.dice.roll(1_500);
            world.run_until(2_000 * (round + 1) + pause_ms);
        }
        world.faults = false;
        world.adopt(&[(0, app(2)), (2, app(1)), (3, app(3))]);
        world.run_until(180_000);
        let counts: Vec<(u32, u32)> = (0..4).map(|app| world.tree.readiness(app)).collect();
        assert_eq!(counts, [(2, 2), (0, 0), (1, 1), (3, 3)]);
        assert_eq!((world.workers.len(), world.exited), (6, None), "nobody else is left");
    }
}

#[test]
fn the_tree_heals_and_ends() {
    for seed in seeds() {
        println!("SEED={seed}");
        let mut world = World::new(seed);
        world.happen(Event::Start);
        world.run_until(1_000);
        assert_eq!(world.ready.len(), WORKERS as usize, "all are up");
        world.faults = true;
        let (edge_ms, worker_ms) = (world.dice.roll(500), world.dice.roll(500));
        world.plan(edge_ms, Event::Exited(Child::Edge, None));
        for worker in 1..=WORKERS {
            world.plan(worker_ms, Event::Exited(Child::Worker(worker), None));
        }
        world.run_until(20_000);
        assert_eq!(world.exited, None, "faults never end a tree that was up");
        world.faults = false;
        world.run_until(90_000);
        assert!(world.edge, "the edge is back");
        assert_eq!((world.ready.len(), world.laned.len()), (WORKERS as usize, WORKERS as usize), "so are the workers");
        let before = world.ready.clone();
        world.happen(Event::Roll);
        world.run_until(100_000);
        assert!(world.ready.is_disjoint(&before), "a roll replaces every worker");
        assert_eq!(world.ready.len(), WORKERS as usize);
        world.happen(Event::Roll);
        let (fewer_ms, more_ms) = (world.dice.roll(600), world.dice.roll(600));
        world.plan(fewer_ms, Event::Fewer);
        world.run_until(165_000);
        assert_eq!(world.workers.len(), WORKERS as usize - 2, "one less of each app, also in the middle of a roll");
        world.happen(Event::Roll);
        world.plan(more_ms, Event::More);
        world.run_until(230_000);
        assert_eq!((world.workers.len(), world.ready.len()), (WORKERS as usize, WORKERS as usize), "one more");
        world.faults = seed % 2 == 0;
        world.happen(Event::Stop);
        world.run_until(230_000 + GRACEFUL_MS + 7_000);
        assert_eq!(world.exited, Some(0), "a stop ends everything in time");
    }
}

#[test]
fn an_edge_that_hangs_at_any_moment_is_replaced() {
    for seed in seeds() {
        println!("SEED={seed}");
        let mut world = World::new(seed);
        // Also the very first one, which may not even be ready.
        world.happen(Event::Start);
        for round in 0..5 {
            let (edges, wait_ms) = (world.edges, world.dice.roll(200));
            world.run_until(1_000 * round + wait_ms);
            let speaks = world.dice.roll(2) == 0;
            world.happen(Event::EdgeHangs { speaks });
            world.happen(Event::EdgeHangs { speaks });
            // Long before the next one, whatever it still had to say.
            world.run_until(1_000 * round + wait_ms + 700);
            assert_eq!((world.edges, world.exited), (edges + 1, None), "another one takes over");
        }
        world.run_until(10_000);
        assert_eq!((world.edge, world.laned.len()), (true, WORKERS as usize), "with the workers that there are");
        assert_eq!(world.ever.len(), WORKERS as usize, "which nobody replaced");
    }
}

#[test]
fn a_stop_at_any_moment_ends_everything() {
    for seed in seeds() {
        println!("SEED={seed}");
        let mut world = World::new(seed);
        world.faults = seed % 3 == 0;
        world.happen(Event::Start);
        let stop_ms = world.dice.roll(1_500);
        world.run_until(stop_ms);
        if world.exited.is_none() {
            world.happen(Event::Stop);
        }
        world.run_until(stop_ms + GRACEFUL_MS + 7_000);
        assert!(world.exited.is_some(), "stopped at {stop_ms}");
    }
}

#[test]
fn an_app_that_does_not_load_is_felt_by_nobody_else() {
    for seed in seeds() {
        println!("SEED={seed}");
        let mut world = World::new(seed);
        // The first app does not load, from the start on or later; it fails, or hangs.
        let (hangs, from_ms) = (world.dice.roll(2) == 0, world.dice.roll(3) * 500);
        if from_ms == 0 {
            world.broken.insert(0, hangs);
        }
        world.happen(Event::Start);
        world.run_until(1_000 + from_ms);
        world.broken.insert(0, hangs);
        let spawned = world.ever.len();
        for round in 0..10 {
            let event = [Event::Roll, Event::RollApp(1), Event::Exited(Child::Edge, None), Event::Tick];
            let event = event[world.dice.roll(4) as usize];
            world.happen(event);
            let dead = world.ready.iter().copied().find(|worker| world.places[worker].app == 0);
            dead.into_iter().for_each(|worker| world.happen(Event::Exited(Child::Worker(worker), None)));
            world.run_until(5_000 + round * 3_000);
            assert_eq!(world.exited, None, "the others go on");
            assert_eq!(world.tree.readiness(1), (2, 2), "and have all of their workers");
        }
        assert!(world.ever.len() - spawned < 100, "it is not tried again and again");
        world.broken.clear();
        world.happen(Event::RollApp(0));
        world.run_until(200_000);
        assert_eq!((world.tree.readiness(0), world.tree.readiness(1)), ((2, 2), (2, 2)), "it comes back");
        assert!(world.down.is_empty() && !world.tree.is_rolling());
    }
}
