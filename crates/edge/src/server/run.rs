//! In:     rules, sockets; later, posts of the edge's face and of other loops.
//! Out:    an event loop that serves; when told to finish, its end.
//! Actors: one thread for each event loop, on a LocalRuntime.
//! Never:  does a panic leave a loop half alive: it ends the process, and the master starts another.

use crate::handlers::app;
use crate::handlers::app::{AppState, Worker};
use crate::handlers::pool::look_after;
use crate::journey::rules::Rules;
use crate::journey::state::LoopState;
use crate::server::acceptor::Door;
use crate::server::mailbox::{Mailboxes, Message};
use crate::server::pulse;
use crate::server::pulse::Pulse;
use hallway_core::ports::Master;
use hallway_net::runtime::console::Voice;
use hallway_net::runtime::deadline::{SWEEP, Wait};
use hallway_net::runtime::event_loop::{Commons, EventLoop};
use hallway_net::runtime::readable_fd;
use hallway_net::socket::listener::Bound;
use hallway_ring::Beats;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
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
    pub(crate) mailboxes: Mailboxes,
    pub(crate) commons: Commons,
    pub(crate) beats: Arc<Beats>,
    pub(crate) give_back: fn(bool),
    pub(crate) starting: Arc<AtomicUsize>,
    pub(crate) serving: Arc<AtomicUsize>,
    /// Requests that the end of all has cut.
    pub(crate) cut: Arc<AtomicUsize>,
    /// Told when the last loop has ended, for the last lines of the logs.
    pub(crate) flush_logs: Arc<dyn Fn() + Send + Sync>,
}

/// Serves on this thread until it is told to finish.
pub(crate) fn run_loop(thread: u16, shared: Shared, sockets: Vec<Bound>, inbox: UnboundedReceiver<Message>) {
    let (master, flush_logs) = (shared.master.clone(), shared.flush_logs.clone());
    let (serving, cut) = (shared.serving.clone(), shared.cut.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .event_interval(256)
        .on_thread_park(app::before_sleep)
        .on_thread_unpark(app::after_sleep)
        .build_local(tokio::runtime::LocalOptions::default());
    // The runtime ends here, and with it the tasks of whatever is still open.
    let served = runtime.and_then(|runtime| runtime.block_on(serve(thread, shared, sockets, inbox)));
    match served {
        Ok(state) => {
            state.log.send();
            cut.fetch_add(state.event_loop.cut.get(), Ordering::AcqRel);
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
    mut inbox: UnboundedReceiver<Message>,
) -> io::Result<Rc<LoopState>> {
    let loops = shared.rules.plan.edge_threads;
    let pulse = Rc::new(Pulse::begin(shared.beats, thread));
    let event_loop = Rc::new(EventLoop::new(thread, shared.rules.plan.limits, shared.commons)?);
    let siblings = Arc::new(shared.mailboxes.clone());
    let apps = Rc::new(AppState::new(event_loop.clone(), shared.master.clone(), siblings)?);
    let state = Rc::new(LoopState::new(event_loop.clone(), shared.rules.clone(), apps.clone()));
    app::serve_hooks(Some(apps.clone()));
    let door = Door::new(state.clone(), shared.mailboxes, pulse.clone(), open_max(loops));
    door.adopt(shared.rules, sockets);
    tokio::task::spawn_local(sweep(door.clone(), shared.give_back));
    tokio::task::spawn_local(pulse::keep(pulse.clone()));
    if thread == 0 {
        look_after(&state.upstreams, &state.rules().pools);
    }
    if shared.starting.fetch_sub(1, Ordering::AcqRel) == 1 {
        shared.master.edge_is_ready();
    }
    let mut finishing = false;
    while !finishing || door.open.get() > 0 {
        match inbox.recv().await {
            Some(Message::Worker { worker, bell }) => {
                if thread == 0 {
                    tokio::task::spawn_local(watch(apps.clone(), worker.clone()));
                }
                apps.outbounds.add(thread, worker, bell)?;
            }
            Some(Message::App(message)) => app::hear(&apps, message),
            Some(Message::Connection(at, accepted)) => door.let_in_accepted(&at, accepted),
            Some(Message::Rules(rules, sockets)) if !finishing => {
                door.adopt(rules, sockets);
                if thread == 0 {
                    look_after(&state.upstreams, &state.rules().pools);
                }
            }
            Some(Message::Finish) if !finishing => {
                finishing = true;
                close(&door, thread).await;
            }
            Some(Message::Cut) => {
                // Each request that ends with its task has its line in the log.
                event_loop.cutting.set(true);
                break;
            }
            Some(Message::Finish | Message::Emptied | Message::Rules(..)) => {}
            None => break,
        }
    }
    state.log.send();
    app::serve_hooks(None);
    pulse.end();
    Ok(state)
}

/// Waits for the end of a worker, which its socket tells.
async fn watch(apps: Rc<AppState>, worker: Arc<Worker>) {
    let lane = &worker.lane;
    if let Ok(socket) = lane.as_fd().try_clone_to_owned().and_then(readable_fd::watch) {
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
        apps.master.worker_is_overdue(lane.worker);
    }
    apps.siblings.gone(lane.worker);
}

/// Lets in what stands in the accept queues, then nobody; ends connections that carry no request.
async fn close(door: &Rc<Door>, thread: u16) {
    let event_loop = door.state.event_loop.clone();
    event_loop.draining.set(true);
    door.close();
    tokio::time::sleep(CLOSING).await;
    event_loop.deadlines.end(Wait::KeptAlive);
    // A connection may just have come, with its request still on the way.
    tokio::task::spawn_local(async move {
        tokio::time::sleep(FRESH_GRACE).await;
        event_loop.deadlines.end(Wait::Fresh);
        tokio::time::sleep(HEAD_GRACE).await;
        event_loop.deadlines.end(Wait::Head);
    });
    let (mailboxes, graceful_ms) = (door.mailboxes.clone(), door.state.rules().plan.graceful_timeout_ms());
    tokio::task::spawn_local(async move {
        tokio::time::sleep(Duration::from_millis(graceful_ms)).await;
        mailboxes.to(thread, Message::Cut);
    });
}

/// Fires deadlines and sends gathered log lines, a few times a second while anything is open.
async fn sweep(door: Rc<Door>, give_back: fn(bool)) {
    let state = &door.state;
    let event_loop = state.event_loop.clone();
    let mut given_ms = 0;
    loop {
        if door.open.get() == 0 && state.is_idle() {
            state.log.send();
            state.files.clear();
            if tokio::time::timeout(IDLE, event_loop.work.notified()).await.is_err() {
                state.shrink();
                give_back(true);
                event_loop.work.notified().await;
            }
        }
        tokio::time::sleep(SWEEP).await;
        event_loop.clock.refresh();
        door.pulse.beat();
        event_loop.deadlines.sweep(event_loop.clock.coarse_ms());
        state.files.tidy(event_loop.clock.coarse_ms());
        state.upstreams.sweep(event_loop.clock.coarse_ms());
        app::end_stuck(&state.apps);
        state.log.send();
        if event_loop.clock.coarse_ms() > given_ms + BETWEEN_GIVING_MS {
            given_ms = event_loop.clock.coarse_ms();
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
