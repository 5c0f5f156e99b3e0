//! In:     an exchange whose route is a pool.
//! Out:    its answer's head and the stream of its body; each try, for the log.
//! Actors: the task of the request.
//! Never:  is a request sent again that a server may have acted on, unless its method allows it; or beyond the budget.

use super::attempt::{Attempt, Failed, Sent};
use super::body::Stream;
use super::choose::{Choice, Held};
use super::server::Try;
use super::sticky;
use crate::deliver::now;
use crate::detached::Whole;
use crate::exchange::{Exchange, Wire};
use crate::house::House;
use crate::mirror::whole;
use crate::piece::Piece;
use crate::spool::gather;
use crate::trip::Trip;
use hallway_core::balance::Budget;
use hallway_core::head::Framing;
use hallway_core::plan::{Balance, Limits, Pool};
use hallway_core::route::key_of;
use hallway_core::semantics::{AnswerHead, cookie};
use hallway_core::{Fault, Head};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// Servers that a request is offered to that take no connection.
const OFFERS_MAX: usize = 10;

/// Where a request goes.
#[derive(Clone, Copy)]
pub(crate) struct Destination {
    /// The pool, of those in the plan.
    pub(crate) pool: usize,
    /// How much of the path the route takes off.
    pub(crate) prefix_bytes: usize,
    /// The longest body.
    pub(crate) body_bytes_max: u64,
    /// How long it may take until the answer begins; nothing for as long as the pool says.
    pub(crate) timeout_ms: Option<u64>,
}

/// What a server answered.
pub(crate) enum Fetched {
    Answer(AnswerHead, Stream),
    /// All of it is here already.
    Whole(AnswerHead, Piece),
    /// It changes the protocol: head, connection, and what it has said on it already.
    Upgrade(AnswerHead, Box<Tunnel>),
}

/// A connection to a server that speaks another protocol now.
pub(crate) struct Tunnel {
    /// Counts as long as it is open.
    pub(super) _held: Held,
    pub(super) stream: crate::stream::Stream,
    pub(super) before: Vec<u8>,
    pub(super) silence_ms: u64,
}

impl Tunnel {
    /// Carries bytes between it and the client until they are done.
    pub(crate) async fn join<W: Wire>(&mut self, wire: &mut W) {
        wire.tunnel(&mut self.stream, std::mem::take(&mut self.before), self.silence_ms).await;
    }
}

/// Has a server of a pool answer a request.
pub(crate) async fn fetch<W: Wire>(
    house: &House,
    exchange: &mut Exchange<'_, W>,
    trip: &mut Trip,
    to: Destination,
) -> Result<Fetched, Fault> {
    let rules = exchange.rules;
    let pool: Arc<Pool> = rules.plan.pools[to.pool].clone();
    let budget = Budget::new(pool.retry_percent);
    rules.pools[to.pool].earn_retry(budget);
    let body = gathered(exchange, &pool, to.body_bytes_max).await?;
    let wanted = pool
        .sticky
        .as_ref()
        .and_then(|sticky| sticky::read(&pool, sticky, cookie(exchange.head, sticky.cookie.as_bytes())?));
    let key = key(&pool, exchange.head, &trip.client(&exchange.arrival.peer).ip);
    let (mut tried, mut sent, mut failed) = (Vec::new(), 0, None::<Fault>);
    let (mut same, mut is_stale): (Option<Held>, bool) = (None, false);
    loop {
        let held = match same.take() {
            Some(held) => held,
            None => {
                let choice = Choice { house, rules, pool: to.pool, key, tried: &tried, wanted };
                // What went wrong before says more than that nobody is left.
                let chosen = choose(&choice, exchange.wire, &mut trip.queue_us).await;
                chosen.map_err(|fault| failed.unwrap_or_else(|| complain(&choice, exchange.head, fault)))?
            }
        };
        let server = held.server.clone();
        let member = sticky::number_of(&pool, &held);
        let begun_us = house.clock.now_us();
        let attempt = Attempt { house, trip, to, pool: &rules.plan.pools[held.pool], body: body.as_ref(), begun_us };
        let tried_now = attempt.make(exchange, held, is_stale || failed.is_some()).await;
        let took_us = house.clock.now_us().saturating_sub(begun_us);
        let (failure, held) = match tried_now {
            Ok(Sent(mut fetched)) => {
                let (Fetched::Answer(head, _) | Fetched::Whole(head, _) | Fetched::Upgrade(head, _)) = &mut fetched;
                if let Some(member) = member.filter(|_| member != wanted) {
                    sticky::keep(head, &pool, member, trip.is_https(exchange.arrival));
                }
                trip.tries.push(Try { server, status: head.status, begun_us, took_us, has_answered: true });
                return Ok(fetched);
            }
            Err(mut failure) => {
                let held = failure.stale.take();
                (failure, held)
            }
        };
        if let Some(held) = held {
            // The server had ended that connection: it is not its fault, and it has not had the request.
            (same, is_stale) = (Some(held), true);
            continue;
        }
        let Failed { fault, why, was_sent, is_clients, has_taken, is_ours, .. } = failure;
        if is_ours {
            let choice = Choice { house, rules, pool: to.pool, key, tried: &tried, wanted };
            return Err(complain(&choice, exchange.head, fault));
        }
        trip.tries.push(Try { server: server.clone(), status: fault.status(), begun_us, took_us, has_answered: false });
        if is_clients {
            return Err(fault);
        }
        tried.push(server.number);
        // What was taken of a body that is not here as a whole cannot be sent again.
        let may_repeat = !has_taken && (!was_sent || exchange.head.is_idempotent());
        // One that was not sent is no try: as long as there are servers, it is offered to the next one.
        sent += u32::from(was_sent);
        let has_tries = if was_sent { sent < pool.tries } else { tried.len() < OFFERS_MAX };
        let choice = Choice { house, rules, pool: to.pool, key, tried: &tried, wanted };
        let goes_on =
            may_repeat && has_tries && pool.tries > 1 && choice.has_other() && rules.pools[to.pool].spend_retry(budget);
        let why = if why.is_empty() { fault.detail().trim_end_matches('.').to_owned() } else { why };
        tell(house, &pool, exchange.head, trip, (&server.name, fault, &why, goes_on));
        if !goes_on {
            return Err(fault);
        }
        failed = Some(fault);
    }
}

