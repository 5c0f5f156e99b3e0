//! In:     rules, sockets; later, posts of the edge's face and of other loops.
//! Out:    an event loop that serves; when told to finish, its end.
//! Actors: one thread for each event loop, on a LocalRuntime.
//! Never:  does a panic leave a loop half alive: it ends the process, and the master starts another.

use crate::clock::Clock;
use crate::deadline::{Deadlines, SWEEP, Wait};
use crate::files::{FilePools, Shelf};
use crate::house::{House, Spares};
use crate::ids::RequestIds;
use crate::lane::{self, Calls, Lane, Outbounds, outbound};
use crate::limits::Crowd;
use crate::listen::{Bound, Door};
use crate::log::Log;
use crate::packer::Packers;
use crate::posts::{Post, Posts};
use crate::pulse::{self, Pulse};
use crate::rules::{LoopRules, Rules};
use crate::spool_room::Spool;
use crate::thread_pool::ThreadPool;
use crate::upstream::{Upstreams, look_after};
use crate::voice::Voice;
use crate::watched;
use hallway_core::ports::Master;
use hallway_ring::Beats;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

/// Descriptors that are never given to clients.
const RESERVED_DESCRIPTORS: u64 = 100;
/// For how long a loop has had nothing to do when it gives all memory back, and how often one that is busy gives back
/// what it does not need any more.
const IDLE: Duration = Duration::from_secs(1);
const BETWEEN_GIVING_MS: u64 = 10_000;
/// For the accepting tasks to empty their queues when the door closes.
const CLOSING: Duration = Duration::from_millis(2);
/// For a head that has begun to arrive before the door closed, beyond that.
const HEAD_GRACE: Duration = Duration::from_millis(1500);
/// For the first request of a connection to arrive after the door has closed.
const FRESH_GRACE: Duration = Duration::from_millis(500);

/// What all event loops begin with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) rules: Arc<Rules>,
    pub(crate) master: Arc<dyn Master>,
    pub(crate) posts: Posts,
    pub(crate) beginning: Instant,
    pub(crate) beats: Arc<Beats>,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) give_back: fn(bool),
    pub(crate) file_pools: Arc<FilePools>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) name_threads: ThreadPool,
    pub(crate) starting: Arc<AtomicUsize>,
    pub(crate) serving: Arc<AtomicUsize>,
    /// Requests that the end of all has cut.
    pub(crate) cut: Arc<AtomicUsize>,
    /// Told when the last loop has ended, for the last lines of the logs.
    pub(crate) flush_logs: Arc<dyn Fn() + Send + Sync>,
}

