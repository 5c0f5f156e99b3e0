//! Ends this process where its own end cannot be waited for.
//!
//! In:     -
//! Out:    a process that has ended.
//! Actors: the operating system.
//! Never:  does the interpreter, or a thread that holds its lock, have a say in it.

use rustix::process::{Signal, getpid, kill_process};

/// Ends this process at once, whatever its other threads hold.
pub(crate) fn end_process() {
    let _ = kill_process(getpid(), Signal::KILL);
}
