//! In:     -
//! Out:    what the supervisor remembers of each child.
//! Actors: none.
//! Never:  is a worker's number given to a second worker.

use super::short_lives::ShortLives;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkerPhase {
    /// Its application is being imported.
    Booting,
    /// It takes requests.
    Ready,
    /// It did not answer in time and will be killed.
    Doomed,
    /// Another one has its place; it finishes what it has.
    Retiring,
}

/// Where a worker stands: a replacement takes the place of the one that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which app, of those in the plan.
    pub app: usize,
    /// Which of its workers, from 1.
    pub number: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Worker {
    pub(super) id: u32,
    pub(super) place: Place,
    pub(super) phase: WorkerPhase,
    pub(super) kill_at_ms: Option<u64>,
    /// Whether it was told to show its stacks, which it is before it is killed for being late.
    pub(super) has_spoken: bool,
    /// Since when it takes requests.
    pub(super) ready_at_ms: u64,
    /// Whether it has answered anything.
    pub(super) has_served: bool,
    /// Whether it said by itself that it leaves.
    pub(super) has_left: bool,
    /// When it must have said hello to a new edge at the latest.
    pub(super) join_by_ms: Option<u64>,
}

impl Worker {
    pub(super) fn booting(id: u32, place: Place, kill_at_ms: u64) -> Self {
        let (phase, kill_at_ms, ready_at_ms, join_by_ms) = (WorkerPhase::Booting, Some(kill_at_ms), u64::MAX, None);
        let (has_spoken, has_served, has_left) = (false, false, false);
        Worker { id, place, phase, kill_at_ms, has_spoken, ready_at_ms, has_served, has_left, join_by_ms }
    }

    /// Whether its time to say hello is over.
    pub(super) fn is_missing(&self, now_ms: u64) -> bool {
        self.join_by_ms.is_some_and(|at| at <= now_ms)
    }

    pub(super) fn may_serve(&self) -> bool {
        matches!(self.phase, WorkerPhase::Booting | WorkerPhase::Ready)
    }
}

/// A place without a worker, to be filled at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vacancy {
    pub(super) place: Place,
    pub(super) at_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EdgePhase {
    Absent,
    Starting,
    Ready,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) phase: EdgePhase,
    pub(super) failures: u32,
    pub(super) kill_at_ms: Option<u64>,
    pub(super) respawn_at_ms: Option<u64>,
    /// When it must be ready at the latest.
    pub(super) ready_by_ms: Option<u64>,
    /// Whether it hung, and is killed for that.
    pub(super) is_doomed: bool,
    /// Once it is killed: when its end is not waited for any longer.
    pub(super) gone_by_ms: Option<u64>,
}

impl Edge {
    pub(super) fn absent() -> Self {
        let (kill_at_ms, respawn_at_ms, ready_by_ms, gone_by_ms) = (None, None, None, None);
        let (phase, failures, is_doomed) = (EdgePhase::Absent, 0, false);
        Edge { phase, failures, kill_at_ms, respawn_at_ms, ready_by_ms, is_doomed, gone_by_ms }
    }

    pub(super) fn starting(ready_by_ms: u64) -> Self {
        Edge { phase: EdgePhase::Starting, ready_by_ms: Some(ready_by_ms), ..Edge::absent() }
    }

    pub(super) fn become_ready(&mut self) {
        if self.is_there() {
            self.phase = EdgePhase::Ready;
            (self.failures, self.ready_by_ms) = (0, None);
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.phase != EdgePhase::Absent
    }
}

/// How edges have lived so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EdgeLives {
    /// When the last one became ready, where any has.
    ready_at_ms: Option<u64>,
    /// How often in a row one has died as soon as it was ready.
    short_lives: ShortLives,
}

impl EdgeLives {
    /// Whether there ever was one that served: then what keeps the next one from it may pass.
    pub(super) fn has_served(&self) -> bool {
        self.ready_at_ms.is_some()
    }

    pub(super) fn note_ready(&mut self, now_ms: u64) {
        self.ready_at_ms = Some(now_ms);
    }

    /// One that was ready has died: how long the next one waits. Not at all, unless they die one after the other.
    pub(super) fn pause_ms(&mut self, now_ms: u64) -> u64 {
        let lived_ms = now_ms.saturating_sub(self.ready_at_ms.unwrap_or(0));
        self.short_lives.pause_ms(lived_ms, true, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Child, Command, Event, Settings, Supervisor};

    /// Whatever kills them: they cost a pause, never the whole tree.
    #[test]
    fn edges_that_die_as_soon_as_they_are_there_pause() {
        // Of files and pools alone: there is no app by which the tree could tell that it has served.
        let mut tree = Supervisor::new(Settings { apps: Vec::new(), graceful_timeout_ms: 30_000, gives_up: false });
        tree.step(0, Event::Start);
        let mut pauses = Vec::new();
        for round in 1..=10u64 {
            let now_ms = round * 10_000;
            tree.step(now_ms, Event::Ready(Child::Edge));
            let commands = tree.step(now_ms + 10, Event::Exited(Child::Edge, None));
            let is_there = commands == [Command::SpawnEdge];
            pauses.push(if is_there { 0 } else { tree.wake_at().unwrap() - now_ms - 10 });
            let later = tree.step(now_ms + 5_000, Event::Tick);
            assert_eq!(is_there, later.is_empty(), "{later:?}");
        }
        assert_eq!(pauses, [0, 0, 0, 100, 200, 400, 800, 1_000, 1_000, 1_000]);
        // One that cannot even start is tried again and again, as what keeps it from that may pass.
        tree.step(200_000, Event::Ready(Child::Edge));
        assert_eq!(tree.step(300_000, Event::Exited(Child::Edge, Some(1))), [Command::SpawnEdge], "this one has lived");
        for pause_ms in [100, 200, 400] {
            assert_eq!(tree.step(300_100, Event::Exited(Child::Edge, Some(1))), []);
            assert_eq!(tree.wake_at(), Some(300_100 + pause_ms));
            assert_eq!(tree.step(300_100 + pause_ms, Event::Tick), [Command::SpawnEdge]);
        }
    }
}
