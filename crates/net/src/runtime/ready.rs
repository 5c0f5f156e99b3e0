//! What is ready.
//!
//! In:     the outcome of one look at a future.
//! Out:    its output, where there is one.
//! Actors: none.
//! Never:  waits.

use std::task::Poll;

/// What is ready.
pub fn now<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
