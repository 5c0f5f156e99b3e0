//! The tools of an event loop.
//!
//! In:     what the system and the process lend.
//! Out:    clock, deadlines, buffers, ids, threads, locks, words for the operator.
//! Actors: the event loop that owns them.
//! Never:  knows a protocol, a plan or a request.

pub mod buffers;
pub mod clock;
pub mod console;
pub mod deadline;
pub mod event_loop;
pub mod ids;
pub mod lock;
pub mod readable_fd;
pub mod ready;
pub mod thread_pool;
