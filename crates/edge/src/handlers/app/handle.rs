//! In:     an exchange whose route is an application.
//! Out:    its answer's head and the stream of its body; what the lane saw, for the log.
//! Actors: the task of the connection.
//! Never:  is a request given to a second worker that the first may have acted on, unless its method allows it.

use crate::handlers::app::calls::{OpenCall, ResponseStream};
use crate::handlers::app::dispatcher::AppDesk;
use crate::handlers::app::parcel::Parcel;
use crate::handlers::app::state::AppState;
use crate::request::context::RequestContext;
use hallway_core::fault::HeadLimit;
use hallway_core::lane::{FRAME_BYTES_MAX, put_request};
use hallway_core::plan::{App, Limits};
use hallway_core::record::LaneFacts;
use hallway_core::semantics::{AnswerHead, delimit};
use hallway_core::{Fault, Head};
use hallway_net::body::replay::Spooled;
use hallway_net::http::exchange::{Exchange, Wire};
use hallway_net::http::request_body::gather;
use hallway_net::runtime::deadline::SWEEP;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// A head that is longer has its frame for itself.
const HEAD_BYTES_WITH_BODY: usize = FRAME_BYTES_MAX / 2;

/// Where a request goes.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a> {
    /// The app.
    pub(crate) app: &'a App,
    /// Where its requests wait.
    pub(crate) desk: &'a AppDesk,
    /// How much of the path the route takes off.
    pub(crate) script_bytes: usize,
    /// The longest body.
    pub(crate) body_bytes_max: u64,
    /// How long the app may take; 0 for ever.
    pub(crate) timeout_ms: u64,
}

/// Has an application answer a request.
pub(crate) async fn fetch<W: Wire>(
    apps: &AppState,
    exchange: &mut Exchange<'_, W>,
    context: &mut RequestContext,
    to: Destination<'_>,
) -> Result<(AnswerHead, ResponseStream), Fault> {
    let mut limits = Limits { body_bytes_max: to.body_bytes_max, ..context.plan.limits };
    if exchange.head.bytes() > HEAD_BYTES_WITH_BODY {
        // There is no room for both in one frame.
        limits.body_memory_bytes = 0;
    }
    let body = gather(&apps.event_loop.spool, exchange.wire, &limits).await?;
    let call = apps.calls.open().ok_or(Fault::QueueFull)?;
    let parcel = Arc::new(wrap(apps, exchange, context, (&call, body, to)));
    // The path as it is matched may be three times as long as it came.
    let is_cut = exchange.head.path().len() > usize::from(u16::MAX);
    if is_cut || parcel.frame.len() + parcel.body.len() > FRAME_BYTES_MAX {
        return Err(Fault::HeadTooLarge(HeadLimit::Handed));
    }
    call.carry(&parcel);
    let Destination { desk, app, .. } = to;
    let placed_us = apps.event_loop.clock.now_us();
    call.place(desk, parcel.clone())?;
    let timeout_ms = to.timeout_ms;
    let waiting = Waiting { apps, app, timeout_ms, desk, call: &call, parcel: &parcel, placed_us };
    let mut head = waiting.await_answer(exchange).await;
    let mut was_retried = false;
    while head.as_ref().err() == Some(&Fault::WorkerLost) {
        // What the worker had not begun is as good as never sent.
        let had_begun = !parcel.withdraw();
        if had_begun && (was_retried || !exchange.head.is_idempotent()) {
            tell_lost(apps, (app, &parcel), exchange.head, "it is answered 502");
            break;
        }
        if had_begun {
            tell_lost(apps, (app, &parcel), exchange.head, "it goes to another one");
        }
        was_retried |= had_begun;
        call.start_over();
        desk.place_again(parcel.clone());
        head = waiting.await_answer(exchange).await;
    }
    context.record.lane = parcel.begun_us().map(|begun_us| LaneFacts {
        queue_us: begun_us.saturating_sub(placed_us),
        app_us: apps.event_loop.clock.now_us().saturating_sub(begun_us),
        worker_pid: worker_pid(&parcel),
    });
    let head = head?;
    // Nothing is sent yet, so a promise that cannot be kept need not be given.
    let (_, has_body) = delimit(&head, exchange.head);
    if has_body && head.length.is_some_and(|length| call.ends_short_of(length)) {
        return Err(Fault::BadAnswer("The application's answer is shorter than its Content-Length."));
    }
    Ok((head, ResponseStream(call)))
}

