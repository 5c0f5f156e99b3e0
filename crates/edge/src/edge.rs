//! In:     what the program gives the edge: plan, sockets, the way to the master; later, lanes and other plans.
//! Out:    event loops that go by the plan; orders of the master passed on to them.
//! Actors: the program's own thread.
//! Never:  does a plan that cannot be used change anything.

use crate::files::FilePools;
use crate::lane::{AppDesk, Lane, close_apart};
use crate::limits::{Limiter, Pacer};
use crate::listen::{Bound, Socket};
use crate::log::{self, Batches, Sink};
use crate::passwords;
use crate::posts::{Post, Posts};
use crate::rules::{Parsed, Parts, Rules};
use crate::spool_room::Spool;
use crate::thread_pool::ThreadPool;
use crate::threads::{Shared, end_on_panic, open_max, raise_descriptor_limit, run_loop};
use crate::upstream::{self, Discoverer, PoolDesk, Watched};
use crate::voice::Voice;
use hallway_core::plan::{AccessLog, Plan, Pool, Target, Zone};
use hallway_core::ports::Master;
use hallway_core::record::Style;
use hallway_ring::Beats;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;

/// Where fewer connections than this are possible the operator is told.
const FEW_CONNECTIONS: usize = 256;
/// Threads that wait for name servers on behalf of the forward proxy.
const NAME_THREADS_MAX: usize = 16;
/// For an answer to be taken by who asked how everything is.
const ASKER_TIME: Duration = Duration::from_millis(2_000);
/// And how many are told at a time.
const ASKERS_MAX: usize = 8;

/// Everything an edge begins with.
pub struct Ground {
    /// The plan.
    pub plan: Plan,
    /// Its serial number.
    pub serial: u32,
    /// The sockets of each event loop; those that are shared stand with the first.
    pub sockets: Vec<Vec<Bound>>,
    /// The files of its access logs (`Plan::log_files`).
    pub logs: Vec<File>,
    /// The way to the master.
    pub master: Arc<dyn Master>,
    /// Where the event loops show that they turn.
    pub beats: Arc<Beats>,
    /// Gives free memory of this thread back to the system; all of it, or what is not likely to be wanted again.
    pub give_back: fn(bool),
}

/// A running edge.
pub struct Edge {
    posts: Posts,
    keeper: Keeper,
    /// Who is being told how everything is.
    askers: Arc<AtomicUsize>,
}

/// What outlives a plan.
struct Keeper {
    posts: Posts,
    master: Arc<dyn Master>,
    beginning: Instant,
    file_pools: Arc<FilePools>,
    spool: Arc<Spool>,
    /// By the numbers of their apps.
    desks: HashMap<usize, Arc<AppDesk>>,
    /// By their names.
    pools: HashMap<String, Arc<PoolDesk>>,
    /// Those of the plan, in its order.
    pooled: Vec<(Arc<Pool>, Arc<PoolDesk>)>,
    discoverer: Discoverer,
    /// What is counted, by the names of the zones.
    limiters: HashMap<String, Arc<Limiter>>,
    /// The writers of access logs, by their files; nothing for standard output.
    writers: Arc<Mutex<HashMap<Option<PathBuf>, Batches>>>,
    /// The files among them, in the order in which the master hands them over.
    log_files: Vec<PathBuf>,
}

