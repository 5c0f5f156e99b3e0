//! Decides whether an edge hangs.
//!
//! In:     when the edge's main thread and each of its event loops last turned, the time of each look.
//! Out:    who has been silent for too long; when to look next.
//! Actors: none.
//! Never:  is a silence counted during which the one who looks was held up itself: a machine that pauses ends no edge.

/// What stands for a part that may be silent: it has ended, or does what takes its time.
pub const EXCUSED_MS: u64 = u64::MAX;
/// For a part that has not turned yet.
const UNBORN_MS: u64 = 0;
/// The shortest watchdog: a busy machine lets a thread wait for some tens of milliseconds.
pub const WATCHDOG_MS_MIN: u64 = 500;
/// The longest.
pub const WATCHDOG_MS_MAX: u64 = 3_600_000;

/// Looks within the time that may pass in silence.
const LOOKS: u64 = 4;
/// And while somebody has been silent for that time.
const LOOKS_NEAR: u64 = 16;
/// A look that is late by more than this part of that time counts nothing.
const LATE_PART: u64 = 8;
/// Who waits for a processor or a disk, since the system is short of them, is given so many times as long.
const HELD_UP_TIMES: u64 = 10;
/// One of which all threads were asleep when they were looked at.
const ASLEEP_TIMES: u64 = 2;

/// How long the parts of an edge may sleep between two turns of theirs; nothing where nobody watches them.
///
/// With the time between two looks and the lateness that one may have, that is less than the watchdog: a pause too
/// short to make a look late is too short to end anything.
pub fn beat_ms(watchdog_ms: u64) -> Option<u64> {
    (watchdog_ms > 0).then_some(watchdog_ms / 2)
}

/// Who is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The edge's main thread, which hears the master.
    Main,
    /// An event loop, counted from 0; others turned meanwhile.
    EventLoop(usize),
    /// Every one of them: the process is stopped, or held up.
    Everybody,
}

/// How the threads of a silent edge are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Somebody has stopped some.
    Stopped,
    /// All of them wait for something that does not come; or they were just seen in such a moment.
    Asleep,
    /// Some wait for a processor, or for a disk: the system holds them up, as while it swaps. Of one thread that others are
    /// ahead of: it waits for memory.
    HeldUp,
}

/// Watches one edge.
#[derive(Clone, Debug)]
pub struct Watch {
    watchdog_ms: u64,
    /// Silence counts from here at the earliest.
    since_ms: u64,
    /// When the next look is due.
    due_ms: u64,
}

impl Watch {
    /// Watches an edge that was just started; 0 for a watchdog that is turned off.
    pub fn new(now_ms: u64, watchdog_ms: u64) -> Watch {
        let mut watch = Watch { watchdog_ms, since_ms: now_ms, due_ms: now_ms };
        watch.forgive(now_ms);
        watch
    }

    /// Parts of the edge may go by another watchdog from now on; the more patient one counts.
    pub fn loosen(&mut self, now_ms: u64, watchdog_ms: u64) {
        if watchdog_ms == 0 || (self.watchdog_ms > 0 && watchdog_ms > self.watchdog_ms) {
            self.renew(now_ms, watchdog_ms);
        }
    }

    /// Another watchdog counts from now on, by which all parts of the edge go already.
    pub fn renew(&mut self, now_ms: u64, watchdog_ms: u64) {
        if self.watchdog_ms != watchdog_ms {
            self.watchdog_ms = watchdog_ms;
            self.forgive(now_ms);
        }
    }

    /// When to look next.
    pub fn wake_at(&self) -> Option<u64> {
        (self.watchdog_ms > 0).then_some(self.due_ms)
    }

    /// Looks, where it is time: at the moments of the main thread, then of each event loop. `condition` is asked, and only
    /// where somebody is silent for too long, how those are.
    pub fn look(
        &mut self,
        now_ms: u64,
        turned: &[u64],
        condition: impl FnOnce(Silence) -> Condition,
    ) -> Option<Silence> {
        if self.wake_at().is_none_or(|at| now_ms < at) {
            return None;
        }
        if now_ms > self.due_ms.saturating_add(self.watchdog_ms / LATE_PART) {
            // Whoever held up this look may have held up the edge.
            self.forgive(now_ms);
            return None;
        }
        let is_silent =
            |at: &u64| ![UNBORN_MS, EXCUSED_MS].contains(at) && self.silence_ms(now_ms, *at) >= self.watchdog_ms;
        // Somebody has turned when this part should have, and it did not.
        let missed_ms = self.watchdog_ms / 2 + self.watchdog_ms / LATE_PART;
        let is_missed =
            |at: u64| turned.iter().any(|other| *other != EXCUSED_MS && *other > at.saturating_add(missed_ms));
        let silent = turned.iter().position(|at| is_silent(at) && is_missed(*at));
        let found = match silent {
            Some(part) => {
                let silence = part.checked_sub(1).map_or(Silence::Main, Silence::EventLoop);
                let times = if condition(silence) == Condition::HeldUp { HELD_UP_TIMES } else { 1 };
                let is_over = self.silence_ms(now_ms, turned[part]) >= self.watchdog_ms.saturating_mul(times);
                is_over.then_some(silence)
            }
            None => self.is_over(now_ms, turned, condition).then_some(Silence::Everybody),
        };
        let is_near = turned.iter().any(is_silent);
        self.plan_next(now_ms, if is_near { LOOKS_NEAR } else { LOOKS }, turned);
        found
    }

    /// Whether an edge of which nothing is heard has been given enough.
    fn is_over(&self, now_ms: u64, turned: &[u64], condition: impl FnOnce(Silence) -> Condition) -> bool {
        let silence_ms = turned.iter().map(|at| self.silence_ms(now_ms, *at)).min().unwrap_or(0);
        // Its loops have ended: it is about to.
        let has_ended = turned.len() > 1 && turned[1..].iter().all(|at| *at == EXCUSED_MS);
        if silence_ms < self.watchdog_ms || has_ended {
            return false;
        }
        let times = match condition(Silence::Everybody) {
            Condition::Stopped => 1,
            Condition::Asleep => ASLEEP_TIMES,
            Condition::HeldUp => HELD_UP_TIMES,
        };
        silence_ms >= self.watchdog_ms.saturating_mul(times)
    }

    /// For how long nothing was heard of a part, as far as it counts.
    fn silence_ms(&self, now_ms: u64, at_ms: u64) -> u64 {
        let at_ms = if at_ms == EXCUSED_MS { UNBORN_MS } else { at_ms };
        now_ms.saturating_sub(at_ms.max(self.since_ms))
    }

    /// The next look is a part of the watchdog away, or where a silence would be over before that, then.
    fn plan_next(&mut self, now_ms: u64, looks: u64, turned: &[u64]) {
        let usual_ms = now_ms.saturating_add(self.watchdog_ms / looks);
        let over_at = |at: &u64| now_ms.saturating_add(self.watchdog_ms).saturating_sub(self.silence_ms(now_ms, *at));
        let soonest_ms = turned.iter().filter(|at| **at != EXCUSED_MS).map(over_at).filter(|at| *at > now_ms).min();
        self.due_ms = soonest_ms.unwrap_or(usual_ms).min(usual_ms).max(now_ms + 1);
    }

    /// Silence counts from now on.
    fn forgive(&mut self, now_ms: u64) {
        (self.since_ms, self.due_ms) = (now_ms, now_ms.saturating_add(self.watchdog_ms / LOOKS));
    }
}

#[cfg(test)]
mod tests;