/// Serves on this thread until it is told to finish.
pub(crate) fn run_loop(thread: u16, shared: Shared, sockets: Vec<Bound>, inbox: UnboundedReceiver<Post>) {
    let (master, flush_logs) = (shared.master.clone(), shared.flush_logs.clone());
    let (serving, cut) = (shared.serving.clone(), shared.cut.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .event_interval(256)
        .on_thread_park(outbound::before_sleep)
        .on_thread_unpark(outbound::after_sleep)
        .build_local(tokio::runtime::LocalOptions::default());
    // The runtime ends here, and with it the tasks of whatever is still open.
    let served = runtime.and_then(|runtime| runtime.block_on(serve(thread, shared, sockets, inbox)));
    match served {
        Ok(house) => {
            house.log.send();
            cut.fetch_add(house.cut.get(), Ordering::AcqRel);
        }
        Err(error) => {
            Voice::of_process().say(&format!("an event loop could not start: {error}"));
            Voice::of_process().finish();
            std::process::exit(1);
        }
    }
    if serving.fetch_sub(1, Ordering::AcqRel) == 1 {
        flush_logs();
        match cut.load(Ordering::Acquire) {
            0 => {}
            1 => Voice::of_process().say("1 request that was not answered within the graceful timeout is cut"),
            many => Voice::of_process()
                .say(&format!("{many} requests that were not answered within the graceful timeout are cut")),
        }
        Voice::of_process().finish();
        master.edge_has_drained();
    }
}

async fn serve(
    thread: u16,
    shared: Shared,
    sockets: Vec<Bound>,
    mut inbox: UnboundedReceiver<Post>,
) -> io::Result<Rc<House>> {
    let (loops, house) = (shared.rules.plan.edge_threads, open_house(thread, &shared)?);
    let give_back = shared.give_back;
    outbound::serve_hooks(Some(house.clone()));
    let door = Door::new(house.clone(), shared.posts, open_max(loops));
    door.adopt(shared.rules, sockets);
    tokio::task::spawn_local(sweep(door.clone(), give_back));
    tokio::task::spawn_local(pulse::keep(house.clone()));
    if thread == 0 {
        look_after(&house);
    }
    if shared.starting.fetch_sub(1, Ordering::AcqRel) == 1 {
        house.master.edge_is_ready();
    }
    let mut finishing = false;
    while !finishing || door.open.get() > 0 {
        match inbox.recv().await {
            Some(Post::Lane { lane, bell }) => {
                if thread == 0 {
                    tokio::task::spawn_local(watch(house.clone(), lane.clone()));
                }
                house.outbounds.add(thread, lane, bell)?;
            }
            Some(Post::LaneLost(worker)) => house.calls.lose(worker),
            Some(Post::Gone(worker)) => outbound::end(&house, worker),
            Some(Post::Refused(ticket, fault)) => house.calls.refuse(ticket, fault),
            Some(Post::File(ticket, file)) => lane::end_with_file(&house, ticket, file),
            Some(Post::Connection(at, accepted)) => door.let_in_accepted(&at, accepted),
            Some(Post::Rules(rules, sockets)) if !finishing => {
                door.adopt(rules, sockets);
                if thread == 0 {
                    look_after(&house);
                }
            }
            Some(Post::Finish) if !finishing => {
                finishing = true;
                close(&door, thread).await;
            }
            Some(Post::Cut) => {
                // Each request that ends with its task has its line in the log.
                house.cutting.set(true);
                break;
            }
            Some(Post::Finish | Post::Emptied | Post::Rules(..)) => {}
            None => break,
        }
    }
    house.log.send();
    outbound::serve_hooks(None);
    house.pulse.end();
    Ok(house)
}

/// What the requests of one event loop share.
fn open_house(thread: u16, shared: &Shared) -> io::Result<Rc<House>> {
    let answer_bytes = Rc::<Cell<usize>>::default();
    let ids = RequestIds::new()?;
    Ok(Rc::new(House {
        rules: RefCell::new(Rc::new(LoopRules(shared.rules.clone()))),
        master: shared.master.clone(),
        clock: Clock::new(shared.beginning),
        pulse: Pulse::begin(shared.beats.clone(), thread),
        deadlines: Rc::new(Deadlines::default()),
        calls: Rc::new(Calls::new(thread, shared.spool.clone(), answer_bytes.clone())),
        answer_bytes,
        copies: Cell::new(0),
        upstreams: Upstreams::new(ids.chance()),
        outbounds: Outbounds::new()?,
        shelf: Shelf::default(),
        file_pools: shared.file_pools.clone(),
        spool: shared.spool.clone(),
        name_threads: shared.name_threads.clone(),
        posts: shared.posts.clone(),
        ids,
        log: Log::default(),
        draining: Cell::new(false),
        cutting: Cell::new(false),
        cut: Cell::new(0),
        spares: Spares::default(),
        crowd: shared.crowd.clone(),
        packers: Packers::default(),
        work: Notify::new(),
    }))
}

/// Waits for the end of a worker, which its socket tells.
async fn watch(house: Rc<House>, lane: Arc<Lane>) {
    if let Ok(socket) = lane.as_fd().try_clone_to_owned().and_then(watched::watch) {
        // Files of answers come by here, which the loop takes that they are for.
        while let Ok(mut ready) = socket.readable().await {
            if lane.has_ended() {
                break;
            }
            ready.clear_ready();
        }
    }
    if !lane.is_leaving() {
        // A worker that has ended is replaced anyway; one that only closed its lanes must be, too.
        house.master.worker_is_overdue(lane.worker);
    }
    house.posts.gone(lane.worker);
}

/// Lets in what stands in the accept queues, then nobody; ends connections that carry no request.
async fn close(door: &Rc<Door>, thread: u16) {
    let house = door.house.clone();
    house.draining.set(true);
    door.close();
    tokio::time::sleep(CLOSING).await;
    house.deadlines.end(Wait::KeptAlive);
    // A connection may just have come, with its request still on the way.
    tokio::task::spawn_local(async move {
        tokio::time::sleep(FRESH_GRACE).await;
        house.deadlines.end(Wait::Fresh);
        tokio::time::sleep(HEAD_GRACE).await;
        house.deadlines.end(Wait::Head);
    });
    let (posts, graceful_ms) = (door.house.posts.clone(), door.house.rules().plan.graceful_timeout_ms());
    tokio::task::spawn_local(async move {
        tokio::time::sleep(Duration::from_millis(graceful_ms)).await;
        posts.cut(thread);
    });
}

/// Fires deadlines and sends gathered log lines, a few times a second while anything is open.
async fn sweep(door: Rc<Door>, give_back: fn(bool)) {
    let house = door.house.clone();
    let mut given_ms = 0;
    loop {
        if door.open.get() == 0 && door.house.calls.is_empty() && door.house.upstreams.is_empty() {
            door.house.log.send();
            door.house.shelf.clear();
            if tokio::time::timeout(IDLE, house.work.notified()).await.is_err() {
                house.shrink();
                give_back(true);
                house.work.notified().await;
            }
        }
        tokio::time::sleep(SWEEP).await;
        house.clock.refresh();
        house.pulse.beat();
        house.deadlines.sweep(house.clock.coarse_ms());
        house.shelf.tidy(house.clock.coarse_ms());
        house.upstreams.sweep(house.clock.coarse_ms());
        lane::end_stuck(&house);
        house.log.send();
        if house.clock.coarse_ms() > given_ms + BETWEEN_GIVING_MS {
            given_ms = house.clock.coarse_ms();
            give_back(false);
        }
    }
}

pub(crate) fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        Voice::of_process().say(&format!("this is a bug in hallway: {panic}"));
        Voice::of_process().finish();
        std::process::abort();
    }));
}

/// Connections that one loop holds at most: each may need a second descriptor, for a body's or an
/// answer's file, and lanes to new workers must always find some.
pub(crate) fn open_max(loops: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(RESERVED_DESCRIPTORS) / 2).unwrap_or(usize::MAX).div_euclid(loops).max(1)
}

/// As many connections as the system allows, not the 1,024 that shells start with.
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
