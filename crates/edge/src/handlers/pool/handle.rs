//! In:     an exchange whose route is a pool.
//! Out:    its answer's head and the stream of its body; each try, for the log.
//! Actors: the task of the request.
//! Never:  is a request sent again that a server may have acted on, unless its method allows it; or beyond the budget.

use crate::handlers::pool::attempt::{Attempt, Failed, Sent};
use crate::handlers::pool::connections::Upstreams;
use crate::handlers::pool::lease::Held;
use crate::handlers::pool::outward::turn;
use crate::handlers::pool::pools::Pools;
use crate::handlers::pool::response::{Destination, Fetched};
use crate::handlers::pool::select::Choice;
use crate::handlers::pool::server::Server;
use crate::handlers::pool::sticky;
use crate::request::context::RequestContext;
use crate::request::record::Try;
use hallway_core::balance::Budget;
use hallway_core::head::Framing;
use hallway_core::plan::{Balance, Limits, Pool};
use hallway_core::route::key_of;
use hallway_core::semantics::cookie;
use hallway_core::{Fault, Head};
use hallway_net::body::replay::Whole;
use hallway_net::http::exchange::{Exchange, Wire};
use hallway_net::http::request_body::gather;
use hallway_net::runtime::ready::now;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// Servers that a request is offered to that take no connection.
const OFFERS_MAX: usize = 10;

/// Has a server of a pool answer a request.
pub(crate) async fn fetch<W: Wire>(
    (upstreams, pools): (&Rc<Upstreams>, &Pools),
    exchange: &mut Exchange<'_, W>,
    context: &mut RequestContext,
    to: Destination<'_>,
) -> Result<Fetched, Fault> {
    let (desk, pool) = pools.of(to.pool);
    let pool = pool.clone();
    let budget = Budget::new(pool.retry_percent);
    desk.earn_retry(budget);
    let body =
        gathered(upstreams, exchange, &pool, Limits { body_bytes_max: to.body_bytes_max, ..context.plan.limits })
            .await?;
    let wanted = pool
        .sticky
        .as_ref()
        .and_then(|sticky| sticky::read(&pool, sticky, cookie(exchange.head, sticky.cookie.as_bytes())?));
    let key = key(&pool, exchange.head, &context.client(&exchange.arrival.peer).ip);
    let mut tries = Tries {
        upstreams,
        pools,
        pool,
        to,
        body,
        wanted,
        key,
        budget,
        tried: Vec::new(),
        sent: 0,
        failed: None,
        same: None,
        is_stale: false,
        spare: None,
    };
    match tries.run(exchange, context).await {
        // What the last server that was asked did is no better than what the one before said.
        Err(fault) if fault != Fault::ClientGone => tries.spare.take().ok_or(fault),
        fetched => fetched,
    }
}

/// The tries of one request.
struct Tries<'a> {
    upstreams: &'a Rc<Upstreams>,
    pools: &'a Pools,
    pool: Arc<Pool>,
    to: Destination<'a>,
    body: Option<Whole>,
    /// The member that its cookie names.
    wanted: Option<u64>,
    key: u64,
    budget: Budget,
    /// Servers that had it.
    tried: Vec<u64>,
    /// How often it was sent.
    sent: u32,
    failed: Option<Fault>,
    /// The server whose connection was too old.
    same: Option<Held>,
    is_stale: bool,
    /// An answer after which another server is asked.
    spare: Option<Fetched>,
}

/// One of them.
struct Tried {
    server: Arc<Server>,
    /// The member that has the request, where the pool has a cookie for it, and its own pool.
    member: Option<u64>,
    pool: usize,
    begun_us: u64,
    took_us: u64,
}

impl Tried {
    fn noted(&self, status: u16, has_answered: bool) -> Try {
        let (server, begun_us, took_us) = (self.server.name.clone(), self.begun_us, self.took_us);
        Try { server, status, begun_us, took_us, has_answered }
    }
}

