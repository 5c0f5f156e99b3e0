//! In:     concrete types of the adapters; in the edge's process, what the master left open for it.
//! Out:    a running edge that hears the master and speaks to it.
//! Actors: the edge's main thread, which waits for the master's orders.
//! Never:  does any other file know both an adapter and what stands behind its port.

use hallway_core::control::{Order, Report};
use hallway_core::plan::{Listen, Listener, Plan};
use hallway_core::ports::Master;
use hallway_edge::{Bound, Edge, Ground, Voice};
use hallway_workers::{Channel, take_inherited};
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

/// The main function of the edge's process. Its arguments are the numbers of descriptors.
pub(crate) fn run_edge(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    hallway_workers::set_title(hallway_workers::EDGE);
    // Keys and traffic are in this memory: no other process of this user may look into it.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // Only the master ends the edge: a signal to all processes at once must not cut what is in flight.
    // A file that may not grow is an error of its write (EFBIG), not the end of everything.
    for signal in [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGXFSZ] {
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Voice::of_process().say(&format!("the edge could not start: {error}"));
            Voice::of_process().finish();
            ExitCode::FAILURE
        }
    }
}

fn serve(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let number = |word: OsString| word.to_str().and_then(|word| word.parse().ok());
    let serial = arguments.next().and_then(|word| word.to_str()?.parse().ok()).unwrap_or(0);
    let mut descriptors = arguments.map(|word| take_inherited(number(word).unwrap_or(-1)));
    let mut next = || descriptors.next().unwrap_or_else(|| Err(io::Error::other("a descriptor is missing")));
    let channel = Channel::from_descriptor(next()?);
    let plan: Plan = serde_json::from_reader(File::from(next()?))?;
    let mut sockets = empty(plan.edge_threads);
    for Listener { at, .. } in &plan.listeners {
        let siblings = if matches!(at, Listen::Tcp(_)) { plan.edge_threads } else { 1 };
        let given = (0..siblings).map(|_| next()).collect::<io::Result<_>>()?;
        Bound::deal(given, at, &mut sockets)?;
    }
    let mut known = plan.listeners.clone();
    let edge_threads = plan.edge_threads;
    let orders = Channel::from_descriptor(rustix::io::fcntl_dupfd_cloexec(&channel, 3)?);
    let mut edge = Edge::start(Ground { plan, serial, sockets, master: Arc::new(MasterOnChannel(channel)) })?;
    // Sockets that came for the next plan.
    let mut further: VecDeque<Vec<OwnedFd>> = VecDeque::new();
    while let Some(message) = orders.receive()? {
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
                    orders.send(&Report::Overdue { worker }.encode(), &[])?;
                }
            }
            Some(Order::Sockets) => further.push_back(message.descriptors),
            Some(Order::Plan { serial }) => {
                let file = message.descriptors.into_iter().next().ok_or(io::ErrorKind::InvalidData)?;
                let plan: Plan = serde_json::from_reader(File::from(file))?;
                let mut sockets = empty(edge_threads);
                for Listener { at, .. } in &plan.listeners {
                    if !known.iter().any(|listener| listener.at == *at) {
                        Bound::deal(further.pop_front().unwrap_or_default(), at, &mut sockets)?;
                    }
                }
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
