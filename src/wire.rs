//! In:     concrete types of the adapters; in the edge's process, what the master left open for it.
//! Out:    a running edge that hears the master and speaks to it.
//! Actors: the edge's main thread, which waits for the master's orders.
//! Never:  does any other file know both an adapter and what stands behind its port.

use hallway_core::control::{Order, Report};
use hallway_core::plan::{Listen, Plan};
use hallway_core::ports::Master;
use hallway_edge::{Edge, Ground, Socket, Voice};
use hallway_workers::{Channel, take_inherited};
use rustix::net::{AddressFamily, getsockname};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
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

    fn edge_has_drained(&self) {
        self.report(Report::Drained);
        std::process::exit(0);
    }
}

/// The main function of the edge's process. Its arguments are the numbers of descriptors.
pub(crate) fn run_edge(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    hallway_workers::set_title("hallway: edge");
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

fn serve(arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let numbers = arguments.map(|word| word.to_str().and_then(|word| word.parse().ok()));
    let mut descriptors = numbers.map(|number| take_inherited(number.unwrap_or(-1)));
    let mut next = || descriptors.next().unwrap_or_else(|| Err(io::Error::other("a descriptor is missing")));
    let channel = Channel::from_descriptor(next()?);
    let plan: Plan = serde_json::from_reader(File::from(next()?))?;
    let sockets = deal_sockets(&plan, next)?;
    let edge_threads = plan.edge_threads;
    let orders = Channel::from_descriptor(rustix::io::fcntl_dupfd_cloexec(&channel, 3)?);
    let edge = Edge::start(Ground { plan, sockets, master: Arc::new(MasterOnChannel(channel)) })?;
    while let Some(message) = orders.receive()? {
        match Order::decode(&message.bytes) {
            Some(Order::Lanes { worker, pid, slots, app }) => {
                let mut ends = message.descriptors.into_iter();
                let dealt = match (ends.next(), ends.next()) {
                    (Some(socket), Some(memory)) if ends.len() == edge_threads => {
                        edge.deal_lanes((worker, pid, slots, app), socket, &memory, ends.collect()).is_ok()
                    }
                    _ => false,
                };
                if !dealt {
                    // Out of descriptors or memory: this worker would never be reached. A next one may be.
                    orders.send(&Report::Overdue { worker }.encode(), &[])?;
                }
            }
            Some(Order::Finish) => edge.finish(),
            Some(Order::ReopenLogs) => edge.reopen_logs(),
            Some(Order::Gone { worker }) => edge.forget(worker),
            None => return Err(io::Error::other("an order could not be understood")),
        }
    }
    // The master is gone: nobody could replace a worker any more, or keep the sockets.
    Ok(())
}

/// Gives each event loop its sockets, in the order in which the master bound them.
fn deal_sockets(plan: &Plan, mut next: impl FnMut() -> io::Result<OwnedFd>) -> io::Result<Vec<Vec<Socket>>> {
    let mut sockets: Vec<Vec<Socket>> = (0..plan.edge_threads).map(|_| Vec::new()).collect();
    for listen in &plan.listeners {
        match listen {
            Listen::Tcp(_) => {
                for own in &mut sockets {
                    own.push(Socket::Tcp(next()?));
                }
            }
            Listen::Unix(_) => sockets[0].push(Socket::UnixShared(next()?)),
            Listen::Inherited(_) => {
                let socket = next()?;
                let is_unix = getsockname(&socket)?.address_family() == AddressFamily::UNIX;
                sockets[0].push(if is_unix { Socket::UnixShared(socket) } else { Socket::TcpShared(socket) });
            }
        }
    }
    Ok(sockets)
}