impl Tries<'_> {
    async fn run<W: Wire>(
        &mut self,
        exchange: &mut Exchange<'_, W>,
        context: &mut RequestContext,
    ) -> Result<Fetched, Fault> {
        let (upstreams, pools) = (self.upstreams, self.pools);
        loop {
            let held = match self.same.take() {
                Some(held) => held,
                None => {
                    // What went wrong before says more than that nobody is left.
                    let chosen = choose(&self.choice(), exchange.wire, &mut context.record.queue_us).await;
                    let failed = self.failed;
                    chosen.map_err(|fault| failed.unwrap_or_else(|| complain(&self.choice(), exchange.head, fault)))?
                }
            };
            let (server, member) = (held.server.clone(), sticky::number_of(&self.pool, &held));
            let begun_us = upstreams.event_loop.clock.now_us();
            let mut tried = Tried { server, member, pool: held.pool, begun_us, took_us: 0 };
            let (pool, body) = (pools.of(held.pool).1, self.body.as_ref());
            let attempt = Attempt { upstreams, pools, context, to: self.to, pool, body, begun_us };
            let made = attempt.make(exchange, held, self.is_stale || self.failed.is_some()).await;
            tried.took_us = upstreams.event_loop.clock.now_us().saturating_sub(begun_us);
            match made {
                Ok(Sent(fetched)) => {
                    if let Some(fetched) = self.take(exchange, context, fetched, tried) {
                        return Ok(fetched);
                    }
                }
                Err(Failed { stale: Some(held), .. }) => {
                    // The server had ended that connection: it is not its fault, and it has not had the request.
                    (self.same, self.is_stale) = (Some(held), true);
                }
                Err(failure) => self.note(exchange, context, failure, &tried)?,
            }
        }
    }

    /// Takes an answer, unless another server is asked after one of its status.
    fn take<W: Wire>(
        &mut self,
        exchange: &Exchange<'_, W>,
        context: &mut RequestContext,
        mut fetched: Fetched,
        tried: Tried,
    ) -> Option<Fetched> {
        let (Fetched::Answer(head, _) | Fetched::Whole(head, _) | Fetched::Upgrade(head, _)) = &mut fetched;
        let status = head.status;
        let own_pool = self.pools.of(tried.pool).1;
        turn(head, &self.upstreams.event_loop, (exchange, context), (&tried.server, own_pool, self.to.places));
        if let Some(member) = tried.member.filter(|_| tried.member != self.wanted) {
            sticky::keep(head, &self.pool, member, context.is_https(exchange.arrival));
        }
        context.record.tries.push(tried.noted(status, true));
        if !self.pool.retry_on.contains(&status) {
            return Some(fetched);
        }
        self.sent += 1;
        self.tried.push(tried.server.number);
        let has_body = self.body.is_some() || exchange.head.framing == Framing::None;
        let may_repeat = has_body && exchange.head.is_idempotent();
        if !may_repeat || self.sent >= self.pool.tries || !self.spend() {
            return Some(fetched);
        }
        tell(
            self.upstreams,
            &self.pool,
            exchange.head,
            context,
            (&tried.server.name, status, &format!("it answered {status}"), true),
        );
        self.failed = Some(Fault::NoServer);
        self.spare = Some(fetched);
        None
    }

    /// Notes a try without an answer; an error where it was the last one.
    fn note<W: Wire>(
        &mut self,
        exchange: &Exchange<'_, W>,
        context: &mut RequestContext,
        failure: Failed,
        tried: &Tried,
    ) -> Result<(), Fault> {
        let Failed { fault, why, was_sent, is_clients, has_taken, is_ours, .. } = failure;
        if is_ours {
            return Err(complain(&self.choice(), exchange.head, fault));
        }
        context.record.tries.push(tried.noted(fault.status(), false));
        if is_clients {
            return Err(fault);
        }
        self.tried.push(tried.server.number);
        // What was taken of a body that is not here as a whole cannot be sent again.
        let may_repeat = !has_taken && (!was_sent || exchange.head.is_idempotent());
        // One that was not sent is no try: as long as there are servers, it is offered to the next one.
        self.sent += u32::from(was_sent);
        let has_tries = if was_sent { self.sent < self.pool.tries } else { self.tried.len() < OFFERS_MAX };
        let goes_on = may_repeat && has_tries && self.pool.tries > 1 && self.spend();
        let why = if why.is_empty() { fault.detail().trim_end_matches('.').to_owned() } else { why };
        tell(self.upstreams, &self.pool, exchange.head, context, (&tried.server.name, fault.status(), &why, goes_on));
        if !goes_on {
            return Err(fault);
        }
        self.failed = Some(fault);
        Ok(())
    }

    /// Whether there is somebody else, and something left for it.
    fn spend(&self) -> bool {
        self.choice().has_other() && self.pools.of(self.to.pool).0.spend_retry(self.budget)
    }

    fn choice(&self) -> Choice<'_> {
        let Tries { upstreams, pools, key, wanted, .. } = *self;
        Choice { upstreams, pools, pool: self.to.pool, key, tried: &self.tried, wanted }
    }
}

