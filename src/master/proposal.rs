//! In:     another plan, while everything runs; what the edge says to it.
//! Out:    the plan adopted by edge and master alike; or all of it taken back, with the reason.
//! Actors: the master's loop.
//! Never:  does the master go by a plan that the edge does not go by, or is a plan adopted in part.

use super::births::{give_sockets, settings_of};
use super::logs::Logs;
use super::news::{say, tell_unchanged};
use super::{Master, control};
use crate::certificates;
use hallway_core::control::{Order, Report, refusal};
use hallway_core::plan::{App, Listen, Plan};
use hallway_core::supervise::{AppSettings, Child, Event, Supervisor};
use hallway_workers::carry;
use rustix::process::Signal;
use serde_json::json;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// For the edge to go by a plan, or to say that it cannot; then it hangs.
const ANSWER_MS: u64 = 30_000;
/// Edges that a plan is shown to: one that ends meanwhile may have been ended by anybody.
const EDGES_MAX: u32 = 2;

/// A plan that the edge was asked to go by.
pub(super) struct Proposal {
    pub(super) plan: Plan,
    serial: u32,
    described: Vec<u8>,
    carried: OwnedFd,
    logs: Logs,
    /// The names of all apps, with its own.
    numbers: Vec<String>,
    pub(super) then: Then,
    /// Edges that it was shown to.
    edges: u32,
    /// Until when the edge that is there has to answer.
    answer_by_ms: Option<u64>,
    /// Whether that edge was started by it.
    is_start: bool,
}

/// What is to be done once a plan is gone by.
#[derive(Default)]
pub(super) struct Then {
    /// Every worker is replaced.
    pub(super) rolls_all: bool,
    /// It is made of files that have changed by themselves: where it cannot be gone by, they are looked at again.
    pub(super) renews: bool,
    /// Who is told, and what was done.
    pub(super) asker: Option<(UnixStream, String)>,
}

/// Who waits until a plan is gone by, and until the workers of an app, or of all, are replaced.
pub(super) struct Awaiting {
    pub(super) serial: u32,
    pub(super) app: Option<usize>,
    /// What was done, once it is.
    pub(super) done: String,
    pub(super) stream: UnixStream,
}

impl Awaiting {
    /// Who waits until this plan is gone by, and no worker is being replaced.
    fn all(serial: u32, done: String, stream: UnixStream) -> Awaiting {
        Awaiting { serial, app: None, done, stream }
    }
}

/// What the edge has said to a plan.
pub(super) enum Verdict {
    Adopted(u32),
    Refused(u32, String),
}

impl Verdict {
    /// Nothing for a report that is none.
    pub(super) fn of(report: Report, raw: &[u8]) -> Option<Verdict> {
        match report {
            Report::Adopted { serial } => Some(Verdict::Adopted(serial)),
            Report::Refused { serial } => Some(Verdict::Refused(serial, refusal(raw))),
            _ => None,
        }
    }
}

impl Master {
    /// Asks the edge to go by another plan; nothing is asked where it is the one that counts already. What is to be done
    /// for it follows once the edge goes by it.
    ///
    /// # Errors
    /// What stands in the way, in the words of a person; then nothing has changed.
    pub(super) fn propose(&mut self, mut plan: Plan) -> Result<Option<&mut Then>, String> {
        if self.proposal.is_some() {
            return Err("another change is under way".into());
        }
        if plan.user != self.plan.user {
            say("another user counts from the next start on");
            plan.user.clone_from(&self.plan.user);
            plan.user_origin.clone_from(&self.plan.user_origin);
            // Who is chosen for apps is never the edge's user, as that is now.
            crate::users::choose_for_apps(plan.user.as_ref(), &mut plan.apps);
        }
        if plan.edge_threads != self.plan.edge_threads {
            say("another number of threads counts from the next start on");
            plan.edge_threads = self.plan.edge_threads;
        }
        certificates::read_missing(&mut plan)?;
        let mut numbers = self.numbers.clone();
        number_apps(&mut plan, &mut numbers);
        self.listeners.bind(&mut plan)?;
        let prepared = self.prepare(plan, numbers);
        if !matches!(prepared, Ok(Some(_))) {
            self.listeners.keep(&self.plan);
        }
        let Some(proposal) = prepared? else { return Ok(None) };
        self.last_serial = proposal.serial;
        self.proposal = Some(proposal);
        self.show_proposal();
        Ok(self.proposal.as_mut().map(|proposal| &mut proposal.then))
    }

