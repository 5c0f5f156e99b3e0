//! In:     waits of connections, each with the longest it may take.
//! Out:    the wait's result, or that its time is over.
//! Actors: one sweeper on each event loop, a few times a second; no timer for each wait.
//! Never:  does a deadline fire early; it may be late by two sweeps.

use slab::Slab;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Between two sweeps.
pub const SWEEP: Duration = Duration::from_millis(100);

/// A connection that has been idle for less than this is not ended for others.
const IDLE_MS_MIN: u64 = 1_000;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Something of a request or answer that has begun.
    Within,
    /// Its first request.
    Fresh,
    /// A further request.
    KeptAlive,
    /// The rest of a head.
    Head,
}

/// The time of a wait is over.
#[derive(Debug)]
pub struct Elapsed;

struct Entry {
    due_ms: u64,
    wait: Wait,
    fired: bool,
    waker: Option<Waker>,
}

/// The deadlines of one event loop: one entry for each connection.
#[derive(Default)]
pub struct Deadlines {
    entries: RefCell<Slab<Entry>>,
}

impl Deadlines {
    /// Fires what is due.
    pub fn sweep(&self, now_ms: u64) {
        self.fire(|entry| entry.due_ms <= now_ms);
    }

    /// Ends every wait of this kind; the loop is closing down.
    pub fn end(&self, wait: Wait) {
        self.fire(|entry| entry.wait == wait);
    }

    /// Ends waits for a request of connections that have waited for some time; what they have left
    /// until their end says for how long, `idle_ms` being all they get.
    pub fn end_idle(&self, now_ms: u64, idle_ms: u64) {
        let latest_ms = now_ms + idle_ms.saturating_sub(IDLE_MS_MIN.min(idle_ms));
        self.fire(|entry| matches!(entry.wait, Wait::Fresh | Wait::KeptAlive) && entry.due_ms <= latest_ms);
    }

    /// Lets go of the room for many, where there are none.
    pub fn shrink(&self) {
        self.entries.borrow_mut().shrink_to_fit();
    }

    fn fire(&self, is_due: impl Fn(&Entry) -> bool) {
        for (_, entry) in self.entries.borrow_mut().iter_mut() {
            if entry.due_ms != u64::MAX && is_due(entry) {
                entry.fired = true;
                entry.due_ms = u64::MAX;
                if let Some(waker) = entry.waker.take() {
                    waker.wake();
                }
            }
        }
    }
}

/// A connection's own deadline.
pub struct Deadline {
    all: Rc<Deadlines>,
    key: usize,
}

impl Deadline {
    /// One that is not set yet.
    pub fn new(all: &Rc<Deadlines>) -> Self {
        let key =
            all.entries.borrow_mut().insert(Entry { due_ms: u64::MAX, wait: Wait::Within, fired: false, waker: None });
        Deadline { all: all.clone(), key }
    }

    /// Waits for `future`, for at most until `due_ms` of the coarse clock.
    pub async fn until<F: Future>(&self, due_ms: u64, future: F) -> Result<F::Output, Elapsed> {
        self.wait(Wait::Within, due_ms, future).await
    }

    /// The same, saying what the wait is for.
    pub async fn wait<F: Future>(&self, wait: Wait, due_ms: u64, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut is_armed = false;
        poll_fn(|task| {
            if let Poll::Ready(output) = future.as_mut().poll(task) {
                if is_armed {
                    self.with(|entry| entry.due_ms = u64::MAX);
                }
                return Poll::Ready(Ok(output));
            }
            self.with(|entry| {
                if is_armed && entry.fired {
                    return Poll::Ready(Err(Elapsed));
                }
                if !is_armed {
                    (entry.due_ms, entry.wait, entry.fired) = (due_ms, wait, false);
                    is_armed = true;
                }
                if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(task.waker())) {
                    entry.waker = Some(task.waker().clone());
                }
                Poll::Pending
            })
        })
        .await
    }

    /// Whether `due_ms` has come, for a task that waits for something else, too. To be called with the same
    /// time until it has, or until `rest`.
    pub fn poll_due(&self, wait: Wait, due_ms: u64, task: &mut Context<'_>) -> Poll<Elapsed> {
        self.with(|entry| {
            if entry.fired {
                return Poll::Ready(Elapsed);
            }
            (entry.due_ms, entry.wait) = (due_ms, wait);
            if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(task.waker())) {
                entry.waker = Some(task.waker().clone());
            }
            Poll::Pending
        })
    }

    /// Nothing is waited for any more.
    pub fn rest(&self) {
        self.with(|entry| (entry.due_ms, entry.fired) = (u64::MAX, false));
    }

    fn with<R>(&self, change: impl FnOnce(&mut Entry) -> R) -> R {
        change(&mut self.all.entries.borrow_mut()[self.key])
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.all.entries.borrow_mut().remove(self.key);
    }
}
