//! In:     a pool, a request's key, the servers it was tried on.
//! Out:    a server that has the request from now on.
//! Actors: the task of the request; it waits while every server has as many as it takes.
//! Never:  is a server counted as busy for longer than it has the request.

use crate::handlers::pool::connections::{Turns, Upstreams};
use crate::handlers::pool::lease::Held;
use crate::handlers::pool::members::{Member, PoolDesk};
use crate::handlers::pool::pools::Pools;
use crate::handlers::pool::server::{Address, Server};
use crate::handlers::pool::sticky;
use hallway_core::Fault;
use hallway_core::balance::{Picked, Standing, Tier};
use hallway_core::plan::{POOLS_DEPTH_MAX, Pool};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// Between two looks of a request that waits, where nobody tells it.
const LOOK_MS: u64 = 200;

/// What a choice goes by.
pub(super) struct Choice<'a> {
    pub(super) upstreams: &'a Rc<Upstreams>,
    pub(super) pools: &'a Pools,
    /// The pool, among those of the plan.
    pub(super) pool: usize,
    /// The hash of what the request is told by.
    pub(super) key: u64,
    /// Numbers of servers that had it before.
    pub(super) tried: &'a [u64],
    /// The number of the member that its cookie names.
    pub(super) wanted: Option<u64>,
}

/// Why one that waits looks again.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Word {
    /// A server has room.
    Freed,
    /// Names have got addresses, or members have changed.
    Found,
    Time,
}

enum Found {
    Held(Held),
    Full,
    Nobody,
    /// The addresses of some are not known yet.
    Unknown,
}

