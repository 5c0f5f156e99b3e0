//! In:     the plan; signals, ended children, reports of the living.
//! Out:    commands of the supervisor carried out.
//! Actors: one loop that waits in `poll`.
//! Never:  does it decide about a process, or serve a request.

mod births;
mod control;
mod downs;
mod ends;
mod greeting;
mod logs;
mod news;
mod orders;
mod proposal;
mod reload;
mod service;
mod sources;
mod vigil;

use self::births::{Briefing, Program};
use self::control::Control;
use self::downs::Downs;
use self::logs::Logs;
use self::proposal::{Proposal, Verdict};
use crate::asked::Rolls;
use crate::certificates::{self, Stamp};
use crate::htpasswd;
use crate::inherited::Inherited;
use crate::instance::Instance;
use crate::listen::Listeners;
use crate::signals::{Meaning, Signals};
use crate::words::AllWords;
use hallway_core::control::{Order, Report, Step};
use hallway_core::plan::{App, Plan};
use hallway_core::supervise::{Child, Command, Event, Settings, Supervisor};
use hallway_edge::Voice;
use hallway_workers::{Relays, Spawned, carry, make_lanes, reap};
use news::say;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

/// The worker's half of hallway, built by `build.rs`.
const EXTENSION: &[u8] = include_bytes!(env!("EXTENSION_FILE"));
/// What a worker's interpreter runs first.
const BOOT: &str = include_str!("../../python/hallway/_boot.py");

/// For a child to say why it ends, once its channel has.
const LAST_WORDS_MS: u64 = 500;
/// An app that takes longer to load is told of.
const LOADING_MS: u64 = 2_000;
/// Between two looks at the memory of the workers.
const WEIGH_MS: u64 = 1_000;
/// The same while look after look finds one too large: no worker can stay below that limit.
const WEIGH_MAX_MS: u64 = 60_000;

/// Reports of one worker.
const REPORTS_MAX: u32 = 64;

/// The configuration file that is served.
pub(crate) struct Served<'a> {
    /// Where it is.
    pub(crate) file: &'a Path,
    /// Where its instance is reached.
    pub(crate) instance: Instance,
    /// Reads it anew; the error is what is wrong with it.
    pub(crate) reread: &'a dyn Fn() -> Result<Plan, String>,
    /// Whether it is read anew whenever it changes.
    pub(crate) watch: bool,
}

/// Runs the whole tree until it has ended; returns the exit code.
pub(crate) fn run(mut plan: Plan, served: Option<Served<'_>>, inherited: Inherited) -> Result<i32, String> {
    for (number, app) in plan.apps.iter_mut().enumerate() {
        app.number = number;
    }
    if rustix::process::geteuid().is_root() {
        let _ = hallway_workers::hide();
    }
    certificates::read_missing(&mut plan)?;
    let control = served.as_ref().map(|served| Control::listen(served.instance.clone())).transpose()?;
    let mut listeners = Listeners::of_process(inherited)?;
    listeners.bind(&mut plan)?;
    hallway_workers::set_title("hallway: master");
    // Sockets and keys are in this process. Only root can write its title behind this.
    let _ = hallway_workers::hide();
    let failed = |error: io::Error| format!("cannot start: {error}");
    let mut signals = Signals::listen().map_err(failed)?;
    let mut master = Master::new(plan, listeners, control)?;
    master.reloads |= served.as_ref().is_some_and(|served| served.watch);
    let settings = Settings {
        apps: master.plan.apps.iter().map(births::settings_of).collect(),
        graceful_timeout_ms: master.plan.graceful_timeout_ms(),
        gives_up: served.is_none() && !master.reloads,
    };
    let mut tree = Supervisor::new(settings);
    let mut events = vec![Event::Start];
    loop {
        for event in std::mem::take(&mut events) {
            if event == Event::Roll {
                master.service.reloading();
            }
            if let (Event::Roll, Some(served)) = (event, &served)
                && master.reread_and_roll(served).is_none()
            {
                continue;
            }
            let commands = master.take(&mut tree, event);
            if let Some(Command::Exit(code)) = commands.iter().find(|command| matches!(command, Command::Exit(_))) {
                Voice::of_process().finish();
                return Ok(*code);
            }
            events.extend(master.obey_all(commands));
        }
        if events.is_empty() {
            master.answer_reloads(&tree);
            master.end_reload(&tree);
            events = master.wait(&mut signals, tree.wake_at()).map_err(failed)?;
            events.extend(master.settle(&mut tree));
            master.renew_files();
            events.extend(master.changed_sources());
            if let Some(served) = &served {
                events.extend(master.serve_orders(served, &tree));
                events.extend(master.watch(served));
            }
        }
    }
}

