//! In:     children that grow, fall silent, end.
//! Out:    what the supervisor and the operator have to know of it.
//! Actors: the kernel's accounts of processes.
//! Never:  is a child that has ended missed, or one that only says nothing taken for it at once.

use super::news::say;
use super::proposal::Verdict;
use super::{Hired, LAST_WORDS_MS, Master, WEIGH_MAX_MS, WEIGH_MS, tell};
use hallway_core::control::{Order, Report, Step};
use hallway_core::plan::App;
use hallway_core::supervise::{Child, Event};
use hallway_workers::{Channel, Ended};
use std::io;

/// Reports of an edge that has ended which are read still: more than an honest one can have left. A process that it left
/// behind may report without end.
const LAST_REPORTS_MAX: usize = 16_384;

impl Master {
    /// What follows from a report of a child.
    pub(super) fn hear(&mut self, child: Child, report: Report) -> Vec<Event> {
        let event = match (child, report) {
            (child, Report::Ready) => Event::Ready(child),
            (Child::Edge, Report::Confined) => return self.brief_edge(),
            (Child::Edge, Report::Over { serial }) => return self.plan_is_over(serial),
            (Child::Edge, Report::Stuck { worker }) => Event::Stuck(worker),
            (Child::Edge, Report::Overdue { worker }) => Event::Overdue(worker),
            (Child::Edge, Report::Joined { worker }) => Event::Joined(worker),
            (Child::Edge, Report::Served { worker }) => Event::Served(worker),
            (Child::Edge, Report::Leaving { worker }) => Event::Left(worker),
            (Child::Worker(worker), Report::Spent) => Event::Spent(worker),
            (Child::Worker(worker), Report::Left) => Event::Left(worker),
            (Child::Worker(worker), Report::Unstarted { step, errno }) => {
                if let Some(hired) = self.workers.get_mut(&worker).filter(|_| !self.ready.contains(&worker)) {
                    hired.unstarted = Some((step, io::Error::from_raw_os_error(errno.cast_signed())));
                }
                return Vec::new();
            }
            // The edge exits by itself after this; a worker has nothing else to say.
            _ => return Vec::new(),
        };
        vec![event]
    }

    /// The next look at the memory of the workers, where any app bounds it.
    pub(super) fn weigh_soon(&mut self) {
        let is_bounded = self.plan.apps.iter().any(|app| app.max_rss_bytes > 0);
        self.weigh_at_ms = is_bounded.then_some(self.now_ms() + WEIGH_MS);
    }

    /// Workers that have grown past `max_rss`, looked at once a second.
    pub(super) fn overgrown(&mut self) -> Vec<u32> {
        let now_ms = self.now_ms();
        if self.weigh_at_ms.is_none_or(|at| at > now_ms) {
            return Vec::new();
        }
        let weighed = |(worker, hired): (&u32, &Hired)| {
            let app = self.plan.apps.iter().find(|app| app.number == hired.app.number)?;
            let most = Some(app.max_rss_bytes).filter(|most| *most > 0)?;
            let bytes = hallway_workers::resident_bytes(hired.spawned.pid).filter(|bytes| *bytes > most)?;
            Some((*worker, bytes >> 20))
        };
        let overgrown: Vec<(u32, u64)> = self.workers.iter().filter_map(weighed).collect();
        self.weigh_pause_ms = if overgrown.is_empty() { WEIGH_MS } else { (self.weigh_pause_ms * 2).min(WEIGH_MAX_MS) };
        self.weigh_at_ms = Some(now_ms + self.weigh_pause_ms);
        self.overgrown_mib.extend(overgrown.iter().copied());
        overgrown.into_iter().map(|(worker, _)| worker).collect()
    }

    /// A child whose channel has ended has ended too, or soon will have. One that only closed its
    /// descriptors hears nobody any more, and is killed; not at once, it may be saying why it ends.
    pub(super) fn part_with(&mut self, gone: &[Child]) {
        let kill_at_ms = self.now_ms() + LAST_WORDS_MS;
        for child in gone {
            let spawned = match child {
                Child::Edge => self.edge.as_mut(),
                Child::Worker(worker) => self.workers.get_mut(worker).map(|hired| &mut hired.spawned),
            };
            if let Some(spawned) = spawned {
                (spawned.is_deaf, spawned.kill_at_ms) = (true, Some(kill_at_ms));
            }
        }
    }