impl Edge {
    /// Starts the event loops. The master is told once all of them serve.
    ///
    /// # Errors
    /// Those of the system: threads, descriptors, the log file.
    pub fn start(ground: Ground) -> io::Result<Edge> {
        end_on_panic();
        raise_descriptor_limit();
        let most = open_max(1);
        if most < FEW_CONNECTIONS {
            let text = format!("there are descriptors for {most} connections only; raise the limit (ulimit -n)");
            Voice::of_process().say(&text);
        }
        let (senders, receivers): (Vec<_>, Vec<_>) = ground.sockets.iter().map(|_| unbounded_channel()).unzip();
        let posts = Posts::new(senders);
        let mut keeper = Keeper {
            posts: posts.clone(),
            master: ground.master,
            beginning: Instant::now(),
            file_pools: FilePools::new(receivers.len()),
            spool: Spool::new(receivers.len(), ground.plan.spool_bytes_max),
            desks: HashMap::new(),
            pools: HashMap::new(),
            pooled: Vec::new(),
            discoverer: Discoverer::default(),
            limiters: HashMap::new(),
            writers: Arc::default(),
            log_files: Vec::new(),
        };
        let writers = keeper.writers.clone();
        let shared = Shared {
            rules: Arc::new(keeper.rules(ground.plan, ground.serial, ground.logs)?),
            master: keeper.master.clone(),
            posts: posts.clone(),
            beats: ground.beats,
            beginning: keeper.beginning,
            crowd: Arc::default(),
            give_back: ground.give_back,
            file_pools: keeper.file_pools.clone(),
            spool: keeper.spool.clone(),
            name_threads: ThreadPool::new("names of servers".into(), 1, NAME_THREADS_MAX),
            starting: Arc::new(AtomicUsize::new(receivers.len())),
            serving: Arc::new(AtomicUsize::new(receivers.len())),
            cut: Arc::default(),
            flush_logs: Arc::new(move || locked(&writers).values().for_each(log::flush)),
        };
        for (thread, (sockets, inbox)) in ground.sockets.into_iter().zip(receivers).enumerate() {
            let shared = shared.clone();
            let run = move || run_loop(thread as u16, shared, sockets, inbox);
            std::thread::Builder::new().name(format!("edge {thread}")).spawn(run)?;
        }
        Ok(Edge { posts, keeper, askers: Arc::default() })
    }

    /// Goes by another plan from now on, with these further sockets for each event loop and the files of its access logs.
    /// Requests that have begun end by the plan they began with.
    ///
    /// # Errors
    /// What of the plan cannot be used, or the system's; then nothing has changed.
    pub fn adopt(&mut self, plan: Plan, serial: u32, sockets: Vec<Vec<Bound>>, logs: Vec<File>) -> io::Result<()> {
        let spool_bytes_max = plan.spool_bytes_max;
        let rules = Arc::new(self.keeper.rules(plan, serial, logs)?);
        self.keeper.spool.resize(spool_bytes_max);
        self.posts.to_all(sockets.into_iter().map(|sockets| Post::Rules(rules.clone(), sockets)));
        Ok(())
    }

    /// Gives the edge its end of the lanes to a worker, known by number, process and how many requests it
    /// works on at a time, of an app: the socket, the memory of the rings, and a bell for each loop.
    ///
    /// # Errors
    /// Those of mapping the rings.
    pub fn deal_lanes(
        &self,
        worker: (u32, u32, u32),
        app: u32,
        (socket, memory): (OwnedFd, &OwnedFd),
        bells: Vec<OwnedFd>,
    ) -> io::Result<()> {
        let desk = self.keeper.desks.get(&(app as usize)).cloned();
        let Some(desk) = desk else {
            close_apart(socket);
            return Err(io::Error::other("there is no such app"));
        };
        let lane = Arc::new(Lane::new(worker, desk, bells.len(), (socket, memory))?);
        self.posts.to_all(bells.into_iter().map(|bell| Post::Lane { lane: lane.clone(), bell }));
        Ok(())
    }

    /// No worker of this app could be started.
    pub fn answer_for(&self, app: u32) {
        self.keeper.desks.get(&(app as usize)).into_iter().for_each(|desk| desk.answer_for());
    }

    /// Has the access logs go on in these files (`Plan::log_files`), behind the lines that are on their way.
    pub fn reopen_logs(&self, logs: Vec<File>) {
        let writers = locked(&self.keeper.writers);
        for (path, file) in self.keeper.log_files.iter().zip(logs) {
            if let Some(batches) = writers.get(&Some(path.clone())) {
                let _ = batches.try_send(log::Batch::Reopen(file));
            }
        }
    }

    /// How many files the access logs of the plan have.
    pub fn log_files(&self) -> usize {
        self.keeper.log_files.len()
    }

