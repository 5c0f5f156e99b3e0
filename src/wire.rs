//! In:     concrete types of the adapters; in the edge's process, what the master left open for it.
//! Out:    a running edge that hears the master and speaks to it.
//! Actors: the edge's main thread, which waits for the master's orders.
//! Never:  does any other file know both an adapter and what stands behind its port.

use crate::stacks::Stacks;
use hallway_core::control::{Order, Report, encode_refusal};
use hallway_core::plan::{Listen, Listener, Plan};
use hallway_core::ports::Master;
use hallway_core::supervise::beat_ms;
use hallway_edge::{Beats, Bound, Edge, Ground, MAIN, Voice, monotonic_ms};
use hallway_workers::{Channel, Message};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
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

    fn worker_has_served(&self, worker: u32) {
        self.report(Report::Served { worker });
    }

    fn worker_is_leaving(&self, worker: u32) {
        self.report(Report::Leaving { worker });
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
    let stacks = Stacks::listen();
    let confined = hallway_workers::confine_edge(&user).and_then(|()| Channel::inherited(&channel));
    // Only the master ends the edge: a signal to all processes at once must not cut what is in flight.
    // A file that may not grow is an error of its write (EFBIG), not the end of everything.
    for signal in [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGXFSZ] {
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
    let shown = confined.and_then(|channel| Ok((channel, stacks?)));
    match shown.and_then(|(channel, stacks)| serve(channel, stacks)) {
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
    /// Files of access logs that came for the next plan, or to take the place of former ones.
    logs: Vec<File>,
    /// How often this thread is to show that it turns.
    beat_ms: Option<u64>,
    /// How stacks are shown, and who says that they are to be.
    stacks: Stacks,
    shows: UnixStream,
}

impl Inbox {
    /// The next message; nothing when the master is gone. Until it comes this thread shows that it turns; what is done for
    /// one may take its time.
    fn next(&mut self, beats: &Beats) -> io::Result<Option<Message>> {
        if let Some(message) = self.early.pop_front() {
            return Ok(Some(message));
        }
        loop {
            beats.beat(MAIN);
            let pause = self.beat_ms.map(|pause_ms| Timespec {
                tv_sec: (pause_ms / 1000) as i64,
                tv_nsec: (pause_ms % 1000) as i64 * 1_000_000,
            });
            let sources = [self.channel.as_fd(), self.shows.as_fd()];
            let mut sources = sources.map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN));
            match poll(&mut sources, pause.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) if !sources[1].revents().is_empty() => self.show_silent(beats),
                Ok(_) => {
                    beats.excuse(MAIN);
                    return self.channel.receive();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Shows the stacks of those event loops that do not turn; the master is about to end this process for it.
    fn show_silent(&mut self, beats: &Beats) {
        let _ = self.shows.read(&mut [0; 64]);
        let Some(beat_ms) = self.beat_ms else { return };
        let since_ms = monotonic_ms().saturating_sub(beat_ms + beat_ms / 2);
        let silent = beats.all().enumerate().filter(|(_, at)| *at != 0 && *at < since_ms);
        for (slot, _) in silent.filter(|(slot, _)| *slot != MAIN) {
            let who = format!("event loop {}", slot - MAIN);
            match self.stacks.of_thread(beats.thread(slot)) {
                Some(frames) => {
                    Voice::of_process().say(&format!("{who} is here, innermost first:"));
                    let lines: String = frames.iter().map(|frame| format!("    {frame}\n")).collect();
                    Voice::of_process().quote(lines.into_bytes());
                }
                None => Voice::of_process().say(&format!("{who} shows no stack")),
            }
        }
    }

    /// The first plan, its serial number, and where this process shows that it turns; nothing when there is nothing to be
    /// done any more.
    fn first_plan(&mut self) -> io::Result<Option<(Plan, u32, Arc<Beats>)>> {
        let mut early = VecDeque::new();
        while let Some(message) = self.channel.receive()? {
            match Order::decode(&message.bytes) {
                Some(Order::Sockets) => self.sockets.extend(message.descriptors),
                Some(Order::Logs) => self.logs.extend(message.descriptors.into_iter().map(File::from)),
                Some(Order::Plan { serial }) => {
                    self.early = early;
                    let mut files = message.descriptors.into_iter();
                    let plan = read_plan(files.next())?;
                    let beats = files.next().ok_or_else(|| lost("the memory of heartbeats"))?;
                    let beats = Beats::map(beats, MAIN + 1 + plan.edge_threads)?;
                    beats.begin(MAIN);
                    beats.excuse(MAIN);
                    self.beat_ms = beat_ms(plan.watchdog_ms);
                    return Ok(Some((plan, serial, Arc::new(beats))));
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
                return Err(lost("a socket of a new address"));
            }
            Bound::deal(self.sockets.drain(..siblings).collect(), at, &mut dealt)?;
        }
        Ok(dealt)
    }
}

fn read_plan(file: Option<OwnedFd>) -> io::Result<Plan> {
    let file = file.ok_or_else(|| lost("the plan"))?;
    Ok(serde_json::from_slice(&read_whole(&File::from(file))?)?)
}

/// Reads from the beginning: an edge that has ended may have read this file before, and its position is that of all who
/// have it.
fn read_whole(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn serve(channel: Channel, stacks: Stacks) -> io::Result<()> {
    let copy = channel.try_clone()?;
    let (early, sockets) = (VecDeque::new(), VecDeque::new());
    // A worker shows its stacks by this signal, too.
    let (shows, written_by) = UnixStream::pair()?;
    shows.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(SIGQUIT, written_by)?;
    let mut inbox = Inbox { channel: copy, early, sockets, logs: Vec::new(), beat_ms: None, stacks, shows };
    channel.send(&Report::Confined.encode(), &[])?;
    let Some((plan, serial, beats)) = inbox.first_plan()? else { return Ok(()) };
    let edge_threads = plan.edge_threads;
    let mut known = plan.listeners.clone();
    let mut edge = match start(&mut inbox, plan, serial, (channel, beats.clone())) {
        Ok(edge) => edge,
        Err(error) => {
            let _ = inbox.channel.send(&encode_refusal(serial, &error.to_string()), &[]);
            return Err(error);
        }
    };
    while let Some(message) = inbox.next(&beats)? {
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
            Some(Order::Logs) => inbox.logs.extend(message.descriptors.into_iter().map(File::from)),
            Some(Order::Plan { serial }) => match adopt(&mut edge, serial, message, (&mut inbox, &known)) {
                Ok(listeners) => known = listeners,
                // A master that does not hear it ends this process.
                Err(error) => drop(inbox.channel.send(&encode_refusal(serial, &error.to_string()), &[])),
            },
            Some(Order::Finish) => edge.finish(),
            Some(Order::ReopenLogs) => {
                let logs = std::mem::take(&mut inbox.logs);
                if logs.len() == edge.log_files() {
                    edge.reopen_logs(logs);
                } else {
                    Voice::of_process().say("the access logs were not opened anew: no descriptor is left (ulimit -n)");
                }
            }
            Some(Order::Status) => message.descriptors.into_iter().for_each(|asker| edge.tell_status(asker)),
            Some(Order::AnswerFor { app }) => edge.answer_for(app),
            Some(Order::Gone { worker }) => edge.forget(worker),
            None => return Err(io::Error::other("an order could not be understood")),
        }
    }
    // The master is gone: nobody could replace a worker any more, or keep the sockets.
    Ok(())
}

/// An edge that goes by its first plan.
fn start(inbox: &mut Inbox, plan: Plan, serial: u32, (channel, beats): (Channel, Arc<Beats>)) -> io::Result<Edge> {
    let sockets = inbox.deal(&plan, plan.edge_threads, &[])?;
    let (logs, master) = (std::mem::take(&mut inbox.logs), Arc::new(MasterOnChannel(channel)));
    let give_back = crate::allocator::give_back;
    Edge::start(Ground { plan, serial, sockets, logs, master, beats, give_back })
}

/// Goes by another plan; its listeners, once it does.
fn adopt(
    edge: &mut Edge,
    serial: u32,
    message: Message,
    (inbox, known): (&mut Inbox, &[Listener]),
) -> io::Result<Vec<Listener>> {
    let plan = read_plan(message.descriptors.into_iter().next());
    let sockets = plan.as_ref().ok().map(|plan| inbox.deal(plan, plan.edge_threads, known));
    // What came for this plan is for no other one.
    inbox.sockets.clear();
    let (plan, logs) = (plan?, std::mem::take(&mut inbox.logs));
    let (listeners, beat_ms) = (plan.listeners.clone(), beat_ms(plan.watchdog_ms));
    edge.adopt(plan, serial, sockets.transpose()?.unwrap_or_default(), logs)?;
    inbox.beat_ms = beat_ms;
    Ok(listeners)
}

/// Where this process may open no further descriptor, the kernel drops what it was sent.
fn lost(what: &str) -> io::Error {
    io::Error::other(format!("{what} did not come: no descriptor is left (ulimit -n)"))
}

fn empty(loops: usize) -> Vec<Vec<Bound>> {
    (0..loops).map(|_| Vec::new()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_whole_by_each_edge_that_is_shown_it() {
        let carried = hallway_workers::carry("plan", b"the whole plan").unwrap();
        let copy = || File::from(carried.try_clone().unwrap());
        // The first edge ends while it reads, the second one when it has.
        copy().read_exact(&mut [0; 5]).unwrap();
        for _ in 0..2 {
            assert_eq!(read_whole(&copy()).unwrap(), b"the whole plan");
            copy().read_to_end(&mut Vec::new()).unwrap();
        }
    }
}
