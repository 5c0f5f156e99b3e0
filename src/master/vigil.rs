//! Sees that the edge turns.
//!
//! In:     the moments at which the edge's threads last turned; how the system says that they are.
//! Out:    the news that it hangs, once for each edge; words on who hangs and how.
//! Actors: the master's loop looks at memory that it shares with the edge, and at /proc where somebody is silent.
//! Never:  does an edge that lies in that memory do more than escape its own watchdog.

use super::Master;
use super::news::{say, seconds};
use hallway_core::plan::Plan;
use hallway_core::supervise::{Condition, EXCUSED_MS, Event, Silence, Watch};
use hallway_edge::{Beats, MAIN, monotonic_ms};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Watches one edge.
pub(super) struct Vigil {
    beats: Beats,
    /// What the edge maps, too.
    file: OwnedFd,
    watch: Watch,
    /// What the shared clock shows where the master's shows nothing.
    beginning_ms: u64,
}

impl Vigil {
    /// Begins with an edge.
    pub(super) fn begin(now_ms: u64, plan: &Plan) -> io::Result<Vigil> {
        let slots = MAIN + 1 + plan.edge_threads;
        let file = Beats::create(slots)?;
        let (beats, watch) = (Beats::map(&file, slots)?, Watch::new(now_ms, plan.watchdog_ms));
        Ok(Vigil { beats, file, watch, beginning_ms: monotonic_ms().saturating_sub(now_ms) })
    }

    /// What the edge is to be given with its first plan.
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// When to look next.
    pub(super) fn wake_at(&self) -> Option<u64> {
        self.watch.wake_at()
    }

    /// The edge is asked to go by another plan: the more patient of the two counts until that is settled.
    pub(super) fn loosen(&mut self, now_ms: u64, plan: &Plan) {
        self.watch.loosen(now_ms, plan.watchdog_ms);
    }

    fn turned(&self) -> Vec<u64> {
        let own = |at: u64| if matches!(at, 0 | EXCUSED_MS) { at } else { at.saturating_sub(self.beginning_ms).max(1) };
        self.beats.all().map(own).collect()
    }
}

impl Master {
    /// The edge goes by the plan, and by no other.
    pub(super) fn renew_watch(&mut self) {
        let (now_ms, watchdog_ms) = (self.now_ms(), self.plan.watchdog_ms);
        self.vigil.iter_mut().for_each(|vigil| vigil.watch.renew(now_ms, watchdog_ms));
    }

    /// Looks at the edge, where it is time.
    pub(super) fn look_at_edge(&mut self) -> Option<Event> {
        let (now_ms, pid) = (self.now_ms(), self.edge.as_ref()?.pid);
        let vigil = self.vigil.as_mut()?;
        let turned = vigil.turned();
        let threads = |part: usize| vigil.beats.thread(MAIN + part);
        let silence = vigil.watch.look(now_ms, &turned, |silence| match silence {
            Silence::Main => condition_of(pid, threads(0)),
            Silence::EventLoop(number) => condition_of(pid, threads(1 + number)),
            Silence::Everybody => condition(pid),
        })?;
        let silent = match silence {
            Silence::Main => Some(MAIN),
            Silence::EventLoop(number) => Some(MAIN + 1 + number),
            Silence::Everybody => None,
        };
        let thread = silent.map_or(pid, |slot| vigil.beats.thread(slot));
        let state = state(pid, thread);
        self.vigil = None;
        let who = match silence {
            Silence::Main => format!("the edge's main thread ({thread})"),
            Silence::EventLoop(number) => format!("event loop {} of the edge (thread {thread})", number + 1),
            Silence::Everybody if turned.iter().all(|at| matches!(*at, 0 | EXCUSED_MS)) => {
                format!("the edge (process {pid}), which is not ready yet,")
            }
            Silence::Everybody => format!("the edge (process {pid})"),
        };
        // Who is stopped shows nothing, and whoever hears the order must turn.
        let speaks = matches!(silence, Silence::EventLoop(_)) && !is_stopped(state);
        let (time, how) = (seconds(self.plan.watchdog_ms), told(state));
        let what = if speaks { "it shows its stack, and another edge takes over" } else { "another edge takes over" };
        // `run` has no flag for it.
        let by = if self.plan.by_flags { "" } else { " (watchdog)" };
        say(&format!("{who} has not turned for {time}{by}: it {how}; {what}"));
        Some(Event::EdgeHangs { speaks })
    }
}

/// How all threads of a process are.
fn condition(pid: u32) -> Condition {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads = threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let states: Vec<char> = threads.filter_map(|thread| state(pid, thread)).collect();
    match &states {
        states if states.iter().any(|it| is_stopped(Some(*it))) => Condition::Stopped,
        states if states.iter().any(|state| matches!(state, 'R' | 'D')) => Condition::HeldUp,
        _ => Condition::Asleep,
    }
}

/// How one thread is, while others turn.
fn condition_of(pid: u32, thread: u32) -> Condition {
    match state(pid, thread) {
        Some('D') if is_memory_short() => Condition::HeldUp,
        state if is_stopped(state) => Condition::Stopped,
        _ => Condition::Asleep,
    }
}

/// Whether, of the last ten seconds, somebody waited for memory for more than one in twenty (PSI, proc_pressure(5)). Not
/// every kernel tells.
fn is_memory_short() -> bool {
    let pressure = fs::read_to_string("/proc/pressure/memory").unwrap_or_default();
    let average = pressure.split_ascii_whitespace().find_map(|word| word.strip_prefix("avg10="));
    average.and_then(|percent| percent.parse::<f64>().ok()).is_some_and(|percent| percent > 5.0)
}

/// How a thread is, as in proc_pid_stat(5); nothing where that cannot be seen.
fn state(pid: u32, thread: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn is_stopped(state: Option<char>) -> bool {
    matches!(state, Some('T' | 't'))
}

fn told(state: Option<char>) -> &'static str {
    match state {
        Some('T') => "was stopped by a signal",
        Some('t') => "was stopped by a debugger",
        Some('R') => "runs without end",
        Some('D') => "waits for a disk",
        Some('S') => "waits for something that does not come",
        _ => "does not run",
    }
}
