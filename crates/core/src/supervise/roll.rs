//! In:     workers that are to be replaced while they still serve.
//! Out:    one replacement at a time: started first, ready first; only then the old one is let go.
//! Actors: none.
//! Never:  does a roll leave fewer workers than there were, or go on with an app that does not load.

use super::children::{Worker, WorkerPhase};
use super::{Child, Command, Supervisor};
use std::collections::VecDeque;

/// Replacements that are due and the one that is under way.
#[derive(Debug, Default)]
pub(super) struct Roll {
    due: VecDeque<u32>,
    current: Option<Replacement>,
}

/// A worker and the one that takes its place.
#[derive(Clone, Copy, Debug)]
struct Replacement {
    old: u32,
    new: u32,
}

impl Supervisor {
    /// Every worker of these apps is to be replaced: the code has changed.
    pub(super) fn roll_apps(&mut self, is_meant: impl Fn(usize) -> bool) {
        let is_due = |worker: &&Worker| worker.may_serve() && is_meant(worker.place.app);
        let mut workers: Vec<&Worker> = self.workers.iter().filter(is_due).collect();
        workers.sort_by_key(|worker| worker.place);
        let due: Vec<u32> = workers.iter().map(|worker| worker.id).collect();
        self.roll.due.retain(|id| !due.contains(id));
        self.roll.due.extend(due);
    }

    /// One worker is to be replaced: it has served enough.
    pub(super) fn roll_one(&mut self, worker: u32) {
        if !self.is_to_be_replaced(worker) {
            self.roll.due.push_back(worker);
        }
    }

    /// Whether workers are being replaced.
    pub fn is_rolling(&self) -> bool {
        self.roll.current.is_some()
    }

    /// Whether a replacement of this worker is due or under way.
    pub fn is_to_be_replaced(&self, worker: u32) -> bool {
        let is_leaving = self.workers.iter().any(|it| it.id == worker && !it.may_serve());
        is_leaving || self.roll.due.contains(&worker) || self.roll.current.is_some_and(|current| current.old == worker)
    }

    /// Starts the next replacement, where none is under way.
    pub(super) fn roll_on(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        while self.roll.current.is_none() && !self.is_stopping() {
            let Some(old) = self.roll.due.pop_front() else { return };
            // One that has died since has been replaced by a new one anyway.
            let Some(place) = self.workers.iter().find(|it| it.id == old && it.may_serve()).map(|it| it.place) else {
                continue;
            };
            let new = self.spawn_worker(now_ms, place, out);
            self.roll.current = Some(Replacement { old, new });
        }
    }

    /// A worker has become ready: if it is a replacement, the old one may go.
    pub(super) fn roll_ready(&mut self, now_ms: u64, worker: u32, out: &mut Vec<Command>) {
        let Some(current) = self.roll.current.take_if(|current| current.new == worker) else { return };
        self.retire(now_ms, current.old, out);
    }

    /// A worker has ended. Whether the roll knows what follows, so that no vacancy is left.
    pub(super) fn roll_exited(&mut self, worker: &Worker) -> bool {
        let Some(current) = self.roll.current else { return false };
        if current.new == worker.id {
            // It did not even become ready. The old ones serve on, and the others of its app stay too.
            let old_serves = self.workers.iter().any(|it| it.id == current.old);
            let workers = &self.workers;
            let is_of_it = |id: &u32| workers.iter().any(|it| it.id == *id && it.place.app == worker.place.app);
            self.roll.due.retain(|id| !is_of_it(id));
            self.roll.current = None;
            return old_serves;
        }
        // The replacement that is already on its way fills the place of an old one that died.
        current.old == worker.id
    }

    /// A worker is let go for another reason: the roll goes on without it.
    pub(super) fn roll_forget(&mut self, worker: u32) {
        self.roll.due.retain(|due| *due != worker);
        self.roll.current.take_if(|current| current.old == worker || current.new == worker);
    }

    /// Has a worker finish what it has and leave; its place is another's, or nobody's, from now on.
    pub(super) fn retire(&mut self, now_ms: u64, worker: u32, out: &mut Vec<Command>) {
        let Some(worker) = self.workers.iter_mut().find(|it| it.id == worker) else { return };
        let kill_at_ms = now_ms + self.apps[worker.place.app].settings.graceful_timeout_ms;
        let child = Child::Worker(worker.id);
        match std::mem::replace(&mut worker.phase, WorkerPhase::Retiring) {
            WorkerPhase::Booting => out.push(Command::Kill(child)),
            WorkerPhase::Ready => {
                (worker.kill_at_ms, worker.join_by_ms) = (Some(kill_at_ms), None);
                out.push(Command::Finish(child));
            }
            // Its end is near anyway.
            WorkerPhase::Doomed | WorkerPhase::Retiring => {}
        }
    }
}
