//! In:     the number of a descriptor that the master left open for this process.
//! Out:    the descriptor, owned, and closed for the next exec.
//! Actors: none.
//! Never:  is a number taken that is not an open descriptor.

#![allow(unsafe_code)]

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Takes over a descriptor by its number. To be called once for each number, at the start of a
/// process, with the numbers its parent named on the command line.
///
/// # Errors
/// When no such descriptor is open, or it is one of the three standard ones.
pub fn take_inherited(number: i32) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{number} is not a descriptor to take over")));
    }
    // SAFETY: only asked whether it is open; nothing is closed or kept by this borrow.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_getfd(borrowed)?;
    fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open (just asked), and nobody else in this process owns it: it was opened by
    // the parent for this purpose, and this runs once for each number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Gives this thread descriptors of its own, apart from those of the process: these, and no others. They stay open in the
/// process, too, until it closes them there.
///
/// # Errors
/// Those of `unshare` and `fcntl`.
pub(crate) fn keep_only(numbers: &[RawFd]) -> io::Result<Vec<OwnedFd>> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    // SAFETY: from here on this thread has a table of its own, in which nothing owns what is closed: it has opened nothing
    // itself, and what others own is in the table of the process.
    unsafe {
        if libc::unshare(libc::CLONE_FILES) != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut from: libc::c_uint = 0;
        for number in sorted.iter().filter_map(|number| libc::c_uint::try_from(*number).ok()) {
            if number > from {
                libc::syscall(libc::SYS_close_range, from, number - 1, 0);
            }
            from = number + 1;
        }
        libc::syscall(libc::SYS_close_range, from, libc::c_uint::MAX, 0);
    }
    numbers.iter().map(|number| take_inherited(*number)).collect()
}
