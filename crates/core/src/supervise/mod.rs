//! In:     what happened to the children, signals to the master, the time.
//! Out:    commands: spawn, deal lanes, finish, dump, kill, exit.
//! Actors: none: the program's thin shell carries the commands out and reports what came of them.
//! Never:  is a decision about a process taken anywhere else.

mod apps;
mod children;
mod roll;
#[cfg(test)]
mod tests;

use apps::AppState;
pub use children::Place;
use children::{Edge, EdgePhase, Vacancy, Worker, WorkerPhase};
use roll::Roll;

/// Between the order to show its stacks and the kill of an overdue worker.
const LAST_WORDS_MS: u64 = 300;
/// Longest pause before a child that fails again and again is started once more.
const BACK_OFF_MAX_MS: u64 = 10_000;
/// A second signal to stop counts as one only after this: `timeout`, shells and service managers
/// often send the same signal to the process and to its group.
const SECOND_STOP_MS: u64 = 500;
/// What an application gets to load; a worker that needs longer is taken to be stuck.
const BOOT_MS: u64 = 120_000;
/// For the edge to cut what is still in flight after the graceful timeout, and to write what is to be said of it.
const CUT_MS: u64 = 1_000;
/// What a worker gets to leave once the edge has drained: it has nothing left to do.
const LEAVE_MS: u64 = 3_000;

/// A child of the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Child {
    /// The edge.
    Edge,
    /// The worker with this number.
    Worker(u32),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The sockets are bound; begin.
    Start,
    /// A child said that it works.
    Ready(Child),
    /// A child has ended, with this exit code where it was not a signal.
    Exited(Child, Option<i32>),
    /// The edge says that a request took too long on this worker.
    Overdue(u32),
    /// The same of a worker that has others to finish.
    Stuck(u32),
    /// The edge says that this worker said hello to it.
    Joined(u32),
    /// This worker has served enough (`max_requests`, `max_rss`) and is to be replaced.
    Spent(u32),
    /// The apps have changed: every worker is to be replaced.
    Roll,
    /// This app has changed: its workers are to be replaced.
    RollApp(usize),
    /// No request can be for this app any more, which is not wanted any more.
    Dismiss(usize),
    /// One worker more is wanted for each app.
    More,
    /// One worker less is wanted for each app.
    Fewer,
    /// Somebody asked for a graceful stop; for the second time: for a stop at once.
    Stop,
    /// Nothing, but the time of `wake_at` has come.
    Tick,
}

/// What the shell is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start an edge.
    SpawnEdge,
    /// Start a worker.
    SpawnWorker {
        /// Its number, never used twice.
        worker: u32,
        /// Its app, and its place there.
        place: Place,
    },
    /// Make lanes between the edge and this worker, and give each its ends.
    DealLanes(u32),
    /// Ask a child to finish what it has and to exit.
    Finish(Child),
    /// Have a worker write the stack of each of its threads to its log.
    DumpStacks(u32),
    /// End a child at once.
    Kill(Child),
    /// End the master with this code.
    Exit(i32),
}

/// What every app has of its own.
#[derive(Clone, Copy, Debug)]
pub struct AppSettings {
    /// Its workers.
    pub workers: u32,
    /// How long a worker may be busy with a request that began under an edge that has died; 0 for ever.
    pub timeout_ms: u64,
    /// How long a worker that leaves may finish what it has.
    pub graceful_timeout_ms: u64,
}

/// How many, and how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The apps, in the order of the plan.
    pub apps: Vec<AppSettings>,
    /// How long a stop waits for requests in flight.
    pub graceful_timeout_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// The edge finishes what it has.
    Draining,
    /// The edge is gone, the workers leave.
    Leaving,
}

/// The state of the whole process tree.
#[derive(Debug)]
pub struct Supervisor {
    graceful_timeout_ms: u64,
    phase: Phase,
    exit_code: i32,
    edge: Edge,
    workers: Vec<Worker>,
    vacancies: Vec<Vacancy>,
    next_worker: u32,
    /// By the numbers of the apps, also those that are not wanted any more.
    apps: Vec<AppState>,
    stopping_since_ms: Option<u64>,
    roll: Roll,
}

impl Supervisor {
    /// A tree of which nothing runs yet.
    pub fn new(settings: Settings) -> Self {
        Supervisor {
            apps: settings.apps.into_iter().map(AppState::founding).collect(),
            graceful_timeout_ms: settings.graceful_timeout_ms,
            phase: Phase::Running,
            exit_code: 0,
            edge: Edge::absent(),
            workers: Vec::new(),
            vacancies: Vec::new(),
            next_worker: 1,
            stopping_since_ms: None,
            roll: Roll::default(),
        }
    }