/// The body of a request, where it has one and the pool wants it as a whole.
async fn gathered<W: Wire>(
    exchange: &mut Exchange<'_, W>,
    pool: &Pool,
    body_bytes_max: u64,
) -> Result<Option<Whole>, Fault> {
    if exchange.head.framing == Framing::None || !pool.buffers_requests {
        return Ok(None);
    }
    let limits = Limits { body_bytes_max, ..exchange.rules.plan.limits };
    Ok(Some(whole(Box::pin(gather(exchange.wire, &limits)).await?)))
}

/// Chooses while the client waits for it; adds to `queue_us` how long that took, where nobody had room.
async fn choose<W: Wire>(choice: &Choice<'_>, wire: &mut W, queue_us: &mut Option<u64>) -> Result<Held, Fault> {
    let mut choosing = pin!(choice.choose());
    if let Some(chosen) = poll_fn(|task| Poll::Ready(now(choosing.as_mut().poll(task)))).await {
        return chosen;
    }
    let since_us = choice.house.clock.now_us();
    let mut gone = pin!(wire.gone());
    let chosen = poll_fn(|task| match choosing.as_mut().poll(task) {
        Poll::Pending => gone.as_mut().poll(task).map(|()| Err(Fault::ClientGone)),
        chosen => chosen,
    })
    .await;
    let waited_us = choice.house.clock.now_us().saturating_sub(since_us);
    *queue_us = Some(queue_us.unwrap_or(0) + waited_us);
    chosen
}

/// Says why nobody is asked; once in a while, as it is so for every request.
fn complain(choice: &Choice<'_>, head: &Head, fault: Fault) -> Fault {
    let Choice { house, rules, pool: number, .. } = *choice;
    let (pool, desk) = (&rules.plan.pools[number], &rules.pools[number]);
    let why = match fault {
        Fault::NoServer => "has no server that can be asked",
        Fault::QueueFull => "has as many requests as it takes, and its queue is full",
        Fault::QueueTimeout => "had no room for a request within queue.max_wait",
        Fault::NotFound => {
            "runs scripts, and this path names none (php = { front = \"index.php\" } would have all such)"
        }
        _ => return fault,
    };
    if desk.may_complain(house.clock.coarse_ms()) {
        let path = String::from_utf8_lossy(head.path());
        let status = fault.status();
        house.log.error(&format!("pool {} {why}: {path}, and what follows, is answered {status}", pool.name));
    }
    fault
}

/// Says which try failed, and what comes of it.
fn tell(house: &House, pool: &Pool, head: &Head, trip: &Trip, told: (&str, Fault, &str, bool)) {
    let (server, fault, why, goes_on) = told;
    let (method, path) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.path()));
    let (copy, outcome) = match (trip.is_copy, goes_on) {
        (false, false) => ("", format!("it is answered {}", fault.status())),
        (false, true) => ("", "it goes to another one".into()),
        (true, false) => ("the copy of ", "nobody waits for it".into()),
        (true, true) => ("the copy of ", "it goes to another one".into()),
    };
    let (pool, id) = (&pool.name, trip.request_id.as_str());
    house.log.error(&format!("{copy}{method} {path} ({id}): pool {pool}: server {server}: {why}; {outcome}"));
}

/// The hash of what the request is told by.
fn key(pool: &Pool, head: &Head, client: &str) -> u64 {
    match &pool.balance {
        Balance::Hash(by) => key_of(by, head, client),
        _ => 0,
    }
}