    /// All that may fail before the edge is asked.
    fn prepare(&self, plan: Plan, numbers: Vec<String>) -> Result<Option<Proposal>, String> {
        let described = serde_json::to_vec(&plan).map_err(|error| error.to_string())?;
        // The edge is not told what only workers know.
        let is_known = |app: &App| self.plan.apps.iter().any(|old| old.number == app.number && old.starts_like(app));
        if described == self.described && plan.apps.iter().all(is_known) {
            return Ok(None);
        }
        let logs = self.logs.of(&plan)?;
        let carried =
            carry("hallway plan", &described).map_err(|error| format!("the edge cannot be given the plan: {error}"))?;
        Ok(Some(Proposal {
            plan,
            serial: self.last_serial + 1,
            described,
            carried,
            logs,
            numbers,
            then: Then::default(),
            edges: 0,
            answer_by_ms: None,
            is_start: false,
        }))
    }

    /// Shows the plan that is proposed to the edge, where there is one.
    pub(super) fn show_proposal(&mut self) {
        let now_ms = self.now_ms();
        let answer_by_ms = Some(now_ms + ANSWER_MS);
        let is_briefed = self.briefed_edge().is_some();
        let (Some(edge), Some(proposal)) = (self.edge.as_ref().filter(|_| is_briefed), &mut self.proposal) else {
            return;
        };
        if proposal.answer_by_ms.is_some() {
            return;
        }
        proposal.edges += 1;
        (proposal.answer_by_ms, proposal.is_start) = (answer_by_ms, false);
        self.vigil.iter_mut().for_each(|vigil| vigil.loosen(now_ms, &proposal.plan));
        let known = |at: &Listen| self.plan.listeners.iter().any(|listener| listener.at == *at);
        let new = self.listeners.of(&proposal.plan).filter(|held| !known(&held.at));
        let order = Order::Plan { serial: proposal.serial };
        let shown = give_sockets(&edge.channel, new)
            .and_then(|()| proposal.logs.hand_over(&proposal.plan, &edge.channel))
            .and_then(|()| edge.channel.send(&order.encode(), &[proposal.carried.as_fd()]));
        if shown.is_err() {
            // It has a part of it, and does not take the rest: the next one is shown all of it.
            edge.signal(Signal::KILL);
        }
    }

    /// Gives an edge the plan that it begins with: that which is gone by; where no edge could begin with it, the one that is
    /// proposed instead.
    ///
    /// # Errors
    /// Those of the channel.
    pub(super) fn give_first_plan(&mut self) -> io::Result<()> {
        let now_ms = self.now_ms();
        let answer_by_ms = Some(now_ms + ANSWER_MS);
        let Some(vigil) = self.vigil.as_mut() else { return Ok(()) };
        let Some(channel) = self.edge.as_ref().map(|edge| &edge.channel) else { return Ok(()) };
        let (plan, serial, described, logs) = match self.proposal.as_mut().filter(|_| self.edge_failed) {
            Some(proposal) => {
                proposal.edges += 1;
                (proposal.answer_by_ms, proposal.is_start) = (answer_by_ms, true);
                vigil.loosen(now_ms, &proposal.plan);
                (&proposal.plan, proposal.serial, &proposal.described, &proposal.logs)
            }
            None => (&self.plan, self.serial, &self.described, &self.logs),
        };
        let carried = carry("hallway plan", described)?;
        give_sockets(channel, self.listeners.of(plan))?;
        logs.hand_over(plan, channel)?;
        channel.send(&Order::Plan { serial }.encode(), &[carried.as_fd(), vigil.file()])
    }

    /// Has the edge write on in files that are opened now: the former ones were moved away.
    pub(super) fn reopen_logs(&mut self) {
        // Only once it is known by which plan the edge goes is it known which files it takes.
        self.reopens = self.proposal.is_some();
        if self.reopens {
            return;
        }
        self.logs.reopen();
        if let Some(edge) = self.briefed_edge() {
            let handed = self.logs.hand_over(&self.plan, &edge.channel);
            if handed.and_then(|()| edge.channel.send(&Order::ReopenLogs.encode(), &[])).is_err() {
                edge.signal(Signal::KILL);
            }
        }
    }

    /// When an edge that was asked must have answered.
    pub(super) fn answer_by_ms(&self) -> Option<u64> {
        self.proposal.as_ref().and_then(|proposal| proposal.answer_by_ms)
    }

