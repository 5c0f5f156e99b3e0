//! In:     the number of a descriptor that the master left open for this worker.
//! Out:    the descriptor, owned, and closed for programs that the application starts.
//! Actors: none.
//! Never:  is a number taken that is not an open descriptor.

#![allow(unsafe_code)]

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

/// A descriptor of the application's, duplicated: the application may close its own at any time.
pub(crate) fn duplicate(number: i32) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{number} is not a descriptor")));
    }
    // SAFETY: it is only duplicated, which fails if it is not open; nothing else is kept of it.
    Ok(fcntl_dupfd_cloexec(unsafe { BorrowedFd::borrow_raw(number) }, 3)?)
}

/// Takes over the descriptor that the boot script was given. To be called once for a number.
pub(crate) fn take(number: i32) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{number} is not a descriptor to take over")));
    }
    // SAFETY: only asked for its flags, which fails if it is not open; nothing is kept.
    fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::CLOEXEC)?;
    // SAFETY: it is open (just asked), and it was opened by the master for this very call.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
