//! In:     what the program gives the edge: plan, sockets, the way to the master; later, lanes.
//! Out:    event loops that serve; when told to finish, their end.
//! Actors: one thread for each event loop, on a LocalRuntime; the program's own thread posts to them.
//! Never:  does a panic leave a loop half alive: it ends the process, and the master starts another.

use crate::clock::Clock;
use crate::deadline::{Deadlines, SWEEP, Wait};
use crate::files::Shelf;
use crate::house::{House, Spares};
use crate::ids::RequestIds;
use crate::lane::{self, AppDesk, Calls, Lane, Outbounds, outbound};
use crate::listen::{Door, Socket};
use crate::log::{self, Batches, Log};
use crate::posts::{Post, Posts};
use crate::voice::Voice;
use crate::watched;
use hallway_core::plan::{App, Plan};
use hallway_core::ports::Master;
use hallway_core::record::Style;
use hallway_core::route::Sites;
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Descriptors that are never given to clients.
const RESERVED_DESCRIPTORS: u64 = 100;
/// Where fewer connections than this are possible the operator is told.
const FEW_CONNECTIONS: usize = 256;
/// Threads for files of one event loop, and how long an idle one stays.
const FILE_THREADS: usize = 4;
const FILE_THREAD_IDLE: Duration = Duration::from_secs(10);
/// For the accepting tasks to empty their queues when the door closes.
const CLOSING: Duration = Duration::from_millis(2);
/// For a head that has begun to arrive before the door closed, beyond that.
const HEAD_GRACE: Duration = Duration::from_millis(1500);
/// For the first request of a connection to arrive after the door has closed.
const FRESH_GRACE: Duration = Duration::from_millis(500);

/// Everything an edge begins with.
pub struct Ground {
    /// The plan.
    pub plan: Plan,
    /// The sockets of each event loop; those that are shared stand with the first.
    pub sockets: Vec<Vec<Socket>>,
    /// The way to the master.
    pub master: Arc<dyn Master>,
}

