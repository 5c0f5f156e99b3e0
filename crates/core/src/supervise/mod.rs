//! In:     what happened to the children, signals to the master, the time.
//! Out:    commands: spawn, deal lanes, finish, dump, kill, exit.
//! Actors: none: the program's thin shell carries the commands out and reports what came of them.
//! Never:  is a decision about a process taken anywhere else.

mod apps;
mod children;
mod leave;
mod roll;
mod short_lives;
#[cfg(test)]
mod tests;
mod tidings;
mod watch;

use apps::AppState;
pub use children::Place;
use children::{Edge, EdgeLives, EdgePhase, Vacancy, Worker, WorkerPhase};
use roll::{Roll, boot_code};
pub use tidings::Tidings;
pub use watch::{Condition, EXCUSED_MS, Silence, WATCHDOG_MS_MAX, WATCHDOG_MS_MIN, Watch, beat_ms};

/// Between the order to show its stacks and the kill of an overdue worker.
const LAST_WORDS_MS: u64 = 300;
/// Longest pause before a child that fails again and again is started once more.
const BACK_OFF_MAX_MS: u64 = 10_000;
/// A second signal to stop counts as one only after this: `timeout`, shells and service managers
/// often send the same signal to the process and to its group.
const SECOND_STOP_MS: u64 = 500;
/// What an application gets to load; a worker that needs longer is taken to be stuck.
pub const BOOT_MS: u64 = 120_000;
/// What the edge gets to be ready: it reads the plan and opens the logs.
pub const EDGE_START_MS: u64 = 30_000;
/// For a killed edge to be gone, before another one takes over all the same.
const GONE_MS: u64 = 250;
/// For the edge to cut what is still in flight after the graceful timeout, and to write what is to be said of it.
const CUT_MS: u64 = 1_000;
/// What a worker gets to leave at least once the edge has drained, where that took all of its time.
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
    /// The edge, or a part of it, has been silent for longer than its watchdog allows; whether it can still show its stacks.
    EdgeHangs {
        /// Whether its main thread turns.
        speaks: bool,
    },
    /// The edge says that this worker said hello to it.
    Joined(u32),
    /// The edge says that this worker has answered for the first time.
    Served(u32),
    /// This worker begins nothing more, and ends, although nobody told it to.
    Left(u32),
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
    /// Have the edge answer at once for this app that nobody answers; until a worker of it says hello.
    AnswerFor(usize),
    /// Ask a child to finish what it has and to exit.
    Finish(Child),
    /// Have a worker write the stack of each of its threads to its log.
    DumpStacks(u32),
    /// Have the edge write the stacks of those of its threads to the log that are silent.
    DumpEdge,
    /// End a child at once.
    Kill(Child),
    /// Tell the operator.
    Tell(Tidings),
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
    /// Whether an app that cannot be started at first ends everything.
    pub gives_up: bool,
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
    gives_up: bool,
    phase: Phase,
    exit_code: i32,
    edge: Edge,
    edge_lives: EdgeLives,
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
            apps: settings.apps.into_iter().map(AppState::new).collect(),
            graceful_timeout_ms: settings.graceful_timeout_ms,
            gives_up: settings.gives_up,
            phase: Phase::Running,
            exit_code: 0,
            edge: Edge::absent(),
            edge_lives: EdgeLives::default(),
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
            Event::Ready(Child::Edge) => {
                self.edge.become_ready();
                self.edge_lives.note_ready(now_ms);
            }
            Event::Ready(Child::Worker(worker)) => self.worker_ready(now_ms, worker, &mut out),
            Event::Exited(Child::Edge, code) => self.edge_exited(now_ms, code, &mut out),
            Event::Exited(Child::Worker(worker), code) => self.worker_exited(now_ms, worker, code, &mut out),
            Event::Overdue(worker) => self.doom(now_ms, worker, &mut out),
            Event::Stuck(worker) => self.stuck(worker, &mut out),
            Event::EdgeHangs { speaks } => self.edge_hangs(now_ms, speaks, &mut out),
            Event::Joined(worker) => {
                let joined = self.workers.iter_mut().find(|it| it.id == worker);
                joined.into_iter().for_each(|worker| worker.join_by_ms = None);
            }
            Event::Spent(worker) => self.roll_one(worker),
            Event::Served(worker) => {
                self.workers.iter_mut().filter(|it| it.id == worker).for_each(|it| it.has_served = true);
            }
            Event::Left(worker) => self.left(now_ms, worker),
            Event::Roll => self.roll_apps(now_ms, |_| true, &mut out),
            Event::RollApp(app) => self.roll_apps(now_ms, |it| it == app, &mut out),
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
            .chain(self.edge.ready_by_ms)
            .chain(self.edge.gone_by_ms)
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

    /// While the edge drains, its requests still need workers.
    fn refills(&self) -> bool {
        self.phase != Phase::Leaving
    }

    /// The first worker loads its application alone: what the application does once (it creates
    /// its tables, it writes its byte code) is done before the others come, and what it complains
    /// of is shown once.
    fn first_boots(&self, app: usize) -> bool {
        let AppState { was_ready, is_down, .. } = self.apps[app];
        let boots = |it: &Worker| it.place.app == app && it.phase == WorkerPhase::Booting;
        (!was_ready || is_down) && self.workers.iter().any(boots)
    }

    /// Workers that were busy when the last edge died come to the new one when they are done; nobody
    /// else knows since when they are.
    fn spawn_edge(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        self.edge = Edge::starting(now_ms + EDGE_START_MS);
        out.push(Command::SpawnEdge);
        let down = (0..self.apps.len()).filter(|app| self.apps[*app].is_down && self.apps[*app].is_wanted);
        out.extend(down.map(Command::AnswerFor));
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
            (booted.phase, booted.kill_at_ms, booted.ready_at_ms) = (WorkerPhase::Ready, None, now_ms);
            let number = booted.place.app;
            let app = &mut self.apps[number];
            (app.was_ready, app.failures, app.is_asked_for) = (true, 0, false);
            if std::mem::replace(&mut app.is_down, false) {
                out.push(Command::Tell(Tidings::AppIsUp { app: number }));
            }
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
                worker.has_spoken = true;
                out.push(Command::DumpStacks(worker.id));
            }
            // Its place is another's already; it is only not waited for any longer.
            WorkerPhase::Retiring if worker.kill_at_ms.is_none_or(|at| at > kill_at_ms) => {
                worker.has_spoken = true;
                out.push(Command::DumpStacks(worker.id));
            }
            // One that is still loading has no request to show a stack of: its lanes are broken, most
            // likely because it is just ending by itself.
            WorkerPhase::Booting => worker.has_spoken = true,
            WorkerPhase::Doomed | WorkerPhase::Retiring => return,
        }
        (worker.kill_at_ms, worker.join_by_ms) = (Some(kill_at_ms), None);
    }

    fn worker_exited(&mut self, now_ms: u64, id: u32, code: Option<i32>, out: &mut Vec<Command>) {
        let Some(at) = self.workers.iter().position(|worker| worker.id == id) else {
            return;
        };
        let worker = self.workers.swap_remove(at);
        match worker.phase {
            WorkerPhase::Retiring => {}
            WorkerPhase::Booting => self.boot_failed(now_ms, &worker, code, out),
            WorkerPhase::Ready | WorkerPhase::Doomed => {
                if !self.roll_exited(&worker) {
                    self.fill_again(now_ms, &worker);
                }
            }
        }
    }

    /// The place of a worker that was ready is empty.
    fn fill_again(&mut self, now_ms: u64, worker: &Worker) {
        let app = &mut self.apps[worker.place.app];
        if app.is_wanted {
            let at_ms = now_ms + app.pause_ms(now_ms.saturating_sub(worker.ready_at_ms), worker.has_served);
            self.vacancies.push(Vacancy { place: worker.place, at_ms });
        }
    }

    /// The first replacement of a worker that died starts at once; only one that cannot even become ready waits,
    /// longer each time. While no worker of its app serves, the others of the app wait with it.
    fn boot_failed(&mut self, now_ms: u64, worker: &Worker, code: Option<i32>, out: &mut Vec<Command>) {
        let Worker { place, .. } = *worker;
        let is_filled = self.roll_failed(worker, code, out) || self.roll_exited(worker);
        if is_filled || !self.apps[place.app].is_wanted || self.phase == Phase::Leaving {
            return;
        }
        let app = &mut self.apps[place.app];
        if self.gives_up && !app.was_ready {
            if self.phase == Phase::Running {
                self.give_up(now_ms, boot_code(code), out);
            }
            return;
        }
        app.failures += 1;
        let at_ms = now_ms + back_off_ms(app.failures);
        if std::mem::replace(&mut app.is_asked_for, false) {
            out.push(Command::Tell(Tidings::NotReplaced { app: place.app, code: boot_code(code) }));
        }
        self.vacancies.push(Vacancy { place, at_ms });
        let serves = |it: &Worker| it.place.app == place.app && it.phase == WorkerPhase::Ready;
        if !self.workers.iter().any(serves) {
            self.apps[place.app].is_down = true;
            let own = self.vacancies.iter_mut().filter(|vacancy| vacancy.place.app == place.app);
            own.for_each(|vacancy| vacancy.at_ms = vacancy.at_ms.max(at_ms));
            out.push(Command::Tell(Tidings::AppIsDown { app: place.app, next_try_ms: at_ms }));
            if self.edge.is_there() {
                out.push(Command::AnswerFor(place.app));
            }
        }
    }

    fn edge_exited(&mut self, now_ms: u64, code: Option<i32>, out: &mut Vec<Command>) {
        let (was_ready, failures) = (self.edge.phase == EdgePhase::Ready, self.edge.failures);
        // One that hung is no reason to give up: what held it up may have passed.
        let was_doomed = self.edge.is_doomed;
        self.edge = Edge::absent();
        match self.phase {
            Phase::Running if was_ready => match self.edge_lives.pause_ms(now_ms) {
                0 => self.spawn_edge(now_ms, out),
                pause_ms => self.edge.respawn_at_ms = Some(now_ms + pause_ms),
            },
            Phase::Running if !was_doomed && failures == 0 && !self.edge_lives.has_served() => {
                self.give_up(now_ms, code.unwrap_or(1).max(1), out)
            }
            Phase::Running => {
                self.edge.failures = failures + 1;
                self.edge.respawn_at_ms = Some(now_ms + back_off_ms(failures + 1));
            }
            Phase::Draining | Phase::Leaving => self.let_workers_go(now_ms, out),
        }
    }

    /// Does what is due by time alone.
    fn keep_times(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        let due = |at: &mut Option<u64>| at.take_if(|at| *at <= now_ms).is_some();
        self.end_late(now_ms, out);
        if due(&mut self.edge.respawn_at_ms) && self.phase == Phase::Running {
            let failures = self.edge.failures;
            self.spawn_edge(now_ms, out);
            self.edge.failures = failures;
        }
        let missing: Vec<u32> = self.workers.iter().filter(|it| it.is_missing(now_ms)).map(|it| it.id).collect();
        for worker in missing {
            out.push(Command::Tell(Tidings::Missing(worker)));
            self.doom(now_ms, worker, out);
        }
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
