//! In:     concrete types of the adapters; in the edge's process, what the master left open for it.
//! Out:    a running edge that hears the master and speaks to it.
//! Actors: the edge's main thread, which waits for the master's orders.
//! Never:  does any other file know both an adapter and what stands behind its port.

use hallway_core::control::{Order, Report};
use hallway_core::plan::{Listen, Listener, Plan};
use hallway_core::ports::Master;
use hallway_edge::{Bound, Edge, Ground, Voice};
use hallway_workers::{Channel, Message, take_inherited};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;

/// The master behind its channel.
struct MasterOnChannel(Channel);

impl MasterOnChannel {
    fn report(&self, report: Report) {
        // A master that does not hear has ended, and then this process does too.
        let _ = self.0.send(&report.encode(), &[]);
    }
}

impl Master for MasterOnChannel {
    fn edge_is_ready(&self) {
        self.report(Report::Ready);
    }

    fn worker_is_overdue(&self, worker: u32) {
        self.report(Report::Overdue { worker });
    }

    fn worker_is_stuck(&self, worker: u32) {
        self.report(Report::Stuck { worker });
    }

    fn worker_has_joined(&self, worker: u32) {
        self.report(Report::Joined { worker });
    }

    fn plan_is_adopted(&self, serial: u32) {
        self.report(Report::Adopted { serial });
    }

    fn plan_is_over(&self, serial: u32) {
        self.report(Report::Over { serial });
    }

    fn edge_has_drained(&self) {
        self.report(Report::Drained);
        std::process::exit(0);
    }
}

/// The main function of the edge's process. Its arguments are who it is to be, and the number of its channel.
pub(crate) fn run_edge(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    // Keys and traffic will be in this memory: no other process may look into it. Only root can write its title after that.
    if rustix::process::geteuid().is_root() {
        let _ = hallway_workers::hide();
    }
    hallway_workers::set_title(hallway_workers::EDGE);
    let mut next = || arguments.next().and_then(|word| word.into_string().ok()).unwrap_or_default();
    let (user, channel) = (next(), next());
    let confined = hallway_workers::confine_edge(&user).and_then(|()| take_inherited(channel.parse().unwrap_or(-1)));
    // Only the master ends the edge: a signal to all processes at once must not cut what is in flight.
    // A file that may not grow is an error of its write (EFBIG), not the end of everything.
    for signal in [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGXFSZ] {
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
    match confined.and_then(|channel| serve(Channel::from_descriptor(channel))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Voice::of_process().say(&format!("the edge could not start: {error}"));
            Voice::of_process().finish();
            ExitCode::FAILURE
        }
    }
}

/// What the master sends, and what of it has to wait until there is a plan.
struct Inbox {
    channel: Channel,
    early: VecDeque<Message>,
    /// Sockets that came for the next plan, in the order of its addresses.
    sockets: VecDeque<OwnedFd>,
}

impl Inbox {
    /// The next message; nothing when the master is gone.
    fn next(&mut self) -> io::Result<Option<Message>> {
        match self.early.pop_front() {
            Some(message) => Ok(Some(message)),
            None => self.channel.receive(),
        }
    }

    /// The first plan and its serial number; nothing when there is nothing to be done any more.
    fn first_plan(&mut self) -> io::Result<Option<(Plan, u32)>> {
        let mut early = VecDeque::new();
        while let Some(message) = self.channel.receive()? {
            match Order::decode(&message.bytes) {
                Some(Order::Sockets) => self.sockets.extend(message.descriptors),
                Some(Order::Plan { serial }) => {
                    self.early = early;
                    return Ok(Some((read_plan(message)?, serial)));
                }
                Some(Order::Finish) => return Ok(None),
                _ => early.push_back(message),
            }
        }
        Ok(None)
    }

    /// The sockets of those addresses of a plan that are not known yet, dealt to the event loops.
    fn deal(&mut self, plan: &Plan, threads: usize, known: &[Listener]) -> io::Result<Vec<Vec<Bound>>> {
        let mut dealt = empty(threads);
        for Listener { at, .. } in plan.listeners.iter().filter(|new| !known.iter().any(|old| old.at == new.at)) {
            let siblings = if matches!(at, Listen::Tcp(_)) { threads } else { 1 };
            if siblings > self.sockets.len() {
                return Err(io::Error::other("a socket is missing"));
            }
            Bound::deal(self.sockets.drain(..siblings).collect(), at, &mut dealt)?;
        }
        Ok(dealt)
    }
}

fn read_plan(message: Message) -> io::Result<Plan> {
    let file = message.descriptors.into_iter().next().ok_or(io::ErrorKind::InvalidData)?;
    Ok(serde_json::from_reader(File::from(file))?)
}

fn serve(channel: Channel) -> io::Result<()> {
    let copy = Channel::from_descriptor(rustix::io::fcntl_dupfd_cloexec(&channel, 3)?);
    let mut inbox = Inbox { channel: copy, early: VecDeque::new(), sockets: VecDeque::new() };
    channel.send(&Report::Confined.encode(), &[])?;
    let Some((plan, serial)) = inbox.first_plan()? else { return Ok(()) };
    let edge_threads = plan.edge_threads;
    let sockets = inbox.deal(&plan, edge_threads, &[])?;
    let mut known = plan.listeners.clone();
    let mut edge = Edge::start(Ground { plan, serial, sockets, master: Arc::new(MasterOnChannel(channel)) })?;
    while let Some(message) = inbox.next()? {
        match Order::decode(&message.bytes) {
            Some(Order::Lanes { worker, pid, slots, app }) => {
                let mut ends = message.descriptors.into_iter();
                let dealt = match (ends.next(), ends.next()) {
                    (Some(socket), Some(memory)) if ends.len() == edge_threads => {
                        edge.deal_lanes((worker, pid, slots), app, (socket, &memory), ends.collect()).is_ok()
                    }
                    _ => false,
                };
                if !dealt {
                    // Out of descriptors or memory: this worker would never be reached. A next one may be.
                    inbox.channel.send(&Report::Overdue { worker }.encode(), &[])?;
                }
            }
            Some(Order::Sockets) => inbox.sockets.extend(message.descriptors),
            Some(Order::Plan { serial }) => {
                let plan = read_plan(message)?;
                let sockets = inbox.deal(&plan, edge_threads, &known)?;
                known.clone_from(&plan.listeners);
                if let Err(error) = edge.adopt(plan, serial, sockets) {
                    Voice::of_process().say(&format!("the edge goes on by the plan it had: {error}"));
                }
            }
            Some(Order::Finish) => edge.finish(),
            Some(Order::ReopenLogs) => edge.reopen_logs(),
            Some(Order::Status) => message.descriptors.into_iter().for_each(|asker| edge.tell_status(asker)),
            Some(Order::AnswerFor { app }) => edge.answer_for(app),
            Some(Order::Gone { worker }) => edge.forget(worker),
            None => return Err(io::Error::other("an order could not be understood")),
        }
    }
    // The master is gone: nobody could replace a worker any more, or keep the sockets.
    Ok(())
}

fn empty(loops: usize) -> Vec<Vec<Bound>> {
    (0..loops).map(|_| Vec::new()).collect()
}
