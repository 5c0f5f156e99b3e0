//! Files that an event loop uses.
//!
//! In:     open files, directories, bytes that do not fit into memory.
//! Out:    their bytes, without a wait on the event loop.
//! Actors: threads for files.
//! Never:  has an event loop wait for a disk.

pub mod mounts;
pub mod nameless;
pub mod pools;
pub mod read;
pub mod seen;
pub mod spill;
pub mod spool;
pub mod stored;