/// The body of a request, where it has one and the pool wants it as a whole.
async fn gathered<W: Wire>(
    upstreams: &Upstreams,
    exchange: &mut Exchange<'_, W>,
    pool: &Pool,
    limits: Limits,
) -> Result<Option<Whole>, Fault> {
    if exchange.head.framing == Framing::None || !pool.buffers_requests {
        return Ok(None);
    }
    Ok(Some(Whole::from(Box::pin(gather(&upstreams.event_loop.spool, exchange.wire, &limits)).await?)))
}

/// Chooses while the client waits for it; adds to `queue_us` how long that took, where nobody had room.
async fn choose<W: Wire>(choice: &Choice<'_>, wire: &mut W, queue_us: &mut Option<u64>) -> Result<Held, Fault> {
    let mut choosing = pin!(choice.choose());
    if let Some(chosen) = poll_fn(|task| Poll::Ready(now(choosing.as_mut().poll(task)))).await {
        return chosen;
    }
    let since_us = choice.upstreams.event_loop.clock.now_us();
    let mut gone = pin!(wire.gone());
    let chosen = poll_fn(|task| match choosing.as_mut().poll(task) {
        Poll::Pending => gone.as_mut().poll(task).map(|()| Err(Fault::ClientGone)),
        chosen => chosen,
    })
    .await;
    let waited_us = choice.upstreams.event_loop.clock.now_us().saturating_sub(since_us);
    *queue_us = Some(queue_us.unwrap_or(0) + waited_us);
    chosen
}

/// Says why nobody is asked; once in a while, as it is so for every request.
fn complain(choice: &Choice<'_>, head: &Head, fault: Fault) -> Fault {
    let Choice { upstreams, pools, pool: number, .. } = *choice;
    let (desk, pool) = pools.of(number);
    let why = match fault {
        Fault::NoServer => "has no server that can be asked",
        Fault::QueueFull => "has as many requests as it takes, and its queue is full",
        Fault::QueueTimeout => "had no room for a request within queue.max_wait",
        Fault::NotFound => {
            "runs scripts, and this path names none (php = { front = \"index.php\" } would have all such)"
        }
        _ => return fault,
    };
    if desk.may_complain(upstreams.event_loop.clock.coarse_ms()) {
        let path = String::from_utf8_lossy(head.path());
        let status = fault.status();
        upstreams
            .event_loop
            .report(&format!("pool {} {why}: {path}, and what follows, is answered {status}", pool.name));
    }
    fault
}

/// Says which try failed, and what comes of it.
fn tell(upstreams: &Upstreams, pool: &Pool, head: &Head, context: &RequestContext, told: (&str, u16, &str, bool)) {
    let (server, status, why, goes_on) = told;
    let (method, path) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.path()));
    let (copy, outcome) = match (context.is_copy, goes_on) {
        (false, false) => ("", format!("it is answered {status}")),
        (false, true) => ("", "it goes to another one".into()),
        (true, false) => ("the copy of ", "nobody waits for it".into()),
        (true, true) => ("the copy of ", "it goes to another one".into()),
    };
    let (pool, id) = (&pool.name, context.request_id.as_str());
    upstreams
        .event_loop
        .report(&format!("{copy}{method} {path} ({id}): pool {pool}: server {server}: {why}; {outcome}"));
}

/// The hash of what the request is told by.
fn key(pool: &Pool, head: &Head, client: &str) -> u64 {
    match &pool.balance {
        Balance::Hash(by) => key_of(by, head, client),
        _ => 0,
    }
}
