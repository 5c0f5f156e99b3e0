//! In:     work that may wait for a disk or a name server.
//! Out:    its result, or that there is none in time.
//! Actors: the threads of the pool: the first are started with it, further ones while work waits.
//! Never:  does work of one pool wait for that of another, or a thread that cannot be started end the process.

use crate::runtime::console::Voice;
use hallway_core::Fault;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a request waits for a file system or a name server.
pub const WAIT_MAX: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// Work that waits for a thread of one pool.
const QUEUE_MAX: usize = 1024;
/// How long a further thread stays without work.
const IDLE: Duration = Duration::from_secs(10);
/// Address space of a thread's stack; what is not touched takes no memory.
const STACK_BYTES: usize = 256 * 1024;
/// Between two messages that a pool is late.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

type Work = Box<dyn FnOnce() + Send>;

/// Threads for one kind of work. A clone is the same pool; the threads end with the last one.
#[derive(Clone)]
pub struct ThreadPool(Arc<Owner>);

/// Why there is no result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotDone {
    /// It is not done within `WAIT_MAX`.
    Late,
    /// As much work waits already as may, or no thread can be started.
    Refused,
}

impl From<NotDone> for Fault {
    /// What a request is answered that needs a file.
    fn from(why: NotDone) -> Fault {
        match why {
            NotDone::Late => Fault::FilesLate,
            NotDone::Refused => Fault::Busy,
        }
    }
}

struct Owner(Arc<Inner>);

struct Inner {
    /// What the work is for, as the operator is told it.
    purpose: String,
    threads_min: usize,
    threads_max: usize,
    state: Mutex<State>,
    work_came: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
    is_closed: bool,
    told: Option<Instant>,
}

impl ThreadPool {
    /// A pool, and its first threads.
    pub fn new(purpose: String, threads_min: usize, threads_max: usize) -> ThreadPool {
        let inner =
            Arc::new(Inner { purpose, threads_min, threads_max, state: Mutex::default(), work_came: Condvar::new() });
        let mut state = inner.state();
        while state.threads < threads_min && inner.start_thread(&mut state) {}
        drop(state);
        ThreadPool(Arc::new(Owner(inner)))
    }

    /// Whether there is a thread.
    pub fn has_threads(&self) -> bool {
        self.0.0.state().threads > 0
    }

    /// Has a thread do something, and waits for the result.
    ///
    /// # Errors
    /// There is none in time; the operator was told.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NotDone> {
        let (sender, receiver) = oneshot::channel();
        let work = move || {
            // Nobody waits any more for what stood in the queue for too long.
            if !sender.is_closed() {
                let _ = sender.send(work());
            }
        };
        let inner = &self.0.0;
        if !inner.take(Box::new(work), QUEUE_MAX) {
            inner.tell("no further work is taken: as much waits as may, or no thread can be started");
            return Err(NotDone::Refused);
        }
        match tokio::time::timeout(WAIT_MAX, receiver).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(NotDone::Refused),
            Err(_) => {
                let late = format!("nothing came within {} s; requests that need it are refused", WAIT_MAX.as_secs());
                inner.tell(&late);
                Err(NotDone::Late)
            }
        }
    }

    /// Has a thread do something that nobody waits for. It is always taken: what it gives back is needed.
    pub fn run_apart(&self, work: impl FnOnce() + Send + 'static) {
        self.0.0.take(Box::new(work), usize::MAX);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.work_came.notify_all();
    }
}

impl Inner {
    /// Takes work into the queue, and sees that there is a thread for it; `false` where that cannot be.
    fn take(self: &Arc<Self>, work: Work, queue_max: usize) -> bool {
        let mut state = self.state();
        if state.queue.len() >= queue_max {
            return false;
        }
        state.queue.push_back(work);
        let has_idle = state.idle >= state.queue.len();
        if !has_idle && state.threads < self.threads_max {
            self.start_thread(&mut state);
        }
        if state.threads == 0 && queue_max != usize::MAX {
            state.queue.pop_back();
            return false;
        }
        drop(state);
        self.work_came.notify_one();
        true
    }

    /// One more thread, where the system has one.
    fn start_thread(self: &Arc<Self>, state: &mut State) -> bool {
        let inner = self.clone();
        let builder = std::thread::Builder::new().name("files".into()).stack_size(STACK_BYTES);
        let is_started = builder.spawn(move || inner.serve()).is_ok();
        state.threads += usize::from(is_started);
        is_started
    }

    fn serve(&self) {
        let mut state = self.state();
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                work();
                state = self.state();
                continue;
            }
            if state.is_closed {
                break;
            }
            state.idle += 1;
            let is_first = state.threads <= self.threads_min;
            let (woken, is_over) = if is_first {
                (self.work_came.wait(state).unwrap_or_else(PoisonError::into_inner), false)
            } else {
                let waited = self.work_came.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
                (waited.0, waited.1.timed_out())
            };
            state = woken;
            state.idle -= 1;
            if is_over && state.queue.is_empty() && state.threads > self.threads_min {
                break;
            }
        }
        state.threads -= 1;
    }

    /// Tells the operator, once a minute at most.
    fn tell(&self, what: &str) {
        let mut state = self.state();
        if state.told.is_none_or(|at| at.elapsed() > TOLD_AGAIN) {
            state.told = Some(Instant::now());
            drop(state);
            Voice::of_process().say(&format!("{}: {what}", self.purpose));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in this file panics with the lock, and a panic in work ends the process.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn work_that_hangs_holds_up_its_own_pool_only() {
        let (hung, other) = (ThreadPool::new("a".into(), 1, 2), ThreadPool::new("b".into(), 1, 2));
        let (release, held) = channel::<()>();
        let held = Arc::new(Mutex::new(held));
        block_on(async {
            for _ in 0..2 {
                let held = held.clone();
                hung.run_apart(move || drop(held.lock().map(|held| held.recv())));
            }
            let (began, late) = (Instant::now(), hung.run(|| 1).await);
            assert_eq!((late, began.elapsed() >= WAIT_MAX), (Err(NotDone::Late), true));
            assert_eq!(other.run(|| 2).await, Ok(2));
        });
        drop(release);
        let (done, is_done) = channel();
        hung.run_apart(move || done.send(()).unwrap());
        is_done.recv().unwrap();
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let pool = ThreadPool::new("a".into(), 1, 1);
        let (release, held) = channel::<()>();
        pool.run_apart(move || assert!(held.recv().is_err()));
        let inner = &pool.0.0;
        while !inner.state().queue.is_empty() {
            std::thread::yield_now();
        }
        for _ in 0..QUEUE_MAX {
            assert!(inner.take(Box::new(|| ()), QUEUE_MAX));
        }
        assert_eq!(block_on(pool.run(|| ())), Err(NotDone::Refused));
        drop(release);
    }

    #[test]
    fn threads_come_with_work_and_end_with_the_pool() {
        let pool = ThreadPool::new("a".into(), 1, 3);
        let (release, held) = channel::<()>();
        let held = Arc::new(Mutex::new(held));
        for _ in 0..9 {
            let held = held.clone();
            pool.run_apart(move || drop(held.lock().map(|held| held.recv())));
        }
        let inner = pool.0.0.clone();
        assert_eq!(inner.state().threads, 3);
        drop((release, pool));
        while inner.state().threads > 0 {
            std::thread::yield_now();
        }
    }
}