    /// Tells this socket how the servers of the pools are, as JSON.
    pub fn tell_status(&self, asker: OwnedFd) {
        // Who asks and does not read holds nobody up but those who ask, too.
        if self.askers.fetch_add(1, Ordering::AcqRel) >= ASKERS_MAX {
            self.askers.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let pools: Vec<Value> = self.keeper.pooled.iter().map(|(pool, desk)| upstream::status(pool, desk)).collect();
        let (askers, text) =
            (self.askers.clone(), json!({ "pools": pools, "spool": self.keeper.spool.status() }).to_string());
        let telling = std::thread::Builder::new().name("status".into()).spawn(move || {
            tell(UnixStream::from(asker), text.as_bytes());
            askers.fetch_sub(1, Ordering::AcqRel);
        });
        if telling.is_err() {
            self.askers.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// The master saw this worker end. Its lanes may seem alive: a process that it forked holds them.
    pub fn forget(&self, worker: u32) {
        self.posts.gone(worker);
    }

    /// Takes no further connection or request, finishes those that are there, then tells the master.
    pub fn finish(&self) {
        self.posts.to_all(std::iter::repeat_with(|| Post::Finish));
    }
}

impl Keeper {
    /// The rules of a plan. Apps and logs that there were before are the same in them. What may fail comes first: a plan
    /// that is refused leaves everything as it was.
    fn rules(&mut self, plan: Plan, serial: u32, logs: Vec<File>) -> io::Result<Rules> {
        let parsed = Parsed::of(&plan)?;
        passwords::start_for(&plan)?;
        self.discoverer.start_for(&plan.pools)?;
        let sinks = self.sinks(&plan, logs)?;
        self.desks.retain(|number, _| plan.apps.iter().any(|app| app.number == *number));
        let mut desks = Vec::new();
        for app in &plan.apps {
            let pools = &self.file_pools;
            let new = || AppDesk::new(app, pools, self.posts.clone(), self.master.clone(), self.beginning);
            let new = || new().map(Arc::new);
            let desk = self.desks.get(&app.number).cloned().map_or_else(new, Ok)?;
            desk.renew(app);
            self.desks.insert(app.number, desk.clone());
            desks.push(desk);
        }
        self.start_threads(&plan);
        let pools = self.pools(&plan, serial);
        let limiters = plan.zones.iter().map(|zone| self.limiter(zone)).collect();
        self.limiters.retain(|name, _| plan.zones.iter().any(|zone| zone.name == *name));
        let pacers = self.pacers(&plan);
        let master = self.master.clone();
        Ok(Rules::new(plan, serial, parsed, Parts { limiters, pacers, desks, sinks, pools, master }))
    }

    /// Has the threads for the files of a plan started, so that nobody has to start them when there may be none left.
    fn start_threads(&self, plan: &Plan) {
        for route in plan.sites.iter().flat_map(|site| &site.routes) {
            if let Target::Files(files) = &route.target {
                // Where it is is looked for now, by one of them.
                self.file_pools.root(&files.directory).local_mount();
            }
        }
        for script in plan.pools.iter().map(|pool| &pool.script).filter(|script| !script.root.is_empty()) {
            self.file_pools.root(Path::new(&script.root)).local_mount();
        }
    }

    /// Pools that there were before keep what is known of their servers.
    fn pools(&mut self, plan: &Plan, serial: u32) -> Vec<Arc<PoolDesk>> {
        self.pools.retain(|name, _| plan.pools.iter().any(|pool| pool.name == *name));
        let (mut desks, mut watched) = (Vec::new(), Vec::new());
        let pools: Arc<[Arc<Pool>]> = plan.pools.iter().cloned().collect();
        for pool in &plan.pools {
            let desk = self.pools.entry(pool.name.clone()).or_insert_with(|| Arc::new(PoolDesk::new(self.beginning)));
            let one = Watched { desk: desk.clone(), pool: pool.clone(), pools: pools.clone(), serial };
            one.renew(&self.discoverer.book);
            watched.push(one);
            desks.push(desk.clone());
        }
        self.discoverer.watch(watched, &plan.resolvers);
        self.pooled = plan.pools.iter().cloned().zip(desks.iter().cloned()).collect();
        desks
    }

    /// What a zone has counted so far counts on, as long as it is the same.
    fn limiter(&mut self, zone: &Zone) -> Arc<Limiter> {
        if let Some(known) = self.limiters.get(&zone.name).filter(|known| known.zone() == zone) {
            return known.clone();
        }
        let limiter = Arc::new(Limiter::new(zone.clone(), self.beginning));
        self.limiters.insert(zone.name.clone(), limiter.clone());
        limiter
    }

    fn pacers(&mut self, plan: &Plan) -> HashMap<String, Arc<Pacer>> {
        let routes = plan.sites.iter().flat_map(|site| &site.routes).map(|route| &route.bandwidth);
        let shared = routes.filter(|bandwidth| bandwidth.client_bytes_s > 0);
        let beginning = self.beginning;
        shared.map(|it| (it.name.clone(), Arc::new(Pacer::new(it, beginning)))).collect()
    }

    /// Where the lines of each log go. A file that was written before is written on by the same thread.
    fn sinks(&mut self, plan: &Plan, files: Vec<File>) -> io::Result<Vec<Arc<Sink>>> {
        let styles: Vec<Style> = plan.logs.iter().map(style_of).collect::<io::Result<_>>()?;
        let paths: Vec<PathBuf> = plan.log_files().into_iter().map(Path::to_owned).collect();
        if paths.len() != files.len() {
            return Err(io::Error::other("files of access logs have not come; no descriptor is left (ulimit -n)"));
        }
        let mut given: HashMap<Option<PathBuf>, File> = paths.iter().cloned().map(Some).zip(files).collect();
        let before = locked(&self.writers).clone();
        let mut writers = HashMap::new();
        for AccessLog { path, .. } in &plan.logs {
            let batches = match before.get(path).or(writers.get(path)) {
                Some(batches) => batches.clone(),
                None => log::start(path.clone(), given.remove(path))?,
            };
            writers.insert(path.clone(), batches);
        }
        let sink = |(log, style): (&AccessLog, Style)| {
            let batches = writers.get(&log.path).cloned();
            batches.map(|batches| Arc::new(Sink { batches, style }))
        };
        let sinks = plan.logs.iter().zip(styles).filter_map(sink).collect();
        *locked(&self.writers) = writers;
        self.log_files = paths;
        Ok(sinks)
    }
}

fn style_of(log: &AccessLog) -> io::Result<Style> {
    Style::of(&log.format).map_err(|fault| io::Error::other(fault.to_string()))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic ends the process (see `threads`), so a poisoned lock is never seen.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes as much as is taken in time.
fn tell(mut asker: UnixStream, mut text: &[u8]) {
    let until = Instant::now() + ASKER_TIME;
    let _ = asker.set_nonblocking(false);
    while !text.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || asker.set_write_timeout(Some(left)).is_err() {
            return;
        }
        match asker.write(text) {
            Ok(bytes) if bytes > 0 => text = &text[bytes..],
            _ => return,
        }
    }
}

impl Bound {
    /// Gives each event loop its sockets of an address; one that is shared goes to the first.
    pub fn deal(sockets: Vec<OwnedFd>, at: &hallway_core::plan::Listen, loops: &mut [Vec<Bound>]) -> io::Result<()> {
        use hallway_core::plan::Listen;
        use rustix::net::{AddressFamily, getsockname};
        for (socket, own) in sockets.into_iter().zip(loops) {
            let socket = match at {
                Listen::Tcp(_) => Socket::Tcp(socket),
                Listen::Unix(_) => Socket::UnixShared(socket),
                Listen::Inherited(_) if getsockname(&socket)?.address_family() == AddressFamily::UNIX => {
                    Socket::UnixShared(socket)
                }
                Listen::Inherited(_) => Socket::TcpShared(socket),
            };
            own.push(Bound { at: at.clone(), socket });
        }
        Ok(())
    }
}