    /// Why a worker that has ended could not be started, where it said so: that may still be in its channel.
    fn take_last_report(&mut self, worker: u32) -> Option<(Step, io::Error)> {
        let hired = self.workers.get(&worker)?;
        let left = if hired.spawned.is_deaf { None } else { hired.spawned.channel.receive().ok().flatten() };
        if let Some(report @ Report::Unstarted { .. }) = left.and_then(|message| Report::decode(&message.bytes)) {
            self.hear(Child::Worker(worker), report);
        }
        self.workers.get_mut(&worker)?.unstarted.take()
    }

    /// Notes why a worker ended before its app was loaded.
    fn blame(&mut self, app: &App, ended: Ended) {
        let last = self.words.last(ended.pid);
        let callable = &app.callable;
        let why = match (ended.code, ended.signal) {
            (Some(4), _) => format!("{callable} does not load: {last}"),
            (_, Some(signal)) => format!("a worker was ended by signal {signal} while it loaded {callable}"),
            (code, None) => format!("a worker ended with exit code {} while it loaded {callable}", code.unwrap_or(0)),
        };
        self.downs.blame(app.number, why);
    }

    /// Forgets a child that has ended. Nothing for a process that was only adopted.
    pub(super) fn bury(&mut self, ended: Ended) -> Option<Event> {
        // Orphans of apps may be many, where this is PID 1: nothing is done for them.
        if !self.children().any(|(_, spawned)| spawned.pid == ended.pid) {
            return None;
        }
        // Its last words come before the news of its end.
        let now_ms = self.now_ms();
        let workers = self.workers.values().map(|hired| &hired.spawned);
        if let Some(spawned) = self.edge.iter().chain(workers).find(|spawned| spawned.pid == ended.pid) {
            spawned.relay.finish(|| self.words.tell_all(now_ms));
        }
        self.words.tell_all(now_ms);
        if let Some(edge) = self.edge.take_if(|edge| edge.pid == ended.pid) {
            self.verdicts.extend(last_verdicts(&edge.channel));
            self.edge_failed = !self.edge_is_ready;
            self.vigil = None;
            self.expected.remove(&Child::Edge);
            return Some(Event::Exited(Child::Edge, ended.code));
        }
        let (&worker, _) = self.workers.iter().find(|(_, hired)| hired.spawned.pid == ended.pid)?;
        let who = self.worker_name(worker);
        let unstarted = self.take_last_report(worker);
        let is_unstarted = unstarted.is_some();
        if let Some(Hired { app, .. }) = self.workers.remove(&worker).filter(|_| !self.ready.contains(&worker)) {
            match unstarted {
                Some((step, error)) => self.blame_start(&app, step, &error),
                None => self.blame(&app, ended),
            }
        }
        // The edge may not see it by itself: a process that the app forked holds the lanes too.
        self.edge.iter().for_each(|edge| tell(edge, Order::Gone { worker }, &[]));
        match (ended.signal, ended.code) {
            _ if self.expected.remove(&Child::Worker(worker)) => {}
            (Some(signal), _) => say(&format!("{who} was ended by signal {signal}")),
            (None, Some(0) | None) => {}
            _ if is_unstarted => {}
            (None, Some(4)) if !self.ready.contains(&worker) => {}
            (None, Some(code)) => {
                let before = if self.ready.contains(&worker) { "" } else { " before the app was loaded" };
                say(&format!("{who} ended with exit code {code}{before}"));
            }
        }
        self.ready.remove(&worker);
        self.overgrown_mib.remove(&worker);
        Some(Event::Exited(Child::Worker(worker), ended.code))
    }
}

/// What an edge that has ended said to plans last of all.
fn last_verdicts(channel: &Channel) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for _ in 0..LAST_REPORTS_MAX {
        let Ok(Some(message)) = channel.receive() else { break };
        let report = Report::decode(&message.bytes);
        verdicts.extend(report.and_then(|report| Verdict::of(report, &message.bytes)));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_core::control::encode_refusal;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn what_an_edge_leaves_behind_reports_without_end_to_nobody() {
        let (master, edge) = Channel::pair().unwrap();
        edge.send(&Report::Adopted { serial: 7 }.encode(), &[]).unwrap();
        let (is_over, refusal) = (AtomicBool::new(false), encode_refusal(8, &"no".repeat(400)));
        std::thread::scope(|scope| {
            // As processes that the edge forked do.
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        let _ = edge.send(&refusal, &[]);
                    }
                });
            }
            let verdicts = last_verdicts(&master);
            is_over.store(true, Ordering::Relaxed);
            assert!(matches!(verdicts.first(), Some(Verdict::Adopted(7))));
            assert!(verdicts.len() <= LAST_REPORTS_MAX);
        });
    }
}
