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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::pending;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn look<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn all() -> Rc<Deadlines> {
        Rc::default()
    }

    #[test]
    fn a_wait_ends_at_its_time_and_not_before() {
        let all = all();
        let deadline = Deadline::new(&all);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut task = Context::from_waker(&waker);
        let mut wait = pin!(deadline.until(100, pending::<()>()));
        assert!(wait.as_mut().poll(&mut task).is_pending());
        all.sweep(99);
        assert!(wait.as_mut().poll(&mut task).is_pending());
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        all.sweep(100);
        all.sweep(200);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "who was told is not told again");
        assert!(matches!(wait.as_mut().poll(&mut task), Poll::Ready(Err(Elapsed))));
    }

    #[test]
    fn what_has_come_counts_although_its_time_is_over() {
        let (all, has_come) = (all(), Cell::new(false));
        let deadline = Deadline::new(&all);
        let coming = poll_fn(|_| if has_come.get() { Poll::Ready(7) } else { Poll::Pending });
        let mut wait = pin!(deadline.until(100, coming));
        assert!(look(wait.as_mut()).is_pending());
        all.sweep(100);
        has_come.set(true);
        assert!(matches!(look(wait.as_mut()), Poll::Ready(Ok(7))));
    }

    #[test]
    fn the_time_of_one_wait_is_not_that_of_the_next() {
        let all = all();
        let deadline = Deadline::new(&all);
        let mut first = Box::pin(deadline.until(100, pending::<()>()));
        assert!(look(first.as_mut()).is_pending());
        all.sweep(100);
        drop(first);
        // It was over, and nobody has seen that.
        let mut second = pin!(deadline.until(300, pending::<()>()));
        assert!(look(second.as_mut()).is_pending());
        all.sweep(299);
        assert!(look(second.as_mut()).is_pending());
        all.sweep(300);
        assert!(look(second.as_mut()).is_ready());
    }

    #[test]
    fn a_wait_that_went_well_leaves_no_time_behind() {
        let (all, has_come) = (all(), Cell::new(false));
        let deadline = Deadline::new(&all);
        let coming = poll_fn(|_| if has_come.get() { Poll::Ready(()) } else { Poll::Pending });
        let mut wait = pin!(deadline.wait(Wait::Fresh, 100, coming));
        assert!(look(wait.as_mut()).is_pending());
        has_come.set(true);
        assert!(look(wait.as_mut()).is_ready());
        all.sweep(u64::MAX - 1);
        all.end(Wait::Fresh);
        assert!(!all.entries.borrow()[deadline.key].fired);
    }

    #[test]
    fn a_loop_that_closes_ends_the_waits_of_one_kind() {
        let all = all();
        let kinds = [Wait::Within, Wait::Fresh, Wait::KeptAlive, Wait::Head];
        let deadlines = kinds.map(|_| Deadline::new(&all));
        let mut waits: Vec<_> = deadlines
            .iter()
            .zip(kinds)
            .map(|(deadline, kind)| Box::pin(deadline.wait(kind, 1_000_000, pending::<()>())))
            .collect();
        assert!(waits.iter_mut().all(|wait| look(wait.as_mut()).is_pending()));
        all.end(Wait::KeptAlive);
        let over: Vec<bool> = waits.iter_mut().map(|wait| look(wait.as_mut()).is_ready()).collect();
        assert_eq!(over, [false, false, true, false]);
    }

    #[test]
    fn idle_connections_make_room_but_not_those_of_this_second() {
        let (all, now_ms, idle_ms) = (all(), 50_000, 30_000);
        // Since when each waits, and what for.
        let table = [
            (Wait::KeptAlive, 48_999, true),
            (Wait::KeptAlive, 49_001, false),
            (Wait::Fresh, 20_000, true),
            (Wait::Head, 20_000, false),
            (Wait::Within, 20_000, false),
        ];
        let deadlines = table.map(|_| Deadline::new(&all));
        let mut waits: Vec<_> = deadlines
            .iter()
            .zip(table)
            .map(|(deadline, (kind, since_ms, _))| Box::pin(deadline.wait(kind, since_ms + idle_ms, pending::<()>())))
            .collect();
        assert!(waits.iter_mut().all(|wait| look(wait.as_mut()).is_pending()));
        all.end_idle(now_ms, idle_ms);
        for (wait, row) in waits.iter_mut().zip(table) {
            assert_eq!(look(wait.as_mut()).is_ready(), row.2, "{row:?}");
        }
    }

    #[test]
    fn a_task_that_waits_for_two_things_is_told_until_it_rests() {
        let all = all();
        let deadline = Deadline::new(&all);
        let mut task = Context::from_waker(Waker::noop());
        assert!(deadline.poll_due(Wait::Within, 100, &mut task).is_pending());
        all.sweep(100);
        assert!(deadline.poll_due(Wait::Within, 100, &mut task).is_ready());
        assert!(deadline.poll_due(Wait::Within, 100, &mut task).is_ready());
        deadline.rest();
        assert!(deadline.poll_due(Wait::Within, 200, &mut task).is_pending());
        all.sweep(199);
        assert!(deadline.poll_due(Wait::Within, 200, &mut task).is_pending());
    }

    #[test]
    fn connections_that_have_ended_leave_nothing() {
        let all = all();
        let (one, other) = (Deadline::new(&all), Deadline::new(&all));
        let mut wait = Box::pin(other.until(1, pending::<()>()));
        assert!(look(wait.as_mut()).is_pending());
        drop(one);
        all.sweep(5);
        assert!(look(wait.as_mut()).is_ready());
        drop(wait);
        drop(other);
        all.sweep(6);
        assert!(all.entries.borrow().is_empty());
    }
}
