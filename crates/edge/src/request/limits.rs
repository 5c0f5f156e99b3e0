//! In:     zones of the plan; requests.
//! Out:    whether a request may go on, what its client has left, when it may come again.
//! Actors: every event loop, for less than a microsecond each.
//! Never:  does a flood of distinct clients take memory without end.

use hallway_core::Fault;
use hallway_core::head::Head;
use hallway_core::permit::{Charged, Meters};
use hallway_core::plan::{Bandwidth, LimitBy, Most, Rate, Zone};
use hallway_core::semantics::cookie;
use hallway_net::runtime::lock::lock;
use hallway_net::socket::client_connections::whole_customer;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Clients that one zone remembers at a time, at least; 16 bytes each.
const CLIENTS_MAX: usize = 32 * 1024;
/// Parts of a zone that are locked by themselves.
const SHARDS: usize = 8;
const NS: u64 = 1_000_000_000;

/// What one zone counts. Shared by all event loops, and by all plans that have the zone.
pub(crate) struct Limiter {
    zone: Zone,
    beginning: Instant,
    seed: RandomState,
    meters: [Mutex<Meters>; SHARDS],
    at_once: Mutex<HashMap<u64, u32>>,
}

/// Who asks, as far as limits can tell.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) head: &'a Head,
    pub(crate) client: Option<IpAddr>,
    pub(crate) user: Option<&'a str>,
}

/// What a client has left, for the lines that say so.
pub(crate) struct Left {
    pub(crate) most: u64,
    pub(crate) left: u64,
    pub(crate) full_in_s: u64,
}

/// A request that counts until this is dropped.
pub(crate) struct Counted {
    limiter: Arc<Limiter>,
    key: u64,
}

impl Limiter {
    pub(crate) fn new(zone: Zone, beginning: Instant) -> Limiter {
        let meters = std::array::from_fn(|_| Mutex::new(Meters::new(CLIENTS_MAX / SHARDS)));
        Limiter { zone, beginning, seed: RandomState::new(), meters, at_once: Mutex::default() }
    }

    /// What is to be counted.
    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Counts a request, and notes what its client has left where that is told.
    ///
    /// # Errors
    /// 429 for a client that has had what it gets, 503 where as many as may are at it.
    pub(crate) fn take(self: &Arc<Self>, asker: Asker<'_>, told: &mut Option<Left>) -> Result<Option<Counted>, Fault> {
        let key = self.key(asker);
        match self.zone.most {
            Most::Rate(rate) => {
                let charged = lock(self.shard(key)).charge(key, rate, 1, self.now_ns());
                let (left, full_in_ns, again_in_ns) = match charged {
                    Charged::Passed { left, full_in_ns } => (left, full_in_ns, None),
                    Charged::Refused { again_in_ns, full_in_ns } => (0, full_in_ns, Some(again_in_ns)),
                };
                if self.zone.tells {
                    *told = Some(Left { most: rate.burst, left, full_in_s: full_in_ns.div_ceil(NS) });
                }
                let seconds = |again_in_ns: u64| u32::try_from(again_in_ns.div_ceil(NS)).unwrap_or(u32::MAX);
                again_in_ns.map_or(Ok(None), |again_in_ns| Err(Fault::TooManyRequests(seconds(again_in_ns))))
            }
            Most::AtOnce(most) => {
                let mut at_once = lock(&self.at_once);
                let count = at_once.entry(key).or_insert(0);
                if *count >= most {
                    let is_own = self.zone.by != LimitBy::All;
                    return Err(if is_own { Fault::TooManyRequests(1) } else { Fault::Busy });
                }
                *count += 1;
                Ok(Some(Counted { limiter: self.clone(), key }))
            }
        }
    }

    fn key(&self, Asker { head, client, user }: Asker<'_>) -> u64 {
        match &self.zone.by {
            LimitBy::Client => self.seed.hash_one(client.map(whole_customer)),
            LimitBy::Header(name) => self.seed.hash_one(head.fields.named(name.as_bytes())),
            LimitBy::Cookie(name) => self.seed.hash_one(cookie(head, name.as_bytes())),
            LimitBy::User => self.seed.hash_one(user),
            LimitBy::All => 1,
        }
    }

    fn shard(&self, key: u64) -> &Mutex<Meters> {
        &self.meters[(key >> 61) as usize % SHARDS]
    }

    fn now_ns(&self) -> u64 {
        self.beginning.elapsed().as_nanos() as u64
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut at_once = lock(&self.limiter.at_once);
        if let Some(count) = at_once.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                at_once.remove(&self.key);
            }
        }
    }
}

/// What all answers to one client share of a bandwidth.
pub(crate) struct Pacer {
    rate: Rate,
    beginning: Instant,
    seed: RandomState,
    meters: Mutex<Meters>,
}

impl Pacer {
    pub(crate) fn new(bandwidth: &Bandwidth, beginning: Instant) -> Pacer {
        // A quarter of a second may be sent at once.
        let bytes_s = bandwidth.client_bytes_s.max(1);
        let rate = Rate { interval_ns: (NS / bytes_s).max(1), burst: bytes_s / 4 };
        Pacer { rate, beginning, seed: RandomState::new(), meters: Mutex::new(Meters::new(CLIENTS_MAX)) }
    }

    /// Sends so many bytes to a client; for how many nanoseconds nothing more is to be sent then.
    pub(crate) fn owe(&self, client: Option<IpAddr>, bytes: u64) -> u64 {
        let key = self.seed.hash_one(client.map(whole_customer));
        lock(&self.meters).owe(key, self.rate, bytes, self.beginning.elapsed().as_nanos() as u64)
    }
}
