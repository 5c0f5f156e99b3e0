//! In:     ended children of this process, also adopted ones when it is PID 1.
//! Out:    who ended and how.
//! Actors: none.
//! Never:  is an ended child left as a zombie.

use rustix::process::{WaitOptions, wait};

/// A child that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its process id.
    pub pid: u32,
    /// Its exit code; nothing if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// The resident memory of a process, where it can be seen.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The next child that has ended, if any has.
pub fn reap() -> Option<Ended> {
    let (pid, status) = wait(WaitOptions::NOHANG).ok().flatten()?;
    let pid = u32::try_from(pid.as_raw_nonzero().get()).ok()?;
    Some(Ended { pid, code: status.exit_status(), signal: status.terminating_signal() })
}
