//! In:     the number of event loops of the edge.
//! Out:    both ends of every socket between the edge and one worker.
//! Actors: none.
//! Never:  does the master keep an end; a lane ends when one of its two processes does.

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};
use std::io;
use std::os::fd::OwnedFd;

/// What a lane's socket may hold. The kernel gives at most `net.core.wmem_max`, doubled.
const BUFFER_BYTES: usize = 512 * 1024;

/// The ends of one worker's lanes: the inbound one first, then one outbound for each event loop.
#[derive(Debug)]
pub struct Lanes {
    /// For the edge.
    pub edge: Vec<OwnedFd>,
    /// For the worker.
    pub worker: Vec<OwnedFd>,
}

/// Makes the lanes of one worker.
///
/// # Errors
/// Those of `socketpair`.
pub fn make_lanes(edge_threads: usize) -> io::Result<Lanes> {
    let mut lanes = Lanes { edge: Vec::new(), worker: Vec::new() };
    for _ in 0..=edge_threads {
        let (edge, worker) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        for end in [&edge, &worker] {
            // A smaller buffer than asked for works too.
            let _ = sockopt::set_socket_send_buffer_size(end, BUFFER_BYTES);
        }
        lanes.edge.push(edge);
        lanes.worker.push(worker);
    }
    Ok(lanes)
}
