//! In:     an exchange whose route is a pool.
//! Out:    its answer's head and the stream of its body; each try, for the log.
//! Actors: the task of the request.
//! Never:  is a request sent again that a server may have acted on, unless its method allows it; or beyond the budget.

use super::attempt::{Attempt, Failed, Sent};
use super::body::Stream;
use super::choose::{Choice, Held};
use super::server::Try;
use super::sticky;
use crate::exchange::{Exchange, Wire};
use crate::house::House;
use crate::mirror::whole;
use crate::piece::Piece;
use crate::spool::gather;
use crate::trip::Trip;
use hallway_core::balance::Budget;
use hallway_core::balance::ring::Hash;
use hallway_core::head::Framing;
use hallway_core::plan::{Balance, HashBy, Limits, Pool};
use hallway_core::semantics::{AnswerHead, cookie};
use hallway_core::{Fault, Head};
use std::sync::Arc;

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
    let body = match exchange.head.framing {
        Framing::None => None,
        _ if !pool.buffers_requests => None,
        _ => {
            let limits = Limits { body_bytes_max: to.body_bytes_max, ..rules.plan.limits };
            Some(whole(Box::pin(gather(exchange.wire, &limits)).await?))
        }
    };
    let wanted = pool
        .sticky
        .as_ref()
        .and_then(|sticky| sticky::read(&pool, sticky, cookie(exchange.head, sticky.cookie.as_bytes())?));
    let key = key(&pool, exchange.head, &trip.client(&exchange.arrival.peer).ip);
    let (mut tried, mut failed) = (Vec::new(), None::<Fault>);
    let mut same: Option<Held> = None;
    loop {
        let held = match same.take() {
            Some(held) => held,
            None => match (Choice { house, rules, pool: to.pool, key, tried: &tried, wanted }).choose().await {
                Ok(held) => held,
                // What went wrong before says more than that nobody is left.
                Err(fault) => return Err(failed.unwrap_or(fault)),
            },
        };
        let server = held.server.clone();
        let member = sticky::number_of(&pool, &held);
        let begun_us = house.clock.now_us();
        let attempt = Attempt { house, trip, to, pool: &rules.plan.pools[held.pool], body: body.as_ref(), begun_us };
        let tried_now = attempt.make(exchange, held, failed.is_some()).await;
        let took_us = house.clock.now_us().saturating_sub(begun_us);
        let (fault, was_sent, held) = match tried_now {
            Ok(Sent(mut fetched)) => {
                let (Fetched::Answer(head, _) | Fetched::Whole(head, _) | Fetched::Upgrade(head, _)) = &mut fetched;
                if let (Some(sticky), Some(member)) = (&pool.sticky, member.filter(|_| member != wanted)) {
                    let cookie = sticky::write(&pool, sticky, member, trip.is_https(exchange.arrival));
                    head.fields.push(b"Set-Cookie", cookie.as_bytes());
                }
                trip.tries.push(Try { server, status: head.status, begun_us, took_us, has_answered: true });
                return Ok(fetched);
            }
            Err(Failed { fault, was_sent, stale }) => (fault, was_sent, stale),
        };
        if let Some(held) = held {
            // The server had ended that connection: it is not its fault, and it has not had the request.
            same = Some(held);
            continue;
        }
        let status = fault.status();
        trip.tries.push(Try { server: server.clone(), status, begun_us, took_us, has_answered: false });
        if matches!(fault, Fault::ClientGone | Fault::RequestTimeout(_) | Fault::BadRequest(_) | Fault::BodyTooLarge) {
            return Err(fault);
        }
        tried.push(server.number);
        let may_repeat =
            !was_sent || (exchange.head.is_idempotent() && (body.is_some() || exchange.head.framing == Framing::None));
        let has_tries = tried.len() < pool.tries as usize;
        let goes_on = may_repeat && has_tries && rules.pools[to.pool].spend_retry(budget);
        tell(house, &pool, exchange.head, trip, (&server.name, fault, goes_on));
        if !goes_on {
            return Err(fault);
        }
        failed = Some(fault);
    }
}

/// Says which try failed, and what comes of it.
fn tell(house: &House, pool: &Pool, head: &Head, trip: &Trip, (server, fault, goes_on): (&str, Fault, bool)) {
    let (method, path) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.path()));
    let outcome = if goes_on { "it goes to another one".into() } else { format!("it is answered {}", fault.status()) };
    let (pool, id, why) = (&pool.name, trip.request_id.as_str(), fault.detail().trim_end_matches('.'));
    house.log.error(&format!("{method} {path} ({id}): pool {pool}: server {server}: {why}; {outcome}"));
}

/// The hash of what the request is told by.
fn key(pool: &Pool, head: &Head, client: &str) -> u64 {
    match &pool.balance {
        Balance::Hash(by) => hash_by(by, head, client),
        _ => 0,
    }
}

/// The hash of what tells one request from another.
pub(crate) fn hash_by(by: &HashBy, head: &Head, client: &str) -> u64 {
    match by {
        HashBy::Path => Hash::Xxh3.of(head.path()),
        HashBy::Client => Hash::Xxh3.of(client.as_bytes()),
        HashBy::Header(name) => Hash::Xxh3.of(head.fields.named(name.as_bytes()).unwrap_or_default()),
        HashBy::Cookie(name) => Hash::Xxh3.of(cookie(head, name.as_bytes()).unwrap_or_default()),
    }
}
