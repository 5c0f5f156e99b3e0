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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{get, head};

    fn limiter(by: LimitBy, most: Most) -> Arc<Limiter> {
        Arc::new(Limiter::new(Zone { name: "z".into(), by, most, tells: true }, Instant::now()))
    }

    fn hourly(burst: u64) -> Most {
        Most::Rate(Rate { interval_ns: 3_600 * NS, burst })
    }

    fn client(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    #[test]
    fn who_has_had_its_share_waits_and_is_told_what_is_left() {
        let (limiter, head, mut told) = (limiter(LimitBy::Client, hourly(3)), get("/"), None);
        let mut take = |client| {
            let taken = limiter.take(Asker { head: &head, client, user: None }, &mut told).err();
            (taken, told.as_ref().map(|told| (told.most, told.left)))
        };
        for left in [2, 1, 0] {
            assert_eq!(take(client("192.0.2.1")), (None, Some((3, left))));
        }
        let (refused, told) = take(client("192.0.2.1"));
        assert!(matches!(refused, Some(Fault::TooManyRequests(3_590..=3_600))), "{refused:?}");
        assert_eq!(told, Some((3, 0)));
        assert_eq!(take(client("192.0.2.2")), (None, Some((3, 2))), "another one has its own");
        assert_eq!(take(client("2001:db8::1")).0, None);
        assert_eq!(take(client("2001:db8::2")).1, Some((3, 1)), "one customer has a whole network");
    }

    #[test]
    fn who_counts_as_one_is_what_the_zone_says() {
        let with = |line: &str| head(&format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n"));
        let (one, other) = (with("X-Key: 1\r\nCookie: id=a\r\n"), with("X-Key: 2\r\nCookie: id=b\r\n"));
        let table = [
            (LimitBy::Header("x-key".into()), true),
            (LimitBy::Cookie("id".into()), true),
            (LimitBy::User, true),
            (LimitBy::Client, true),
            (LimitBy::All, false),
        ];
        for (by, are_two) in table {
            let limiter = limiter(by.clone(), hourly(1));
            let first = Asker { head: &one, client: client("192.0.2.1"), user: Some("ann") };
            let second = Asker { head: &other, client: client("192.0.2.2"), user: Some("bob") };
            assert!(limiter.take(first, &mut None).is_ok(), "{by:?}");
            assert_eq!(limiter.take(second, &mut None).is_ok(), are_two, "{by:?}");
            assert!(limiter.take(first, &mut None).is_err(), "{by:?}");
        }
    }

    #[test]
    fn requests_at_a_time_count_until_they_end() {
        let head = get("/");
        let asker = |address| Asker { head: &head, client: client(address), user: None };
        let own = limiter(LimitBy::Client, Most::AtOnce(2));
        let held = [0, 1].map(|_| own.take(asker("192.0.2.1"), &mut None).unwrap());
        assert_eq!(own.take(asker("192.0.2.1"), &mut None).err(), Some(Fault::TooManyRequests(1)));
        assert!(own.take(asker("192.0.2.2"), &mut None).is_ok());
        drop(held);
        assert!(lock(&own.at_once).is_empty(), "who has none is forgotten");
        let common = limiter(LimitBy::All, Most::AtOnce(1));
        let _held = common.take(asker("192.0.2.1"), &mut None);
        assert_eq!(common.take(asker("192.0.2.2"), &mut None).err(), Some(Fault::Busy));
    }

    #[test]
    fn the_answers_to_one_client_share_its_bandwidth() {
        let bandwidth = Bandwidth { client_bytes_s: 1_000, ..Bandwidth::default() };
        let pacer = Pacer::new(&bandwidth, Instant::now());
        assert_eq!(pacer.owe(client("192.0.2.1"), 250), 0, "a quarter of a second may go at once");
        let owed = pacer.owe(client("192.0.2.1"), 1_000);
        assert!((NS / 2..=NS + NS / 4).contains(&owed), "{owed}");
        assert!(pacer.owe(client("192.0.2.1"), 1_000) > owed + NS / 2);
        assert_eq!(pacer.owe(client("192.0.2.2"), 250), 0);
    }
}