/// A worker that runs, and its app.
struct Hired {
    /// As it was when the worker began.
    app: Rc<App>,
    spawned: Spawned,
    /// Why its interpreter could not be started.
    unstarted: Option<(Step, io::Error)>,
}

/// By which children are heard.
#[derive(Default)]
struct AllRelays {
    edge: Relays,
    /// By the numbers of the apps.
    workers: BTreeMap<usize, Relays>,
}

/// The shell around the supervisor.
struct Master {
    plan: Plan,
    /// Which plan it is, of all that there were.
    serial: u32,
    /// Former ones by which something may still go.
    former: BTreeSet<u32>,
    /// The last one by which the edge goes, and who waits until it goes by a later one.
    adopted: u32,
    awaiting: Vec<proposal::Awaiting>,
    /// The highest serial number that any plan ever had; the plan that the edge was asked to go by, and what it said.
    last_serial: u32,
    proposal: Option<Proposal>,
    verdicts: Vec<Verdict>,
    /// Who asked for a change while another one was under way.
    deferred: VecDeque<(UnixStream, Rolls)>,
    rolls_again: bool,
    reopens: bool,
    /// What is wrong with apps whose workers were to be replaced, and the exit code for it; who waits for the end of everything.
    roll_failures: BTreeMap<usize, (String, i32)>,
    stopping: Vec<UnixStream>,
    /// As the edge gets it.
    described: Vec<u8>,
    /// The names of all apps that there ever were, by their numbers.
    numbers: Vec<String>,
    program: Program,
    extension: OwnedFd,
    listeners: Listeners,
    edge: Option<Spawned>,
    briefing: Briefing,
    vigil: Option<vigil::Vigil>,
    service: service::Service,
    workers: BTreeMap<u32, Hired>,
    relays: AllRelays,
    /// What workers say, also those that have ended while something they started has not.
    words: AllWords,
    /// Workers that have loaded the app.
    ready: BTreeSet<u32>,
    /// Apps of which a worker ever was ready.
    loaded: BTreeSet<usize>,
    /// Apps that cannot be started, and why.
    downs: Downs,
    edge_was_ready: bool,
    /// Whether the edge that is there has become ready, and whether the last one ended before it was.
    edge_is_ready: bool,
    edge_failed: bool,
    /// The files of the access logs.
    logs: Logs,
    /// Children that are ended by force: their ends are no news.
    expected: BTreeSet<Child>,
    started: Instant,
    announced: bool,
    said_loading: bool,
    /// Whether a signal asked for the roll that is under way.
    rolls_all: bool,
    /// The way for those who ask something of this instance.
    control: Option<Control>,
    /// When the memory of the workers is looked at next; never without `max_rss`.
    weigh_at_ms: Option<u64>,
    weigh_pause_ms: u64,
    /// The states of the certificates of the plan, and of its files of passwords, and when they are looked at next.
    stamps: Vec<Stamp>,
    passwords: htpasswd::Watched,
    look_at_ms: Option<u64>,
    /// The state of the file that is watched, and when it is looked at next.
    watched: Option<Stamp>,
    watch_at_ms: Option<u64>,
    /// Whether files of apps are looked at, those files, and when they are looked at next.
    reloads: bool,
    sources: Vec<sources::Sources>,
    sources_at_ms: Option<u64>,
    /// What workers that are too large weighed.
    overgrown_mib: BTreeMap<u32, u64>,
}

impl Master {
    fn new(plan: Plan, listeners: Listeners, control: Option<Control>) -> Result<Master, String> {
        let failed = |error: io::Error| format!("cannot start: {error}");
        let mut master = Master {
            extension: carry("hallway extension", EXTENSION).map_err(failed)?,
            described: serde_json::to_vec(&plan).map_err(|error| error.to_string())?,
            numbers: plan.apps.iter().map(|app| app.name.clone()).collect(),
            serial: 1,
            last_serial: 1,
            proposal: None,
            verdicts: Vec::new(),
            deferred: VecDeque::new(),
            rolls_again: false,
            reopens: false,
            edge_is_ready: false,
            edge_failed: false,
            logs: Logs::default().of(&plan)?,
            former: BTreeSet::new(),
            adopted: 0,
            awaiting: Vec::new(),
            roll_failures: BTreeMap::new(),
            stopping: Vec::new(),
            program: Program::of_process()?,
            control,
            listeners,
            edge: None,
            briefing: Briefing::Done,
            vigil: None,
            service: service::Service::of_process(),
            workers: BTreeMap::new(),
            relays: AllRelays::default(),
            words: AllWords::default(),
            ready: BTreeSet::new(),
            loaded: BTreeSet::new(),
            downs: Downs::default(),
            edge_was_ready: false,
            expected: BTreeSet::new(),
            started: Instant::now(),
            announced: false,
            said_loading: false,
            rolls_all: false,
            stamps: Vec::new(),
            passwords: htpasswd::Watched::default(),
            look_at_ms: None,
            watched: None,
            watch_at_ms: None,
            reloads: plan.reloads,
            sources: Vec::new(),
            sources_at_ms: None,
            overgrown_mib: BTreeMap::new(),
            weigh_pause_ms: WEIGH_MS,
            weigh_at_ms: None,
            plan,
        };
        master.weigh_soon();
        master.note_certificates();
        crate::users::surprises(&master.plan).iter().for_each(|line| say(line));
        Ok(master)
    }

