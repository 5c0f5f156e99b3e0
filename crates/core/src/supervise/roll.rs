//! In:     workers that are to be replaced while they still serve.
//! Out:    for each app one replacement at a time: started first, ready first; only then the old one is let go.
//! Actors: none.
//! Never:  does a roll leave fewer workers than there were, go on with an app that does not load, or wait for one
//!         of another app.

use super::children::{Vacancy, Worker, WorkerPhase};
use super::{Command, Supervisor, Tidings};
use std::collections::VecDeque;

/// Replacements that are due and the one that is under way.
#[derive(Debug, Default)]
pub(super) struct Roll {
    due: VecDeque<u32>,
    /// At most one of each app.
    current: Vec<Replacement>,
}

/// A worker and the one that takes its place.
#[derive(Clone, Copy, Debug)]
struct Replacement {
    app: usize,
    old: u32,
    new: u32,
}

impl Supervisor {
    /// Every worker of these apps is to be replaced: the code has changed. An app that could not be started is tried
    /// again at once.
    pub(super) fn roll_apps(&mut self, now_ms: u64, is_meant: impl Fn(usize) -> bool, out: &mut Vec<Command>) {
        self.forget_begun(now_ms, &is_meant, out);
        let is_due = |worker: &&Worker| worker.may_serve() && is_meant(worker.place.app);
        let mut workers: Vec<&Worker> = self.workers.iter().filter(is_due).collect();
        workers.sort_by_key(|worker| worker.place);
        let due: Vec<u32> = workers.iter().map(|worker| worker.id).collect();
        self.roll.due.retain(|id| !due.contains(id));
        self.roll.due.extend(due);
        for vacancy in self.vacancies.iter_mut().filter(|vacancy| is_meant(vacancy.place.app)) {
            vacancy.at_ms = vacancy.at_ms.min(now_ms);
            self.apps[vacancy.place.app].is_asked_for = true;
        }
    }

    /// Gives up replacements that still load: what they have read may have changed since, and they may hang in it.
    fn forget_begun(&mut self, now_ms: u64, is_meant: &impl Fn(usize) -> bool, out: &mut Vec<Command>) {
        for Replacement { old, new, .. } in self.roll.current.clone().into_iter().filter(|it| is_meant(it.app)) {
            let Some(place) = self.workers.iter().find(|it| it.id == new).map(|it| it.place) else { continue };
            self.roll_forget(new);
            self.retire(now_ms, new, out);
            if !self.workers.iter().any(|it| it.id == old && it.phase != WorkerPhase::Retiring) {
                self.vacancies.push(Vacancy { place, at_ms: now_ms });
            }
        }
    }

    /// One worker is to be replaced: it has served enough.
    pub(super) fn roll_one(&mut self, worker: u32) {
        if !self.is_to_be_replaced(worker) {
            self.roll.due.push_back(worker);
        }
    }

    /// Whether workers are being replaced, or an app is tried because somebody asked for that.
    pub fn is_rolling(&self) -> bool {
        (0..self.apps.len()).any(|app| self.is_rolling_app(app))
    }

    /// The same for one app.
    pub fn is_rolling_app(&self, app: usize) -> bool {
        let is_asked_for = self.apps.get(app).is_some_and(|app| app.is_asked_for);
        is_asked_for || self.roll.current.iter().any(|it| it.app == app)
    }

    /// Whether a replacement of this worker is due or under way.
    pub fn is_to_be_replaced(&self, worker: u32) -> bool {
        let is_leaving = self.workers.iter().any(|it| it.id == worker && !it.may_serve());
        is_leaving || self.roll.due.contains(&worker) || self.roll.current.iter().any(|it| it.old == worker)
    }

    /// Starts the next replacement of each app where none is under way.
    pub(super) fn roll_on(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        if self.is_stopping() {
            return;
        }
        for old in std::mem::take(&mut self.roll.due) {
            // One that has died since has been replaced by a new one anyway.
            let Some(place) = self.workers.iter().find(|it| it.id == old && it.may_serve()).map(|it| it.place) else {
                continue;
            };
            if self.roll.current.iter().any(|it| it.app == place.app) {
                self.roll.due.push_back(old);
                continue;
            }
            let new = self.spawn_worker(now_ms, place, out);
            self.roll.current.push(Replacement { app: place.app, old, new });
        }
    }

    /// A worker has become ready: if it is a replacement, the old one may go.
    pub(super) fn roll_ready(&mut self, now_ms: u64, worker: u32, out: &mut Vec<Command>) {
        let Some(at) = self.roll.current.iter().position(|it| it.new == worker) else { return };
        let old = self.roll.current.swap_remove(at).old;
        self.retire(now_ms, old, out);
    }

    /// A replacement could not be started. The old ones serve on, and the others of its app stay too. Whether an old
    /// one has its place.
    pub(super) fn roll_failed(&mut self, worker: &Worker, code: Option<i32>, out: &mut Vec<Command>) -> bool {
        let Some(at) = self.roll.current.iter().position(|it| it.new == worker.id) else { return false };
        let Replacement { app, old, .. } = self.roll.current.swap_remove(at);
        let workers = &self.workers;
        let is_of_it = |id: &u32| workers.iter().any(|it| it.id == *id && it.place.app == app);
        self.roll.due.retain(|id| !is_of_it(id));
        out.push(Command::Tell(Tidings::NotReplaced { app, code: boot_code(code) }));
        self.workers.iter().any(|it| it.id == old && it.phase != WorkerPhase::Retiring)
    }

    /// A worker that was ready has ended, or leaves. Whether its replacement is on its way, so that no vacancy is left.
    pub(super) fn roll_exited(&self, worker: &Worker) -> bool {
        self.roll.current.iter().any(|it| it.old == worker.id)
    }

    /// A worker is let go for another reason: the roll goes on without it.
    pub(super) fn roll_forget(&mut self, worker: u32) {
        self.roll.due.retain(|due| *due != worker);
        self.roll.current.retain(|it| it.old != worker && it.new != worker);
    }
}

/// How the end of a worker that did not become ready is told as an exit code.
pub(super) fn boot_code(code: Option<i32>) -> i32 {
    code.filter(|code| *code == 4).unwrap_or(3)
}
