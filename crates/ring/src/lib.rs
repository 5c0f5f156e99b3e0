//! In:     frames of one process.
//! Out:    the same frames in another process, in their order, without a system call unless it sleeps.
//! Actors: one sender and one receiver for each ring, in two processes that share a file in memory.
//! Never:  does the other side's memory make this side read or write outside of a ring.

#[cfg(not(loom))]
mod beats;
#[cfg(not(loom))]
mod bell;
#[cfg(not(loom))]
mod files;
#[cfg_attr(loom, path = "memory_model.rs")]
mod memory;
mod receiver;
mod sender;
mod shape;
mod words;

#[cfg(loom)]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(not(loom))]
pub use beats::{Beats, EXCUSED, monotonic_ms, monotonic_us};
#[cfg(not(loom))]
pub use bell::Bell;
#[cfg(not(loom))]
pub use files::{receive_file, send_file};
pub use memory::Memory;
#[cfg(not(loom))]
pub use memory::create;
pub use receiver::{Frame, Receiver};
pub use sender::{Refused, Sender, Sent};
pub use shape::Shape;

/// The other side wrote what the protocol forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;