    /// Decides what follows from an event. `now_ms` never goes back.
    pub fn step(&mut self, now_ms: u64, event: Event) -> Vec<Command> {
        let mut out = Vec::new();
        match event {
            Event::Start => {
                let places = self.apps.iter().enumerate();
                let places =
                    places.flat_map(|(app, it)| (1..=it.settings.workers).map(move |number| Place { app, number }));
                self.vacancies = places.map(|place| Vacancy { place, at_ms: now_ms }).collect();
                self.spawn_edge(now_ms, &mut out);
            }
            Event::Ready(Child::Edge) => self.edge.become_ready(),
            Event::Ready(Child::Worker(worker)) => self.worker_ready(now_ms, worker, &mut out),
            Event::Exited(Child::Edge, code) => self.edge_exited(now_ms, code, &mut out),
            Event::Exited(Child::Worker(worker), code) => self.worker_exited(now_ms, worker, code, &mut out),
            Event::Overdue(worker) => self.doom(now_ms, worker, &mut out),
            Event::Stuck(worker) => self.stuck(worker, &mut out),
            Event::Joined(worker) => {
                let joined = self.workers.iter_mut().find(|it| it.id == worker);
                joined.into_iter().for_each(|worker| worker.join_by_ms = None);
            }
            Event::Spent(worker) => self.roll_one(worker),
            Event::Roll => self.roll_apps(|_| true),
            Event::RollApp(app) => self.roll_apps(|it| it == app),
            Event::Dismiss(app) => self.dismiss(now_ms, app, &mut out),
            Event::More => self.more(now_ms),
            Event::Fewer => self.fewer(now_ms, &mut out),
            Event::Stop => self.stop(now_ms, &mut out),
            Event::Tick => {}
        }
        self.keep_times(now_ms, &mut out);
        self.roll_on(now_ms, &mut out);
        self.conclude(&mut out);
        out
    }

    /// When `step` must be called with `Event::Tick` at the latest, if nothing happens before.
    pub fn wake_at(&self) -> Option<u64> {
        let kills = self.workers.iter().filter_map(|worker| worker.kill_at_ms);
        let vacancies = self.vacancies.iter().filter(|vacancy| self.refills() && !self.first_boots(vacancy.place.app));
        let vacancies = vacancies.map(|vacancy| vacancy.at_ms);
        let joins = self.workers.iter().filter_map(|worker| worker.join_by_ms);
        let dismissals = self.apps.iter().filter_map(|app| app.dismiss_at_ms);
        kills
            .chain(joins)
            .chain(dismissals)
            .chain(vacancies)
            .chain(self.edge.kill_at_ms)
            .chain(self.edge.respawn_at_ms)
            .min()
    }

    /// Workers of an app that take requests, and workers that there are to be.
    pub fn readiness(&self, app: usize) -> (u32, u32) {
        let is_ready = |worker: &&Worker| worker.place.app == app && worker.phase == WorkerPhase::Ready;
        let ready = self.workers.iter().filter(is_ready).count();
        (ready as u32, self.apps.get(app).map_or(0, |app| app.settings.workers))
    }

    /// Which app a worker belongs to.
    pub fn app_of(&self, worker: u32) -> Option<usize> {
        self.workers.iter().find(|it| it.id == worker).map(|it| it.place.app)
    }

    /// Whether a worker is still loading its application.
    pub fn is_booting(&self, worker: u32) -> bool {
        self.workers.iter().any(|it| it.id == worker && it.phase == WorkerPhase::Booting)
    }

    /// Whether the tree is on its way down.
    pub fn is_stopping(&self) -> bool {
        self.phase != Phase::Running
    }

    /// Whether a signal to stop at this time would end everything at once.
    pub fn is_second_stop(&self, now_ms: u64) -> bool {
        self.stopping_since_ms.is_some_and(|since_ms| now_ms >= since_ms + SECOND_STOP_MS)
    }

    /// While the edge drains, its requests still need workers.
    fn refills(&self) -> bool {
        self.phase != Phase::Leaving
    }

    /// The first worker loads its application alone: what the application does once (it creates
    /// its tables, it writes its byte code) is done before the others come, and what it complains
    /// of is shown once.
    fn first_boots(&self, app: usize) -> bool {
        !self.apps[app].was_ready && self.workers.iter().any(|worker| worker.place.app == app)
    }