fn wrap<W: Wire>(
    apps: &AppState,
    exchange: &Exchange<'_, W>,
    context: &RequestContext,
    (call, body, to): (&OpenCall, Spooled, Destination<'_>),
) -> Parcel {
    let (script_bytes, lines) = (to.script_bytes, &to.app.request_lines);
    let facts = context.forwarded(&apps.event_loop, exchange);
    let mut frame = Vec::with_capacity(1024);
    let ids = (call.ticket(), apps.event_loop.thread);
    let (body_bytes, body, file) = match body {
        Spooled::Memory(body) => (body.len() as u64, body, None),
        Spooled::File { file, bytes } => (bytes, Vec::new(), Some(file)),
    };
    put_request(&mut frame, ids, exchange.head, &facts, (body_bytes, file.is_some(), script_bytes, lines));
    Parcel::new(call.ticket(), frame, body, file)
}

/// A request that waits for its answer.
struct Waiting<'a> {
    apps: &'a AppState,
    app: &'a App,
    timeout_ms: u64,
    desk: &'a AppDesk,
    call: &'a OpenCall,
    parcel: &'a Parcel,
    placed_us: u64,
}

impl Waiting<'_> {
    /// Waits for the head of the answer while the client does. One that left before a worker had its
    /// request is not asked for at all.
    async fn await_answer<W: Wire>(&self, exchange: &mut Exchange<'_, W>) -> Result<AnswerHead, Fault> {
        let mut answer = pin!(self.await_head(exchange.head));
        let mut gone = pin!(exchange.wire.gone());
        let head = poll_fn(|task| match answer.as_mut().poll(task) {
            Poll::Ready(head) => Poll::Ready(head),
            Poll::Pending => gone.as_mut().poll(task).map(|()| Err(Fault::ClientGone)),
        })
        .await;
        if head.as_ref().err() == Some(&Fault::ClientGone) {
            self.call.withdraw(self.desk);
        }
        head
    }

    /// Waits for the head: at most `queue.max_wait` for a worker, then at most `timeout` for its answer.
    async fn await_head(&self, head: &Head) -> Result<AnswerHead, Fault> {
        let Waiting { apps, app, desk, call, parcel, placed_us, .. } = self;
        let timeout_ms = if self.timeout_ms == 0 { u64::MAX / 4 } else { self.timeout_ms };
        let deadline = hallway_net::runtime::deadline::Deadline::new(&apps.event_loop.deadlines);
        loop {
            let due_ms = match parcel.begun_us() {
                Some(begun_us) => begun_us / 1000 + timeout_ms,
                None => placed_us / 1000 + app.queue_max_wait_ms,
            };
            let now_ms = apps.event_loop.clock.coarse_ms();
            if now_ms > due_ms {
                if call.withdraw(desk) {
                    return Err(Fault::QueueTimeout);
                }
                if parcel.begun_us().is_some_and(|begun_us| now_ms > begun_us / 1000 + timeout_ms) {
                    call.give_up();
                    end_overdue(apps, timeout_ms, parcel, head);
                    return Err(Fault::AppTimeout);
                }
            }
            // While it waits, the moment at which a worker takes it is not told to this task; looking
            // again after `timeout` is early enough to end that worker in time.
            let look_ms = due_ms.min(now_ms + timeout_ms).max(now_ms) + SWEEP.as_millis() as u64;
            if let Ok(answer) = deadline.until(look_ms, call.head()).await {
                return answer;
            }
        }
    }
}

/// Tells which request a worker had when it ended: perhaps the one that ended it.
fn tell_lost(apps: &AppState, (app, parcel): (&App, &Parcel), head: &Head, outcome: &str) {
    let (method, path) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.path()));
    let (name, pid) = (&app.name, worker_pid(parcel));
    apps.event_loop.report(&format!("{name}: worker {pid} ended while it had {method} {path}; {outcome}"));
}

/// Ends a worker that did not answer in time: whatever it does, no further request may wait for it.
fn end_overdue(apps: &AppState, timeout_ms: u64, parcel: &Parcel, head: &Head) {
    let (method, path) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.path()));
    let Some(lane) = parcel.lane() else { return };
    let (name, seconds, pid) = (&lane.app.name, timeout_ms as f64 / 1000.0, lane.pid);
    apps.event_loop.report(&format!(
        "{name}: {method} {path} was not answered within {seconds} s: worker {pid} shows its stacks and is replaced"
    ));
    apps.end_worker(&lane);
}

/// The process that has it; 0 for none.
fn worker_pid(parcel: &Parcel) -> u32 {
    parcel.lane().map_or(0, |lane| lane.pid)
}