impl Choice<'_> {
    /// Whether anybody is left who has not had it.
    pub(super) fn has_other(&self) -> bool {
        self.is_anybody_open(self.pool, 0)
    }

    fn is_anybody_open(&self, number: usize, depth: usize) -> bool {
        let Some((desk, _)) = self.pools.get(number).filter(|_| depth < POOLS_DEPTH_MAX) else { return false };
        desk.members().list.iter().any(|member| match &member.server.identity.address {
            Address::Pool(name) => {
                let below = self.pools.number(name);
                below.is_some_and(|below| self.is_anybody_open(below, depth + 1))
            }
            _ => member.weight > 0 && !member.server.is_down() && !self.tried.contains(&member.server.number),
        })
    }

    /// A server; waits for one where all have as many as they take.
    ///
    /// # Errors
    /// 503 where there is none, or none for too long.
    pub(super) async fn choose(&self) -> Result<Held, Fault> {
        let (desk, pool) = self.pools.of(self.pool);
        // Who comes later waits behind those who do already.
        if desk.waiting.load(Ordering::Relaxed) == 0 {
            match self.look_twice() {
                Found::Held(held) => return Ok(held),
                Found::Nobody => return Err(Fault::NoServer),
                Found::Full | Found::Unknown => {}
            }
        }
        // What few requests need is not kept by all.
        Box::pin(self.wait(desk, pool)).await
    }

    async fn wait(&self, desk: &PoolDesk, pool: &Pool) -> Result<Held, Fault> {
        let is_picky = !self.tried.is_empty() || self.wanted.is_some();
        let waiting = desk.queue_up(pool.queue_size, is_picky).ok_or(Fault::QueueFull)?;
        let deadline = hallway_net::runtime::deadline::Deadline::new(&self.upstreams.event_loop.deadlines);
        let since_ms = self.upstreams.event_loop.clock.coarse_ms();
        // Its place among those who are told is kept for as long as it is not told.
        let mut freed = pin!(desk.freed.notified());
        freed.as_mut().enable();
        // A server that has just got room is for the first of them, who was told and may not have looked yet. As long as no
        // address is known nobody has anything to lose.
        let is_known = desk.members().is_known();
        let is_behind = is_known && !is_picky && !waiting.is_first();
        let mut word = if is_behind { Word::Time } else { Word::Found };
        let mut patience_ms = pool.queue_max_wait_ms;
        loop {
            let mut found = pin!(desk.found.notified());
            found.as_mut().enable();
            // Who waits behind others looks when it is told to, so that nobody is overtaken.
            if word != Word::Time || waiting.is_first() {
                patience_ms = match self.look_twice() {
                    Found::Held(held) => return Ok(held),
                    Found::Nobody => return Err(Fault::NoServer),
                    Found::Full => pool.queue_max_wait_ms,
                    Found::Unknown => pool.connect_timeout_ms,
                };
                if word == Word::Freed {
                    waiting.pass_on();
                }
            }
            let either = poll_fn(|task| {
                if freed.as_mut().poll(task).is_ready() {
                    return Poll::Ready(Word::Freed);
                }
                found.as_mut().poll(task).map(|()| Word::Found)
            });
            // Servers have room again by time alone, too: that of a pool below, or one that was out.
            let now_ms = self.upstreams.event_loop.clock.coarse_ms();
            let due_ms = (since_ms + patience_ms).min(now_ms + LOOK_MS);
            word = deadline.until(due_ms, either).await.unwrap_or(Word::Time);
            if word == Word::Time && self.upstreams.event_loop.clock.coarse_ms() >= since_ms + patience_ms {
                return Err(if patience_ms == pool.queue_max_wait_ms { Fault::QueueTimeout } else { Fault::NoServer });
            }
            if word == Word::Freed {
                freed.set(desk.freed.notified());
                freed.as_mut().enable();
            }
        }
    }

    /// Those that were ejected, here or in a pool below, only when there is nobody else.
    fn look_twice(&self) -> Found {
        match self.look(self.pool, 0, false) {
            Found::Nobody => self.look(self.pool, 0, true),
            found => found,
        }
    }

    fn look(&self, number: usize, depth: usize, last_resort: bool) -> Found {
        let Some((desk, pool)) = self.pools.get(number) else {
            return Found::Nobody;
        };
        let now_ms = self.upstreams.event_loop.clock.coarse_ms();
        // Members that had to be left out after they were picked, and whether one of them had too much to do.
        let (mut refused, mut is_full) = (Vec::new(), false);
        loop {
            let rolled = (self.key, self.upstreams.dice());
            let picked =
                self.upstreams.with_turns(desk, (pool, self.pools.serial), |Turns { members, picker, .. }| {
                    let stands = |at: usize| {
                        let member: &Member = &members.list[at];
                        if self.tried.contains(&member.server.number) || refused.contains(&member.server.number) {
                            return Standing::default();
                        }
                        standing(member, pool, now_ms)
                    };
                    if let Some(wanted) = self.wanted.filter(|_| depth == 0) {
                        let found =
                            (0..members.list.len()).find(|at| sticky::number(&members.list[*at].server) == wanted);
                        let stands = found.map(|at| (at, stands(at))).filter(|(_, one)| one.tier >= Tier::Backup);
                        match stands {
                            // What is known of the client is there: it waits.
                            Some((_, one)) if one.is_full => return Err(Found::Full),
                            Some((at, _)) => return Ok(members.list[at].server.clone()),
                            None => {}
                        }
                    }
                    match picker.pick(
                        (&pool.balance, members.ring.as_ref(), last_resort),
                        members.list.len(),
                        stands,
                        rolled,
                    ) {
                        Picked::Member(at) => Ok(members.list[at].server.clone()),
                        Picked::Full => Err(Found::Full),
                        Picked::Nobody if is_full => Err(Found::Full),
                        Picked::Nobody if !members.unknown.is_empty() && members.list.is_empty() => Err(Found::Unknown),
                        Picked::Nobody => Err(Found::Nobody),
                    }
                });
            let server = match picked {
                Ok(server) => server,
                Err(found) => return found,
            };
            let number_of = server.number;
            match self.hold(server, number, (desk, depth, now_ms, last_resort)) {
                Found::Held(held) => return Found::Held(held),
                Found::Full => is_full = true,
                Found::Nobody | Found::Unknown => {}
            }
            refused.push(number_of);
        }
    }

    fn hold(
        &self,
        server: Arc<Server>,
        pool: usize,
        (desk, depth, now_ms, last_resort): (&Arc<PoolDesk>, usize, u64, bool),
    ) -> Found {
        if let Address::Pool(name) = &server.identity.address {
            let below = self.pools.number(name);
            let Some(below) = below.filter(|_| depth < POOLS_DEPTH_MAX) else { return Found::Nobody };
            return match self.look(below, depth + 1, last_resort) {
                Found::Held(mut held) => {
                    held.add_above(server, desk.clone(), now_ms);
                    Found::Held(held)
                }
                other => other,
            };
        }
        Found::Held(Held::begin(server, pool, desk.clone(), now_ms))
    }
}

fn standing(member: &Member, pool: &Pool, now_ms: u64) -> Standing {
    let limits = (member.connections_max, pool.slow_start_ms);
    let mut standing = member.server.standing(member.weight, limits, now_ms);
    if member.is_backup && standing.tier == Tier::Primary {
        standing.tier = Tier::Backup;
    }
    standing
}