    /// Workers that were busy when the last edge died come to the new one when they are done; nobody
    /// else knows since when they are.
    fn spawn_edge(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        self.edge = Edge::starting();
        out.push(Command::SpawnEdge);
        // It has never heard of apps that are not wanted any more.
        (0..self.apps.len()).for_each(|app| self.dismiss(now_ms, app, out));
        for worker in self.workers.iter_mut().filter(|worker| worker.may_serve()) {
            if worker.phase == WorkerPhase::Ready {
                let timeout_ms = self.apps[worker.place.app].settings.timeout_ms;
                let join_by_ms = (timeout_ms > 0).then_some(now_ms + timeout_ms);
                worker.join_by_ms = worker.join_by_ms.or(join_by_ms);
            }
            out.push(Command::DealLanes(worker.id));
        }
    }

    fn spawn_worker(&mut self, now_ms: u64, place: Place, out: &mut Vec<Command>) -> u32 {
        let id = self.next_worker;
        self.next_worker += 1;
        self.workers.push(Worker::booting(id, place, now_ms + BOOT_MS));
        out.push(Command::SpawnWorker { worker: id, place });
        if self.edge.is_there() {
            out.push(Command::DealLanes(id));
        }
        id
    }

    fn worker_ready(&mut self, now_ms: u64, worker: u32, out: &mut Vec<Command>) {
        let booting = |it: &&mut Worker| it.id == worker && it.phase == WorkerPhase::Booting;
        if let Some(booted) = self.workers.iter_mut().find(booting) {
            booted.phase = WorkerPhase::Ready;
            booted.kill_at_ms = None;
            let app = booted.place.app;
            self.apps[app].was_ready = true;
            self.apps[app].failures = 0;
            self.roll_ready(now_ms, worker, out);
        }
    }

    /// A request on this worker takes too long, others are not done yet. Its replacement first; it
    /// finishes the others, and is killed with the stuck one in the end.
    fn stuck(&mut self, id: u32, out: &mut Vec<Command>) {
        match self.workers.iter().find(|it| it.id == id).map(|it| it.phase) {
            Some(WorkerPhase::Ready) => {
                out.push(Command::DumpStacks(id));
                self.roll_one(id);
            }
            Some(WorkerPhase::Retiring) => out.push(Command::DumpStacks(id)),
            _ => {}
        }
    }

    fn doom(&mut self, now_ms: u64, worker: u32, out: &mut Vec<Command>) {
        let Some(worker) = self.workers.iter_mut().find(|it| it.id == worker) else { return };
        let kill_at_ms = now_ms + LAST_WORDS_MS;
        match worker.phase {
            WorkerPhase::Ready => {
                worker.phase = WorkerPhase::Doomed;
                out.push(Command::DumpStacks(worker.id));
            }
            // Its place is another's already; it is only not waited for any longer.
            WorkerPhase::Retiring if worker.kill_at_ms.is_none_or(|at| at > kill_at_ms) => {
                out.push(Command::DumpStacks(worker.id));
            }
            // One that is still loading has no request to show a stack of: its lanes are broken, most
            // likely because it is just ending by itself.
            WorkerPhase::Booting => {}
            WorkerPhase::Doomed | WorkerPhase::Retiring => return,
        }
        (worker.kill_at_ms, worker.join_by_ms) = (Some(kill_at_ms), None);
    }

    fn worker_exited(&mut self, now_ms: u64, id: u32, code: Option<i32>, out: &mut Vec<Command>) {
        let Some(at) = self.workers.iter().position(|worker| worker.id == id) else {
            return;
        };
        let worker = self.workers.swap_remove(at);
        if self.roll_exited(&worker) || worker.phase == WorkerPhase::Retiring {
            return;
        }
        let app = worker.place.app;
        if !self.apps[app].is_wanted {
            return;
        }
        if worker.phase != WorkerPhase::Booting {
            self.vacancies.push(Vacancy { place: worker.place, at_ms: now_ms });
        } else if self.apps[app].was_ready || !self.apps[app].is_founding {
            // The first replacement of a worker that died starts at once; only one that cannot
            // even become ready waits, longer each time.
            self.apps[app].failures += 1;
            let at_ms = now_ms + back_off_ms(self.apps[app].failures);
            self.vacancies.push(Vacancy { place: worker.place, at_ms });
        } else if self.phase == Phase::Running {
            self.give_up(code.filter(|code| *code == 4).unwrap_or(3), out);
        }
    }

