//! In:     a descriptor that no other owner can close.
//! Out:    the same, watched by the poll of this event loop.
//! Actors: the event loop.
//! Never:  is a descriptor watched after it was closed.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the poll end when this descriptor becomes readable.
///
/// # Errors
/// Those of `epoll_ctl`.
pub fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and stays the same descriptor until it is dropped, which only the
    // `AsyncFd` that owns it from here on does.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}
