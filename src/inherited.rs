//! Takes over the descriptors that this process was started with.
//!
//! In:     whatever who started this process left open.
//! Out:    each of them, to whoever has a name for it; the others are closed.
//! Actors: the operating system.
//! Never:  does a descriptor that nobody named stay open, or is one of hallway's own taken for one that was passed.

use hallway_workers::take_inherited;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// Where there is no /proc, so many are looked at.
const LOOKED_AT: i32 = 1024;

/// Those that were left open, by their numbers; not standard input, output and error.
pub(crate) struct Inherited(BTreeMap<i32, OwnedFd>);

impl Inherited {
    /// All there are. To be called before this process opens anything.
    pub(crate) fn of_process() -> Inherited {
        let numbers: Vec<i32> = match std::fs::read_dir("/proc/self/fd") {
            Ok(entries) => entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect(),
            Err(_) => (0..LOOKED_AT).collect(),
        };
        // That of the list itself is closed by now.
        Inherited(numbers.into_iter().filter_map(|number| Some((number, take_inherited(number).ok()?))).collect())
    }

    /// The one with this number; nothing where it was not passed, or has been taken.
    pub(crate) fn take(&mut self, number: i32) -> Option<OwnedFd> {
        self.0.remove(&number)
    }

    /// Closes those that nobody has taken.
    pub(crate) fn close(&mut self) {
        self.0.clear();
    }
}