    fn edge_exited(&mut self, now_ms: u64, code: Option<i32>, out: &mut Vec<Command>) {
        let was_ready = self.edge.phase == EdgePhase::Ready;
        let failures = self.edge.failures;
        self.edge = Edge::absent();
        match self.phase {
            Phase::Running if was_ready => self.spawn_edge(now_ms, out),
            Phase::Running if failures == 0 && !self.apps.iter().any(|app| app.was_ready) => {
                self.give_up(code.unwrap_or(1).max(1), out)
            }
            Phase::Running => {
                self.edge.failures = failures + 1;
                self.edge.respawn_at_ms = Some(now_ms + back_off_ms(failures + 1));
            }
            Phase::Draining | Phase::Leaving => self.let_workers_go(now_ms, out),
        }
    }

    fn let_workers_go(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        self.phase = Phase::Leaving;
        for worker in &mut self.workers {
            match worker.phase {
                WorkerPhase::Booting => out.push(Command::Kill(Child::Worker(worker.id))),
                WorkerPhase::Ready => {
                    out.push(Command::Finish(Child::Worker(worker.id)));
                    worker.kill_at_ms = Some(now_ms + LEAVE_MS);
                }
                // No request waits for it any more.
                WorkerPhase::Doomed | WorkerPhase::Retiring => {
                    let leave_at_ms = now_ms + LEAVE_MS;
                    worker.kill_at_ms = Some(worker.kill_at_ms.map_or(leave_at_ms, |at| at.min(leave_at_ms)));
                }
            }
        }
    }

    fn stop(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        if let Some(since_ms) = self.stopping_since_ms {
            if now_ms >= since_ms + SECOND_STOP_MS {
                self.kill_all(out);
            }
            return;
        }
        self.stopping_since_ms = Some(now_ms);
        if self.phase != Phase::Running {
            return;
        }
        self.phase = Phase::Draining;
        if self.edge.is_there() {
            out.push(Command::Finish(Child::Edge));
            self.edge.kill_at_ms = Some(now_ms + self.graceful_timeout_ms + CUT_MS);
        } else {
            self.let_workers_go(now_ms, out);
        }
    }

    fn give_up(&mut self, code: i32, out: &mut Vec<Command>) {
        self.exit_code = code;
        self.kill_all(out);
    }

    fn kill_all(&mut self, out: &mut Vec<Command>) {
        self.phase = Phase::Leaving;
        if self.edge.is_there() {
            out.push(Command::Kill(Child::Edge));
        }
        out.extend(self.workers.iter().map(|worker| Command::Kill(Child::Worker(worker.id))));
    }

    /// Does what is due by time alone.
    fn keep_times(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        let due = |at: &mut Option<u64>| at.take_if(|at| *at <= now_ms).is_some();
        if due(&mut self.edge.kill_at_ms) {
            out.push(Command::Kill(Child::Edge));
        }
        if due(&mut self.edge.respawn_at_ms) && self.phase == Phase::Running {
            let failures = self.edge.failures;
            self.spawn_edge(now_ms, out);
            self.edge.failures = failures;
        }
        for worker in &mut self.workers {
            if due(&mut worker.kill_at_ms) {
                out.push(Command::Kill(Child::Worker(worker.id)));
            }
        }
        let missing: Vec<u32> = self.workers.iter().filter(|it| it.is_missing(now_ms)).map(|it| it.id).collect();
        missing.into_iter().for_each(|worker| self.doom(now_ms, worker, out));
        let is_due = |app: &AppState| app.dismiss_at_ms.is_some_and(|at| at <= now_ms);
        let dismissed: Vec<usize> = (0..self.apps.len()).filter(|app| is_due(&self.apps[*app])).collect();
        dismissed.into_iter().for_each(|app| self.dismiss(now_ms, app, out));
        if self.refills() {
            let (due, later) = self.vacancies.drain(..).partition(|vacancy| vacancy.at_ms <= now_ms);
            self.vacancies = later;
            let mut due: Vec<Vacancy> = due;
            due.sort_by_key(|vacancy| vacancy.place);
            for vacancy in due {
                if self.first_boots(vacancy.place.app) {
                    self.vacancies.push(vacancy);
                } else {
                    self.spawn_worker(now_ms, vacancy.place, out);
                }
            }
        }
    }

    fn conclude(&self, out: &mut Vec<Command>) {
        if self.phase == Phase::Leaving && self.workers.is_empty() && !self.edge.is_there() {
            out.push(Command::Exit(self.exit_code));
        }
    }
}

/// 100 ms, doubled for each further failure, up to the limit.
fn back_off_ms(failures: u32) -> u64 {
    (100u64 << failures.saturating_sub(1).min(10)).min(BACK_OFF_MAX_MS)
}
