//! In:     workers that are to leave, an edge that is to end, the time they have for it.
//! Out:    orders to finish; for those who do not in time, their last words and their end.
//! Actors: none.
//! Never:  has who leaves by one way less time than by another.

use super::children::{Worker, WorkerPhase};
use super::{CUT_MS, Child, Command, GONE_MS, LAST_WORDS_MS, LEAVE_MS, Phase, SECOND_STOP_MS, Supervisor, Tidings};

/// Workers of an app that said by themselves that they leave may stay for their graceful timeout: one for each, and so
/// many more. The oldest of further ones are ended at once.
pub(super) const LEAVERS_MAX: usize = 3;

impl Supervisor {
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

    /// A worker leaves although nobody told it to: its app called `sys.exit`. What keeps its interpreter from ending
    /// keeps nobody else from having its place.
    pub(super) fn left(&mut self, now_ms: u64, id: u32) {
        let Some(worker) = self.workers.iter_mut().find(|it| it.id == id) else { return };
        match worker.phase {
            WorkerPhase::Ready => {}
            WorkerPhase::Booting => {
                // It says so before it was ready: it will never be.
                (worker.has_spoken, worker.kill_at_ms) = (true, Some(now_ms + LAST_WORDS_MS));
                return;
            }
            WorkerPhase::Doomed | WorkerPhase::Retiring => return,
        }
        let kill_at_ms = now_ms + self.apps[worker.place.app].settings.graceful_timeout_ms;
        (worker.phase, worker.kill_at_ms, worker.join_by_ms) = (WorkerPhase::Retiring, Some(kill_at_ms), None);
        worker.has_left = true;
        let worker = *worker;
        self.hurry_leavers(now_ms, worker.place.app);
        if !self.roll_exited(&worker) {
            self.fill_again(now_ms, &worker);
        }
    }

    /// Those that said that they leave, and stay, are not to become many: the oldest have had their time.
    fn hurry_leavers(&mut self, now_ms: u64, app: usize) {
        let most = self.apps[app].settings.workers as usize + LEAVERS_MAX;
        let leaves = |it: &&mut Worker| it.place.app == app && it.has_left && !it.has_spoken;
        let mut leaving: Vec<&mut Worker> = self.workers.iter_mut().filter(leaves).collect();
        leaving.sort_by_key(|it| it.id);
        let late = leaving.len().saturating_sub(most);
        leaving.into_iter().take(late).for_each(|it| it.kill_at_ms = Some(now_ms));
    }

    /// What a stop leaves to the workers, once the edge has ended.
    pub(super) fn let_workers_go(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        self.phase = Phase::Leaving;
        let since_ms = self.stopping_since_ms.unwrap_or(now_ms);
        for worker in &mut self.workers {
            let patience_ms = self.apps[worker.place.app].settings.graceful_timeout_ms;
            let leave_at_ms = (since_ms + patience_ms).max(now_ms + LEAVE_MS);
            match worker.phase {
                WorkerPhase::Booting => out.push(Command::Kill(Child::Worker(worker.id))),
                WorkerPhase::Ready => {
                    out.push(Command::Finish(Child::Worker(worker.id)));
                    (worker.phase, worker.kill_at_ms) = (WorkerPhase::Retiring, Some(leave_at_ms));
                }
                WorkerPhase::Doomed | WorkerPhase::Retiring => {
                    worker.kill_at_ms = Some(worker.kill_at_ms.map_or(leave_at_ms, |at| at.min(leave_at_ms)));
                }
            }
        }
    }

    pub(super) fn stop(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        if let Some(since_ms) = self.stopping_since_ms {
            if now_ms >= since_ms + SECOND_STOP_MS {
                self.kill_all(now_ms, out);
            }
            return;
        }
        self.stopping_since_ms = Some(now_ms);
        if self.phase != Phase::Running {
            return;
        }
        self.phase = Phase::Draining;
        if self.edge.is_there() {
            out.push(Command::Finish(Child::Edge));
            self.edge.kill_at_ms = Some(now_ms + self.graceful_timeout_ms + CUT_MS);
        } else {
            self.let_workers_go(now_ms, out);
        }
    }

    pub(super) fn give_up(&mut self, now_ms: u64, code: i32, out: &mut Vec<Command>) {
        self.exit_code = code;
        self.kill_all(now_ms, out);
    }

    fn kill_all(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        self.phase = Phase::Leaving;
        if self.edge.is_there() {
            self.kill_edge(now_ms, out);
        }
        out.extend(self.workers.iter().map(|worker| Command::Kill(Child::Worker(worker.id))));
    }

    /// Ends those whose time is over. Who has not shown its stacks does that first: they say what keeps it.
    pub(super) fn end_late(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        let due = |at: &mut Option<u64>| at.take_if(|at| *at <= now_ms).is_some();
        if due(&mut self.edge.kill_at_ms) {
            let is_told = self.edge.is_doomed && !self.is_stopping();
            out.extend((!is_told).then_some(Command::Tell(Tidings::EdgeOverstays)));
            self.kill_edge(now_ms, out);
        }
        if due(&mut self.edge.ready_by_ms) && !self.edge.is_doomed {
            self.edge.is_doomed = true;
            out.push(Command::Tell(Tidings::EdgeStartsTooLong));
            self.kill_edge(now_ms, out);
        }
        if due(&mut self.edge.gone_by_ms) {
            self.edge_exited(now_ms, None, out);
        }
        for worker in &mut self.workers {
            if !due(&mut worker.kill_at_ms) {
                continue;
            }
            let tidings = match worker.phase {
                WorkerPhase::Booting => Tidings::LoadsTooLong(worker.id),
                _ => Tidings::Overstays(worker.id),
            };
            if worker.has_spoken || matches!(worker.phase, WorkerPhase::Ready | WorkerPhase::Doomed) {
                out.push(Command::Kill(Child::Worker(worker.id)));
            } else {
                out.extend([Command::Tell(tidings), Command::DumpStacks(worker.id)]);
                (worker.has_spoken, worker.kill_at_ms) = (true, Some(now_ms + LAST_WORDS_MS));
            }
        }
    }

    /// The edge hangs, as a whole or in part, and is replaced: who is at its other event loops waits less for a new one
    /// than others for this one. One that stops has its time for that, and is followed by none.
    pub(super) fn edge_hangs(&mut self, now_ms: u64, speaks: bool, out: &mut Vec<Command>) {
        if self.phase != Phase::Running || !self.edge.is_there() || self.edge.is_doomed {
            return;
        }
        self.edge.is_doomed = true;
        if speaks {
            out.push(Command::DumpEdge);
            self.edge.kill_at_ms = Some(now_ms + LAST_WORDS_MS);
        } else {
            self.kill_edge(now_ms, out);
        }
    }

    /// Ends the edge at once. Nothing of it runs from then on, but its end may be kept back by the kernel (a disk that does
    /// not answer) or by a debugger: nobody waits for that for long.
    fn kill_edge(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        out.push(Command::Kill(Child::Edge));
        let patience_ms = if self.is_stopping() { CUT_MS } else { GONE_MS };
        (self.edge.gone_by_ms, self.edge.ready_by_ms) = (Some(now_ms + patience_ms), None);
    }

    /// Whether a signal to stop at this time would end everything at once.
    pub fn is_second_stop(&self, now_ms: u64) -> bool {
        self.stopping_since_ms.is_some_and(|since_ms| now_ms >= since_ms + SECOND_STOP_MS)
    }
}