    /// Lets the supervisor decide what follows from an event, and tells the operator.
    fn take(&mut self, tree: &mut Supervisor, event: Event) -> Vec<Command> {
        self.narrate(tree, event);
        let was_rolling = tree.is_rolling();
        let commands = tree.step(self.now_ms(), event);
        if was_rolling && !tree.is_rolling() && !tree.is_stopping() {
            self.narrate_roll(event);
        }
        commands
    }

    /// Carries out commands; what follows from those that fail at once.
    fn obey_all(&mut self, commands: Vec<Command>) -> Vec<Event> {
        commands.into_iter().filter_map(|command| self.obey(command)).collect()
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Carries out one command. What fails at once is news like any other.
    fn obey(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::SpawnEdge => return self.start_edge(),
            Command::SpawnWorker { worker, place } => return self.start_worker(worker, place),
            Command::DealLanes(worker) => self.deal_lanes(worker),
            Command::AnswerFor(app) => {
                self.edge.iter().for_each(|edge| tell(edge, Order::AnswerFor { app: app as u32 }, &[]));
            }
            Command::Tell(tidings) => self.tell_tidings(tidings),
            Command::Finish(Child::Edge) => self.finish_edge(),
            Command::Finish(child) => {
                if let Some(spawned) = self.spawned(child) {
                    tell(spawned, Order::Finish, &[]);
                }
            }
            // The boot script has Python answer this signal with the stacks of all threads.
            Command::DumpStacks(worker) => self.signal(Child::Worker(worker), Signal::QUIT),
            Command::DumpEdge => self.signal(Child::Edge, Signal::QUIT),
            Command::Kill(child) => {
                self.expected.insert(child);
                self.signal(child, Signal::KILL);
            }
            Command::Exit(_) => {}
        }
        None
    }

    /// New lanes for one worker; a side that is gone finds out by itself.
    fn deal_lanes(&self, worker: u32) {
        let (Some(edge), Some(Hired { app, spawned, .. })) = (&self.edge, self.workers.get(&worker)) else { return };
        let slots = app.threads;
        let order = Order::Lanes { worker, pid: spawned.pid, slots, app: app.number as u32 };
        match make_lanes(slots, self.plan.edge_threads) {
            Ok(lanes) => {
                // The edge first, and its end closed here before the worker has the other one: what a worker sends is
                // closed by whoever has that end last, and may be waited for.
                for (child, socket) in [(edge, lanes.edge), (spawned, lanes.worker)] {
                    let descriptors: Vec<BorrowedFd<'_>> =
                        std::iter::once(&socket).chain(&lanes.shared).map(AsFd::as_fd).collect();
                    tell(child, order, &descriptors);
                }
            }
            Err(error) => {
                say(&format!("no lanes for worker {}: {error}; it is replaced", spawned.pid));
                spawned.signal(Signal::KILL);
            }
        }
    }

    fn children(&self) -> impl Iterator<Item = (Child, &Spawned)> {
        let workers = self.workers.iter().map(|(worker, hired)| (Child::Worker(*worker), &hired.spawned));
        self.edge.iter().map(|edge| (Child::Edge, edge)).chain(workers)
    }

    fn spawned(&self, child: Child) -> Option<&Spawned> {
        match child {
            Child::Edge => self.edge.as_ref(),
            Child::Worker(worker) => self.workers.get(&worker).map(|hired| &hired.spawned),
        }
    }

    fn signal(&self, child: Child, signal: Signal) {
        if let Some(spawned) = self.spawned(child) {
            spawned.signal(signal);
        }
    }