/// A running edge.
pub struct Edge {
    posts: Posts,
    batches: Option<Batches>,
    apps: usize,
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
        let writer = match &ground.plan.access_log {
            Some(access) => {
                let style = Style::of(&access.format).map_err(|fault| io::Error::other(fault.to_string()))?;
                Some((log::start(access)?, Arc::new(style)))
            }
            None => None,
        };
        let batches = writer.as_ref().map(|(batches, _)| batches.clone());
        let (senders, receivers): (Vec<_>, Vec<_>) = ground.sockets.iter().map(|_| unbounded_channel()).unzip();
        let posts = Posts::new(senders);
        let beginning = Instant::now();
        let sites = Arc::new(Sites::new(&ground.plan).map_err(io::Error::other)?);
        let desk = |app: &App| AppDesk::new(app.queue_size, posts.clone(), ground.master.clone(), beginning);
        let desks: Arc<[AppDesk]> = ground.plan.apps.iter().map(desk).collect();
        let apps = desks.len();
        let shared = Shared {
            plan: Arc::new(ground.plan),
            master: ground.master,
            sites,
            desks,
            posts: posts.clone(),
            beginning,
            writer,
            starting: Arc::new(AtomicUsize::new(receivers.len())),
            serving: Arc::new(AtomicUsize::new(receivers.len())),
        };
        for (thread, (sockets, inbox)) in ground.sockets.into_iter().zip(receivers).enumerate() {
            let shared = shared.clone();
            let run = move || run_loop(thread as u16, shared, sockets, inbox);
            std::thread::Builder::new().name(format!("edge {thread}")).spawn(run)?;
        }
        Ok(Edge { posts, batches, apps })
    }

    /// Gives the edge its end of the lanes to a worker, known by number, process, how many requests it
    /// works on at a time, and app: the socket, the memory of the rings, and a bell for each loop.
    ///
    /// # Errors
    /// Those of mapping the rings.
    pub fn deal_lanes(
        &self,
        worker: (u32, u32, u32, u32),
        socket: OwnedFd,
        memory: &OwnedFd,
        bells: Vec<OwnedFd>,
    ) -> io::Result<()> {
        if worker.3 as usize >= self.apps {
            return Err(io::Error::other("there is no such app"));
        }
        let lane = Arc::new(Lane::new(worker, bells.len(), socket, memory)?);
        self.posts.to_all(bells.into_iter().map(|bell| Post::Lane { lane: lane.clone(), bell }));
        Ok(())
    }

    /// Opens the log files anew, behind the lines that are on their way.
    pub fn reopen_logs(&self) {
        if let Some(batches) = &self.batches {
            let _ = batches.try_send(log::Batch::Reopen);
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

/// What all event loops share.
#[derive(Clone)]
struct Shared {
    plan: Arc<Plan>,
    master: Arc<dyn Master>,
    sites: Arc<Sites>,
    desks: Arc<[AppDesk]>,
    posts: Posts,
    beginning: Instant,
    writer: Option<(Batches, Arc<Style>)>,
    starting: Arc<AtomicUsize>,
    serving: Arc<AtomicUsize>,
}

fn run_loop(thread: u16, shared: Shared, sockets: Vec<Socket>, inbox: UnboundedReceiver<Post>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .event_interval(256)
        .on_thread_park(outbound::before_sleep)
        .on_thread_unpark(outbound::after_sleep)
        .max_blocking_threads(FILE_THREADS)
        .thread_keep_alive(FILE_THREAD_IDLE)
        .build_local(tokio::runtime::LocalOptions::default());
    let served = runtime.and_then(|runtime| runtime.block_on(serve(thread, &shared, sockets, inbox)));
    if let Err(error) = served {
        Voice::of_process().say(&format!("an event loop could not start: {error}"));
        Voice::of_process().finish();
        std::process::exit(1);
    }
    if shared.serving.fetch_sub(1, Ordering::AcqRel) == 1 {
        if let Some((batches, _)) = &shared.writer {
            log::flush(batches);
        }
        Voice::of_process().finish();
        shared.master.edge_has_drained();
    }
}

async fn serve(
    thread: u16,
    shared: &Shared,
    sockets: Vec<Socket>,
    mut inbox: UnboundedReceiver<Post>,
) -> io::Result<()> {
    let house = Rc::new(House {
        plan: shared.plan.clone(),
        master: shared.master.clone(),
        sites: shared.sites.clone(),
        desks: shared.desks.clone(),
        clock: Clock::new(shared.beginning),
        deadlines: Rc::new(Deadlines::default()),
        calls: Rc::new(Calls::new(thread)),
        outbounds: Outbounds::default(),
        shelf: Shelf::default(),
        posts: shared.posts.clone(),
        ids: RequestIds::new()?,
        log: Log::new(shared.writer.clone()),
        draining: Cell::new(false),
        spares: Spares::default(),
        work: Notify::new(),
    });
    outbound::serve_hooks(Some(house.clone()));
    let door = Rc::new(Door {
        house: house.clone(),
        posts: shared.posts.clone(),
        closed: Notify::new(),
        open: Cell::new(0),
        open_max: open_max(shared.plan.edge_threads),
        room: Notify::new(),
        complain_ms: Cell::new(0),
    });
    for socket in sockets {
        let door = door.clone();
        tokio::task::spawn_local(async move {
            let accepted = match socket {
                Socket::Tcp(socket) => door.clone().accept_tcp(socket, false).await,
                Socket::TcpShared(socket) => door.clone().accept_tcp(socket, true).await,
                Socket::UnixShared(socket) => door.clone().accept_unix(socket).await,
            };
            if let Err(error) = accepted {
                door.house.log.error(&format!("a listening socket cannot be used: {error}"));
            }
        });
    }
    tokio::task::spawn_local(sweep(door.clone()));
    if shared.starting.fetch_sub(1, Ordering::AcqRel) == 1 {
        shared.master.edge_is_ready();
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
            Some(Post::Unsendable(ticket)) => house.calls.refuse(ticket),
            Some(Post::Connection(accepted)) => door.let_in_accepted(accepted),
            Some(Post::Finish) if !finishing => {
                finishing = true;
                close(&door).await;
            }
            Some(Post::Finish | Post::Emptied) => {}
            None => break,
        }
    }
    house.log.send();
    outbound::serve_hooks(None);
    Ok(())
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
async fn close(door: &Rc<Door>) {
    let house = door.house.clone();
    house.draining.set(true);
    door.closed.notify_waiters();
    tokio::time::sleep(CLOSING).await;
    house.deadlines.end(Wait::KeptAlive);
    // A connection may just have come, with its request still on the way.
    tokio::task::spawn_local(async move {
        tokio::time::sleep(FRESH_GRACE).await;
        house.deadlines.end(Wait::Fresh);
        tokio::time::sleep(HEAD_GRACE).await;
        house.deadlines.end(Wait::Head);
    });
}

/// Fires deadlines and sends gathered log lines, a few times a second while anything is open.
async fn sweep(door: Rc<Door>) {
    let house = door.house.clone();
    loop {
        if door.open.get() == 0 && door.house.calls.is_empty() {
            door.house.log.send();
            door.house.shelf.clear();
            door.house.work.notified().await;
        }
        tokio::time::sleep(SWEEP).await;
        house.clock.refresh();
        house.deadlines.sweep(house.clock.coarse_ms());
        house.shelf.tidy(house.clock.coarse_ms());
        lane::end_stuck(&house);
        house.log.send();
    }
}

fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        Voice::of_process().say(&format!("this is a bug in hallway: {panic}"));
        Voice::of_process().finish();
        std::process::abort();
    }));
}

/// Connections that one loop holds at most: each may need a second descriptor, for a body's or an
/// answer's file, and lanes to new workers must always find some.
fn open_max(loops: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(RESERVED_DESCRIPTORS) / 2).unwrap_or(usize::MAX).div_euclid(loops).max(1)
}

/// As many connections as the system allows, not the 1,024 that shells start with.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
