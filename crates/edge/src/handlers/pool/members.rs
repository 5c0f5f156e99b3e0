//! In:     a pool of the plan, the addresses of its names.
//! Out:    its members; room for requests that wait; its budget of retries.
//! Actors: every event loop reads; the keeper of plans and the discoverer write.
//! Never:  does a change of members lose what is known of those that stay.

use crate::handlers::pool::server::{Address, Identity, Server};
use hallway_core::balance::Budget;
use hallway_core::balance::ring::{Hash, Ring};
use hallway_core::plan::{Balance, Place, Pool};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::Notify;

/// Between two words about nobody being there.
const COMPLAIN_MS: u64 = 10_000;
/// Partitions of a member on the ring, for each unit of its weight; all of them together are bounded.
const PARTITIONS: u64 = 500;
const PARTITIONS_MAX: u64 = 500_000;

/// One server that a name stands for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Found {
    pub(super) address: SocketAddr,
    /// As its record says; 0 where none does.
    pub(super) weight: u32,
    pub(super) is_backup: bool,
}

/// One member of a pool.
pub(crate) struct Member {
    pub(crate) server: Arc<Server>,
    pub(super) weight: u32,
    pub(super) is_backup: bool,
    pub(super) connections_max: u32,
}

/// The members of a pool, as they are at the moment.
#[derive(Default)]
pub(crate) struct Members {
    /// The plan that they are of, and the pool as it is there; nothing where nobody was a member yet.
    of: Option<(u32, Arc<Pool>)>,
    pub(crate) list: Vec<Member>,
    pub(super) ring: Option<Ring>,
    /// Names whose addresses are not known yet.
    pub(super) unknown: Vec<String>,
    /// Names that stand for nothing.
    pub(super) nowhere: Vec<String>,
}

impl Members {
    /// Whether a request that goes by this plan, where the pool is this one, may be theirs.
    pub(super) fn suit(&self, pool: &Pool, serial: u32) -> bool {
        self.of.as_ref().is_none_or(|(plan, own)| *plan == serial || own.asks_like(pool))
    }

    /// Whether it is known where any of them is, or that there is none.
    pub(super) fn is_known(&self) -> bool {
        !self.list.is_empty() || self.unknown.is_empty()
    }

    fn is_of(&self, serial: u32) -> bool {
        self.of.as_ref().is_none_or(|(plan, _)| *plan == serial)
    }
}

/// A pool, for all event loops and all plans that have one of its name.
pub(crate) struct PoolDesk {
    pub(super) number: usize,
    members: RwLock<Arc<Members>>,
    /// Those of the plan before, for requests that began with it.
    former: RwLock<Arc<Members>>,
    /// The latest plan that it has members by.
    serial: Mutex<u32>,
    /// Counts changes of the members.
    version: AtomicU64,
    /// Event loops that have begun to take turns.
    loops: AtomicUsize,
    /// What is left of the budget of retries.
    saved: AtomicI64,
    /// Requests that wait until a server has room; their numbers, who came first in front.
    pub(super) waiting: AtomicUsize,
    line: Mutex<VecDeque<u64>>,
    /// Those of them that not every server is for.
    picky: AtomicUsize,
    /// Told for one of them when a server may have room, in the order in which they came.
    pub(super) freed: Notify,
    /// When it may be said again that nobody can be asked.
    complain_ms: AtomicU64,
    /// Told when names have got addresses.
    pub(super) found: Notify,
    beginning: Instant,
}

impl PoolDesk {
    pub(crate) fn new(beginning: Instant) -> PoolDesk {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        PoolDesk {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            members: RwLock::default(),
            former: RwLock::default(),
            serial: Mutex::new(0),
            version: AtomicU64::new(0),
            loops: AtomicUsize::new(0),
            saved: AtomicI64::new(Budget::new(0).full()),
            waiting: AtomicUsize::new(0),
            line: Mutex::default(),
            picky: AtomicUsize::new(0),
            freed: Notify::new(),
            complain_ms: AtomicU64::new(0),
            found: Notify::new(),
            beginning,
        }
    }

