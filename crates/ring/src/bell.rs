//! In:     the worker's wish to wake an event loop that sleeps.
//! Out:    a descriptor that its poll waits for.
//! Actors: one worker rings, one event loop hears.
//! Never:  has an event loop to read it: each ring is an edge of its own for an edge-triggered poll.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::fstat;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// One end of a bell.
#[derive(Debug)]
pub struct Bell {
    descriptor: OwnedFd,
    /// Device and inode, by which it is known again.
    identity: Option<(u64, u64)>,
}

/// Its descriptor has become something else: somebody in this process closed it, and opened a file of
/// his own under the same number.
#[derive(Debug)]
pub struct Lost;

impl Bell {
    /// A new bell.
    ///
    /// # Errors
    /// Those of `eventfd`.
    pub fn create() -> io::Result<Bell> {
        Ok(Bell::from(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Rings; whoever sleeps at the other end wakes.
    ///
    /// # Errors
    /// When it is no bell any more. Nothing is written then: it might be a file of the application.
    pub fn ring(&self) -> Result<(), Lost> {
        if self.identity != identity_of(&self.descriptor) {
            return Err(Lost);
        }
        // It can only fail when it was rung 2^64 times.
        let _ = rustix::io::write(&self.descriptor, &1u64.to_ne_bytes());
        Ok(())
    }

    /// Forgets that it was rung, for one who waits for it to be rung again.
    pub fn hush(&self) {
        let _ = rustix::io::read(&self.descriptor, &mut [0; 8]);
    }
}

impl From<OwnedFd> for Bell {
    fn from(descriptor: OwnedFd) -> Bell {
        let identity = identity_of(&descriptor);
        Bell { descriptor, identity }
    }
}

impl From<Bell> for OwnedFd {
    fn from(bell: Bell) -> OwnedFd {
        bell.descriptor
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

fn identity_of(descriptor: &OwnedFd) -> Option<(u64, u64)> {
    fstat(descriptor).ok().map(|stat| (stat.st_dev, stat.st_ino))
}