    /// Takes what has become of the plan that was proposed; what follows.
    pub(super) fn settle(&mut self, tree: &mut Supervisor) -> Vec<Event> {
        let mut events = Vec::new();
        for verdict in std::mem::take(&mut self.verdicts) {
            let proposed = self.proposal.as_ref().map(|proposal| proposal.serial);
            match verdict {
                Verdict::Adopted(serial) if proposed == Some(serial) => events.extend(self.commit(tree)),
                Verdict::Adopted(serial) => self.adopted = self.adopted.max(serial),
                Verdict::Refused(serial, why) if proposed == Some(serial) => {
                    events.extend(self.take_back(&format!("the edge cannot go by it: {why}")));
                }
                Verdict::Refused(..) => {}
            }
        }
        let now_ms = self.now_ms();
        let Some(proposal) = &mut self.proposal else { return events };
        if self.edge.is_none() && proposal.answer_by_ms.take().is_some() {
            if proposal.is_start {
                events.extend(self.take_back("no edge can start by it; its own words are in the log"));
            } else if proposal.edges >= EDGES_MAX {
                events.extend(self.take_back("edges end when they are to go by it; their own words are in the log"));
            }
        } else if proposal.answer_by_ms.is_some_and(|at| at <= now_ms) {
            let why = format!("the edge has not answered for {} s and is replaced", ANSWER_MS / 1000);
            self.signal(Child::Edge, Signal::KILL);
            events.extend(self.take_back(&why));
        }
        events
    }

    /// The edge goes by it: now everything else does.
    fn commit(&mut self, tree: &mut Supervisor) -> Vec<Event> {
        let Some(Proposal { plan, serial, described, logs, numbers, then, .. }) = self.proposal.take() else {
            return Vec::new();
        };
        let is_news = self.adopted != 0;
        let before = std::mem::replace(&mut self.plan, plan);
        self.former.insert(self.serial);
        (self.described, self.logs, self.numbers) = (described, logs, numbers);
        (self.serial, self.adopted) = (serial, serial);
        if is_news {
            say("configuration reloaded; new requests use it");
        }
        self.listeners.keep(&self.plan);
        self.weigh_soon();
        self.note_certificates();
        self.renew_watch();
        let now_ms = self.now_ms();
        let changed = |app: &&App| before.apps.iter().any(|old| is_changed(old, app));
        let changed: Vec<usize> = self.plan.apps.iter().filter(changed).map(|app| app.number).collect();
        let apps: Vec<(usize, AppSettings)> = self.plan.apps.iter().map(|app| (app.number, settings_of(app))).collect();
        let mut commands = tree.adopt(now_ms, &apps, self.plan.graceful_timeout_ms());
        for app in changed {
            commands.extend(tree.step(now_ms, Event::RollApp(app)));
        }
        commands.extend(tree.step(now_ms, Event::Tick));
        let mut events = self.obey_all(commands);
        events.extend(self.do_then(then, tree));
        events.extend(self.changes_again());
        events
    }

    /// What was asked for with a plan that is gone by.
    pub(super) fn do_then(&mut self, then: Then, tree: &Supervisor) -> Vec<Event> {
        if let Some((stream, done)) = then.asker {
            self.awaiting.push(Awaiting::all(self.serial, done, stream));
        }
        if !then.rolls_all || self.plan.apps.is_empty() {
            return Vec::new();
        }
        self.narrate(tree, Event::Roll);
        self.plan.apps.iter().map(|app| Event::RollApp(app.number)).collect()
    }

    /// Nothing of it is kept.
    fn take_back(&mut self, why: &str) -> Vec<Event> {
        let Some(proposal) = self.proposal.take() else { return Vec::new() };
        self.listeners.keep(&self.plan);
        self.renew_watch();
        tell_unchanged(why);
        if proposal.then.renews {
            self.look_again();
        }
        if let Some((stream, _)) = proposal.then.asker {
            drop(control::answer(stream, &json!({ "problem": why })));
        }
        self.changes_again()
    }

    /// Who asked for a change meanwhile, or for logs to be opened anew, is heard now.
    fn changes_again(&mut self) -> Vec<Event> {
        if self.reopens {
            self.reopen_logs();
        }
        let again = std::mem::take(&mut self.rolls_again);
        again.then_some(Event::Roll).into_iter().collect()
    }
}

fn is_changed(old: &App, app: &App) -> bool {
    old.number == app.number && !old.starts_like(app)
}

/// An app keeps its number for as long as there is one of its name, and nobody else gets it.
fn number_apps(plan: &mut Plan, numbers: &mut Vec<String>) {
    for app in &mut plan.apps {
        let known = numbers.iter().position(|name| *name == app.name);
        app.number = known.unwrap_or_else(|| {
            numbers.push(app.name.clone());
            numbers.len() - 1
        });
    }
}
