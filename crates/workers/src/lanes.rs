//! In:     how many event loops the edge has, and how many requests a worker takes at a time.
//! Out:    both ends of the lanes between one worker and the edge.
//! Actors: the operating system.
//! Never:  does the master keep an end; a lane ends when one of its two processes does.

use hallway_core::lane::{FRAME_BYTES_MAX, frames_max};
use hallway_ring::{Bell, Shape};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io;
use std::os::fd::OwnedFd;

/// Both ends of one worker's lanes: a socket for files, whose end tells that the other process has
/// ended; the memory of the rings; a bell for each event loop, which wakes it.
#[derive(Debug)]
pub struct Lanes {
    /// The edge's end of the socket.
    pub edge: OwnedFd,
    /// The worker's end of the socket.
    pub worker: OwnedFd,
    /// For both: the memory, then the bells.
    pub shared: Vec<OwnedFd>,
}

/// Makes the lanes of one worker.
///
/// # Errors
/// Those of `socketpair`, `memfd_create` and `eventfd`.
pub fn make_lanes(slots: u32, edge_threads: usize) -> io::Result<Lanes> {
    let (edge, worker) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let shape = Shape::new(FRAME_BYTES_MAX, frames_max(slots), slots as usize, edge_threads);
    let mut shared = vec![hallway_ring::create(shape)?];
    for _ in 0..edge_threads {
        shared.push(Bell::create()?.into());
    }
    Ok(Lanes { edge, worker, shared })
}
