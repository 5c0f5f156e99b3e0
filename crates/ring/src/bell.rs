//! In:     the worker's wish to wake an event loop that sleeps.
//! Out:    a descriptor that its poll waits for.
//! Actors: one worker rings, one event loop hears.
//! Never:  is it read: each ring is an edge of its own for an edge-triggered poll.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// One end of a bell.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A new bell.
    ///
    /// # Errors
    /// Those of `eventfd`.
    pub fn create() -> io::Result<Bell> {
        Ok(Bell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Rings; whoever sleeps at the other end wakes.
    pub fn ring(&self) {
        // It can only fail when it was rung 2^64 times.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

impl From<OwnedFd> for Bell {
    fn from(descriptor: OwnedFd) -> Bell {
        Bell(descriptor)
    }
}

impl From<Bell> for OwnedFd {
    fn from(bell: Bell) -> OwnedFd {
        bell.0
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
