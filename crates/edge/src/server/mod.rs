//! In:     what the program gives the edge: plan, sockets, the way to the master; later, lanes and other plans.
//! Out:    event loops that go by the plan; orders of the master passed on to them.
//! Actors: the program's own thread.
//! Never:  does a plan that cannot be used change anything.

mod acceptor;
mod mailbox;
pub(crate) mod pulse;
mod rules_builder;
mod run;

use crate::handlers::app::{Lane, Siblings, Worker, close_apart};
use crate::server::mailbox::{Mailboxes, Message};
use crate::server::rules_builder::RulesBuilder;
use crate::server::run::{Shared, end_on_panic, open_max, raise_descriptor_limit, run_loop};
use hallway_core::plan::Plan;
use hallway_core::ports::Master;
use hallway_net::runtime::console::Voice;
use hallway_net::socket::listener::Bound;
use hallway_ring::Beats;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;

/// Where fewer connections than this are possible the operator is told.
const FEW_CONNECTIONS: usize = 256;
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
    mailboxes: Mailboxes,
    builder: RulesBuilder,
    /// Who is being told how everything is.
    askers: Arc<AtomicUsize>,
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
        let mailboxes = Mailboxes::new(senders);
        let (loops, spool_bytes_max) = (receivers.len(), ground.plan.spool_bytes_max);
        let mut builder = RulesBuilder::new(mailboxes.clone(), ground.master.clone(), (loops, spool_bytes_max));
        let shared = Shared {
            rules: Arc::new(builder.rules(ground.plan, ground.serial, ground.logs)?),
            master: ground.master,
            mailboxes: mailboxes.clone(),
            beats: ground.beats,
            commons: builder.commons(),
            give_back: ground.give_back,
            starting: Arc::new(AtomicUsize::new(receivers.len())),
            serving: Arc::new(AtomicUsize::new(receivers.len())),
            cut: Arc::default(),
            flush_logs: builder.flush_logs(),
        };
        for (thread, (sockets, inbox)) in ground.sockets.into_iter().zip(receivers).enumerate() {
            let shared = shared.clone();
            let run = move || run_loop(thread as u16, shared, sockets, inbox);
            std::thread::Builder::new().name(format!("edge {thread}")).spawn(run)?;
        }
        Ok(Edge { mailboxes, builder, askers: Arc::default() })
    }

    /// Goes by another plan from now on, with these further sockets for each event loop and the files of its access logs.
    /// Requests that have begun end by the plan they began with.
    ///
    /// # Errors
    /// What of the plan cannot be used, or the system's; then nothing has changed.
    pub fn adopt(&mut self, plan: Plan, serial: u32, sockets: Vec<Vec<Bound>>, logs: Vec<File>) -> io::Result<()> {
        let spool_bytes_max = plan.spool_bytes_max;
        let rules = Arc::new(self.builder.rules(plan, serial, logs)?);
        self.builder.resize_spool(spool_bytes_max);
        self.mailboxes.to_all(sockets.into_iter().map(|sockets| Message::Rules(rules.clone(), sockets)));
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
        let desk = self.builder.desk(app);
        let Some(desk) = desk else {
            close_apart(socket);
            return Err(io::Error::other("there is no such app"));
        };
        let lane = Arc::new(Lane::new(worker, desk.of_lanes(), bells.len(), (socket, memory))?);
        let worker = Arc::new(Worker { lane, desk });
        self.mailboxes.to_all(bells.into_iter().map(|bell| Message::Worker { worker: worker.clone(), bell }));
        Ok(())
    }

    /// No worker of this app could be started.
    pub fn answer_for(&self, app: u32) {
        self.builder.desk(app).into_iter().for_each(|desk| desk.answer_for());
    }

    /// Has the access logs go on in these files (`Plan::log_files`), behind the lines that are on their way.
    pub fn reopen_logs(&self, logs: Vec<File>) {
        self.builder.reopen_logs(logs);
    }

    /// How many files the access logs of the plan have.
    pub fn log_files(&self) -> usize {
        self.builder.log_files()
    }

    /// Tells this socket how the servers of the pools are, as JSON.
    pub fn tell_status(&self, asker: OwnedFd) {
        // Who asks and does not read holds nobody up but those who ask, too.
        if self.askers.fetch_add(1, Ordering::AcqRel) >= ASKERS_MAX {
            self.askers.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let (askers, text) = (self.askers.clone(), self.builder.status().to_string());
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
        (&self.mailboxes as &dyn Siblings).gone(worker);
    }

    /// Takes no further connection or request, finishes those that are there, then tells the master.
    pub fn finish(&self) {
        self.mailboxes.to_all(std::iter::repeat_with(|| Message::Finish));
    }
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
