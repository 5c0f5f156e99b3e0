//! Locks of what threads share.
//!
//! In:     a mutex.
//! Out:    what it guards.
//! Actors: every thread.
//! Never:  waits for somebody who waits for something else: what is done under a lock takes a microsecond.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a mutex guards. A panic ends the process, so a poisoned lock is never seen.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
