//! In:     a plan.
//! Out:    the tally of the run, after every request has ended or was waited for long enough.
//! Actors: the server at the plan's address.
//! Never:  does a slow answer put off when a request of the open loop is due.

use crate::check::Check;
use crate::connection::{Connection, Fault};
use crate::plan::{Pace, Plan};
use crate::tally::Tally;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

/// How long answers are waited for after the last request was due.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a connection rests after it failed, so that a dead server is not flooded.
const REST: Duration = Duration::from_millis(5);
/// The timer wakes by the millisecond; from this near on the pacer looks at the clock itself.
const NEAR: Duration = Duration::from_millis(3);

/// What all tasks of a run share.
struct Run {
    address: std::net::SocketAddr,
    bodiless: bool,
    wire: Vec<u8>,
    check: RefCell<Check>,
    tally: RefCell<Tally>,
    ends: Instant,
}

/// Requests of the open loop that are due and wait for a connection.
#[derive(Default)]
struct Queue {
    due: RefCell<VecDeque<Instant>>,
    over: Cell<bool>,
    wake: Notify,
}

/// Runs the plan to its end. `starts` is now.
pub(crate) async fn drive(plan: Plan, wire: Vec<u8>, starts: Instant) -> Tally {
    let measured_from = starts + plan.warmup;
    let run = Rc::new(Run {
        address: plan.address,
        bodiless: plan.request.method == "HEAD",
        wire,
        check: RefCell::new(Check::new(plan.expectation)),
        tally: RefCell::new(Tally::new(measured_from)),
        ends: measured_from + plan.measured,
    });
    let local = LocalSet::new();
    let clients = local.run_until(async {
        let clients = match plan.pace {
            Pace::Closed => spawn_closed(&run, plan.connections),
            Pace::Open { per_second } => spawn_open(&run, plan.connections, starts, per_second),
        };
        for client in clients {
            // A task that panicked leaves its request without an end; the tally counts it.
            let _ = client.await;
        }
    });
    let limit = tokio::time::Instant::from_std(run.ends + DRAIN);
    let _ = tokio::time::timeout_at(limit, clients).await;
    drop(local);
    let mut tally = run.tally.replace(Tally::new(measured_from));
    tally.close();
    tally
}

impl Run {
    fn connection(&self) -> Connection {
        Connection::new(self.address, self.bodiless)
    }

    async fn serve(&self, connection: &mut Connection, due: Instant) {
        let outcome = connection.exchange(&self.wire, &self.check).await;
        let failed = matches!(outcome, Err(Fault::Connection(_)));
        self.tally.borrow_mut().end(due, Instant::now(), outcome);
        if failed {
            tokio::time::sleep(REST).await;
        }
    }
}

fn spawn_closed(run: &Rc<Run>, connections: usize) -> Vec<JoinHandle<()>> {
    let client = |run: Rc<Run>| async move {
        let mut connection = run.connection();
        loop {
            let due = Instant::now();
            if due >= run.ends {
                return;
            }
            run.tally.borrow_mut().begin();
            run.serve(&mut connection, due).await;
        }
    };
    (0..connections).map(|_| spawn_local(client(Rc::clone(run)))).collect()
}

fn spawn_open(run: &Rc<Run>, connections: usize, starts: Instant, per_second: f64) -> Vec<JoinHandle<()>> {
    let queue = Rc::new(Queue::default());
    let client = |run: Rc<Run>, queue: Rc<Queue>| async move {
        let mut connection = run.connection();
        loop {
            let next = queue.due.borrow_mut().pop_front();
            match next {
                Some(due) => run.serve(&mut connection, due).await,
                None if queue.over.get() => return,
                None => queue.wake.notified().await,
            }
        }
    };
    let mut tasks: Vec<_> = (0..connections).map(|_| spawn_local(client(Rc::clone(run), Rc::clone(&queue)))).collect();
    tasks.push(spawn_local(pace(Rc::clone(run), queue, starts, per_second)));
    tasks
}

/// Puts every request into the queue when it is due. Each due time comes from the start and the
/// request's number, so the pace does not drift whatever happens in between.
async fn pace(run: Rc<Run>, queue: Rc<Queue>, starts: Instant, per_second: f64) {
    for number in 0_u64.. {
        let due = starts + Duration::from_secs_f64(number as f64 / per_second);
        if due >= run.ends {
            break;
        }
        wait_until(due).await;
        run.tally.borrow_mut().begin();
        queue.due.borrow_mut().push_back(due);
        queue.wake.notify_one();
    }
    queue.over.set(true);
    queue.wake.notify_waiters();
}

/// Waits to the microsecond: the generator has a core of its own, so the last stretch polls the clock
/// and the sockets in turn, and gives the core away where it has to share one.
async fn wait_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if left > NEAR {
        tokio::time::sleep(left - NEAR).await;
    }
    while Instant::now() < due {
        std::thread::yield_now();
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests;