    /// The members as they are now.
    pub(crate) fn members(&self) -> Arc<Members> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The members as they were in the plan before.
    pub(super) fn former(&self) -> Arc<Members> {
        self.former.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Now, on the clock that event loops go by.
    pub(super) fn now_ms(&self) -> u64 {
        self.beginning.elapsed().as_millis() as u64
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// One more event loop takes turns; how many did before.
    pub(super) fn note_loop(&self) -> usize {
        self.loops.fetch_add(1, Ordering::Relaxed)
    }

    /// Has the members of this pool from now on. `found` has what those of its servers stand for that are known by
    /// a name; nothing where that is not known yet.
    pub(super) fn renew(
        &self,
        (pool, serial): (&Arc<Pool>, u32),
        pools: &[Arc<Pool>],
        found: &dyn Fn(usize) -> Option<Vec<Found>>,
    ) {
        let mut latest = self.serial.lock().unwrap_or_else(PoisonError::into_inner);
        if serial < *latest {
            // A name was found for a plan that has been replaced.
            return;
        }
        *latest = serial;
        let before = self.members();
        let now_ms = self.now_ms();
        let since_ms = if before.list.is_empty() { 0 } else { now_ms.max(1) };
        let (mut list, mut unknown, mut nowhere) = (Vec::new(), Vec::new(), Vec::new());
        for (at, server) in pool.servers.iter().enumerate() {
            let addresses = match &server.at {
                Place::Unix(path) => vec![(Address::Unix(path.clone()), 0, false)],
                Place::Pool(number) => vec![(Address::Pool(pools[*number].name.clone()), 0, false)],
                Place::Host { name, port } => match (name.parse::<IpAddr>(), port) {
                    (Ok(address), Some(port)) => vec![(Address::Tcp(SocketAddr::new(address, *port)), 0, false)],
                    _ => found(at).map_or_else(
                        || {
                            unknown.push(name.clone());
                            Vec::new()
                        },
                        |found| {
                            let of = |one: Found| (Address::Tcp(one.address), one.weight, one.is_backup);
                            found.into_iter().map(of).collect()
                        },
                    ),
                },
            };
            let host = if let Place::Host { name, .. } = &server.at { name.clone() } else { String::new() };
            if addresses.is_empty() && !unknown.contains(&host) {
                nowhere.push(host.clone());
            }
            for (address, weight, is_backup) in addresses {
                let identity =
                    Identity { address, protocol: server.protocol, host: host.clone(), tls: pool.tls.clone() };
                if list.iter().any(|member: &Member| member.server.identity == identity) {
                    continue;
                }
                let known = before.list.iter().find(|member| member.server.identity == identity);
                let kept = known.map(|member| member.server.clone());
                if let Some(kept) = kept.as_ref().filter(|_| pool.check.is_none()) {
                    kept.forget_looks();
                }
                list.push(Member {
                    server: kept.unwrap_or_else(|| Arc::new(Server::new(identity, since_ms))),
                    weight: server.weight.saturating_mul(weight.max(1)),
                    is_backup: server.is_backup || is_backup,
                    connections_max: server.connections_max,
                });
            }
        }
        let ring = matches!(pool.balance, Balance::Hash(_)).then(|| ring(&list));
        if !before.is_of(serial) {
            *self.former.write().unwrap_or_else(PoisonError::into_inner) = before;
        }
        let members = Members { of: Some((serial, pool.clone())), list, ring, unknown, nowhere };
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(members);
        self.version.fetch_add(1, Ordering::AcqRel);
        self.found.notify_waiters();
        self.freed.notify_waiters();
    }

    /// A request came, and with it a share of a retry.
    pub(super) fn earn_retry(&self, budget: Budget) {
        // Threads that do so at once earn once, which is as good.
        let saved = self.saved.load(Ordering::Relaxed);
        let earned = budget.earned(saved);
        if earned != saved {
            self.saved.store(earned, Ordering::Relaxed);
        }
    }

    /// Whether a request may be sent again.
    pub(super) fn spend_retry(&self, budget: Budget) -> bool {
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| budget.spent(saved)).is_ok()
    }

    /// Whether it is to be said that nobody can be asked: not for each request.
    pub(super) fn may_complain(&self, now_ms: u64) -> bool {
        let at_ms = self.complain_ms.load(Ordering::Relaxed);
        let again_ms = now_ms + COMPLAIN_MS;
        now_ms >= at_ms
            && self.complain_ms.compare_exchange(at_ms, again_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A place behind those who wait, of at most so many; `is_picky` where not every server will do.
    pub(super) fn queue_up(&self, most: usize, is_picky: bool) -> Option<Waiting<'_>> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.len() >= most {
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        line.push_back(number);
        self.waiting.store(line.len(), Ordering::Relaxed);
        self.picky.fetch_add(usize::from(is_picky), Ordering::Relaxed);
        Some(Waiting { desk: self, number, is_picky })
    }

    /// A server may have room again.
    pub(super) fn note_freed(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.freed.notify_one();
        }
    }
}

/// A place among those who wait.
pub(super) struct Waiting<'a> {
    desk: &'a PoolDesk,
    number: u64,
    is_picky: bool,
}

impl Waiting<'_> {
    /// Whether nobody has waited for longer.
    pub(super) fn is_first(&self) -> bool {
        let line = self.desk.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.front() == Some(&self.number)
    }

    /// Room that is not for this one may be for another.
    pub(super) fn pass_on(&self) {
        let waiting = self.desk.waiting.load(Ordering::Relaxed);
        if self.is_picky && waiting > self.desk.picky.load(Ordering::Relaxed) {
            self.desk.freed.notify_one();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut line = self.desk.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.retain(|number| *number != self.number);
        self.desk.waiting.store(line.len(), Ordering::Relaxed);
        self.desk.picky.fetch_sub(usize::from(self.is_picky), Ordering::Relaxed);
    }
}

fn ring(list: &[Member]) -> Ring {
    let weights: u64 = list.iter().map(|member| u64::from(member.weight)).sum();
    let all = (weights * PARTITIONS).min(PARTITIONS_MAX);
    let share = |weight: u32| (u64::from(weight) * all / weights.max(1)).max(u64::from(weight > 0)) as u32;
    let nodes: Vec<(String, u32)> =
        list.iter().map(|member| (member.server.name.to_string(), share(member.weight))).collect();
    Ring::new(Hash::Xxh3, &nodes)
}