    /// Waits for news until `wake_at`, and takes all there is.
    fn wait(&mut self, signals: &mut Signals, wake_at: Option<u64>) -> io::Result<Vec<Event>> {
        let kills = self.children().filter_map(|(_, spawned)| spawned.kill_at_ms);
        let loading = (!self.announced && !self.said_loading && !self.plan.apps.is_empty()).then_some(LOADING_MS);
        let silent = self.control.as_ref().and_then(Control::wake_at);
        let times = [wake_at, self.weigh_at_ms, self.look_at_ms, self.watch_at_ms, self.sources_at_ms, silent, loading];
        let look = self.vigil.as_ref().and_then(vigil::Vigil::wake_at);
        let output = self.words.wake_at();
        let times = times.into_iter().chain([self.answer_by_ms(), look, output, self.service.wake_at(self.now_ms())]);
        let wake_at = times.flatten().chain(kills).min();
        let timeout = wake_at.map(|at| {
            let left_ms = at.saturating_sub(self.now_ms());
            Timespec { tv_sec: (left_ms / 1000) as i64, tv_nsec: (left_ms % 1000) as i64 * 1_000_000 }
        });
        let children: Vec<(Child, &Spawned)> = self.children().filter(|(_, spawned)| !spawned.is_deaf).collect();
        let mut sources: Vec<PollFd<'_>> =
            signals.sources().map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)).collect();
        let first_child = sources.len();
        sources.extend(children.iter().map(|(_, spawned)| PollFd::new(&spawned.channel, PollFlags::IN)));
        let first_words = sources.len();
        let speaking = self.words.sources(self.now_ms());
        sources.extend(speaking.map(|words| PollFd::from_borrowed_fd(words, PollFlags::IN)));
        let askers = self.control.iter().flat_map(Control::sources);
        sources.extend(askers.map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)));
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let (mut events, mut gone, mut told, mut verdicts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let spoken = sources[first_child..first_words]
            .iter()
            .zip(&children)
            .filter(|(source, _)| source.revents().intersects(PollFlags::IN | PollFlags::HUP));
        for (_, (child, spawned)) in spoken {
            match spawned.channel.receive() {
                // No honest one has so much to say: it would have the master listen to nobody else.
                Ok(Some(_)) if *child != Child::Edge && spawned.channel.heard() > REPORTS_MAX => gone.push(*child),
                Ok(Some(message)) => {
                    let report = Report::decode(&message.bytes);
                    let verdict = report.and_then(|report| Verdict::of(report, &message.bytes));
                    verdicts.extend(verdict.filter(|_| *child == Child::Edge));
                    told.extend(report.map(|report| (*child, report)));
                }
                // Only the beginning of a report.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(None) | Err(_) => gone.push(*child),
            }
        }
        drop(sources);
        drop(children);
        self.verdicts.extend(verdicts);
        told.into_iter().for_each(|(child, report)| events.extend(self.hear(child, report)));
        events.extend(self.look_at_edge());
        let now_ms = self.now_ms();
        let is_hired = |pid| self.workers.values().any(|hired| hired.spawned.pid == pid);
        self.words.tell(now_ms, is_hired);
        self.part_with(&gone);
        for meaning in signals.heard() {
            match meaning {
                Meaning::ChildEnded => {}
                Meaning::Event(event) => events.push(event),
                Meaning::Upgrade => say("USR2 (upgrade) is not built yet; HUP replaces every worker"),
                Meaning::ReopenLogs => self.reopen_logs(),
            }
        }
        self.keep_times();
        events.extend(self.overgrown().into_iter().map(Event::Spent));
        while let Some(ended) = reap() {
            events.extend(self.bury(ended));
        }
        if events.is_empty() {
            events.push(Event::Tick);
        }
        Ok(events)
    }

    /// Does what is due by time alone.
    fn keep_times(&mut self) {
        let now_ms = self.now_ms();
        self.service.keep(now_ms);
        let workers = self.workers.values_mut().map(|hired| &mut hired.spawned);
        for spawned in self.edge.iter_mut().chain(workers) {
            if spawned.kill_at_ms.take_if(|at| *at <= now_ms).is_some() {
                spawned.signal(Signal::KILL);
            }
        }
        if !self.announced && !self.said_loading && now_ms >= LOADING_MS && !self.plan.apps.is_empty() {
            self.said_loading = true;
            self.tell_loading();
        }
    }
}

/// Gives an order. A child that has not read the last hundred of them is stuck, and must not stop
/// the master with it.
fn tell(spawned: &Spawned, order: Order, descriptors: &[BorrowedFd<'_>]) {
    let sent = spawned.channel.send(&order.encode(), descriptors);
    if sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
        spawned.signal(Signal::KILL);
    }
}
