//! In:     what became of requests to one server.
//! Out:    how it stands: how many it has, how fast it is, whether it is asked.
//! Actors: every event loop; all that they share of a server are these numbers.
//! Never:  is a lock taken for a server that is well.

use hallway_core::Fault;
use hallway_core::balance::{Change, Health, Latency, Patience, Readiness, Standing, Tier};
use hallway_core::plan::{Pool, PoolTls, Protocol};
use hallway_net::runtime::console::Voice;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// By which threads read the readiness of a server that is down.
const DOWN: u64 = u64::MAX;
/// The unit of weights: that a server which comes back can have a part of one.
pub(super) const WEIGHT_UNIT: u32 = 100;

/// So long one request alone sees whether a server is well again.
const TRIAL_MS: u64 = 5_000;

/// Where a server is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// Another pool, by its name.
    Pool(String),
}

impl std::fmt::Display for Address {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(address) => write!(out, "{address}"),
            Address::Unix(path) => write!(out, "unix:{}", path.display()),
            Address::Pool(name) => write!(out, "pool:{name}"),
        }
    }
}

/// What makes a server another one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Identity {
    pub(super) address: Address,
    pub(super) protocol: Protocol,
    /// The name by which it was found.
    pub(super) host: String,
    pub(super) tls: PoolTls,
}

/// What a server that is not asked is out for.
#[derive(Clone, Default)]
pub(super) struct Trouble {
    pub(super) since_ms: u64,
    pub(super) why: String,
}

/// What is known of how it is, and since when it is not well.
#[derive(Default)]
struct Kept {
    health: Health,
    trouble: Option<Trouble>,
}

/// One server. It outlives plans that have it.
pub(crate) struct Server {
    /// Unlike that of any other.
    pub(super) number: u64,
    pub(super) identity: Identity,
    /// As logs name it.
    pub(crate) name: Arc<str>,
    outstanding: AtomicU32,
    latency: AtomicU64,
    health: Mutex<Kept>,
    is_troubled: AtomicBool,
    /// 0 where it is ready, `DOWN`, or until when it is ejected.
    not_before_ms: AtomicU64,
    /// Until when the request counts that sees whether it is well again. Milliseconds; 0 for none.
    trial_ms: AtomicU64,
    /// Since when it is there. Milliseconds; 0 where it always was.
    since_ms: AtomicU64,
}

impl Server {
    pub(super) fn new(identity: Identity, since_ms: u64) -> Server {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        Server {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            name: identity.address.to_string().into(),
            identity,
            outstanding: AtomicU32::new(0),
            latency: AtomicU64::new(0),
            health: Mutex::default(),
            is_troubled: AtomicBool::new(false),
            not_before_ms: AtomicU64::new(0),
            trial_ms: AtomicU64::new(0),
            since_ms: AtomicU64::new(since_ms),
        }
    }

    /// The host that it is asked for where the client named none (HTTP/1.0).
    pub(super) fn host(&self) -> &str {
        match &self.identity.address {
            Address::Tcp(_) => &self.name,
            Address::Unix(_) | Address::Pool(_) => "localhost",
        }
    }

    /// How it stands, with this weight, when it takes so many requests at a time.
    pub(super) fn standing(&self, weight: u32, (most, slow_start_ms): (u32, u64), now_ms: u64) -> Standing {
        let outstanding = self.outstanding.load(Ordering::Relaxed);
        let tier = match self.not_before_ms.load(Ordering::Relaxed) {
            0 => Tier::Primary,
            DOWN => Tier::Out,
            until_ms if now_ms >= until_ms && now_ms >= self.trial_ms.load(Ordering::Relaxed) => Tier::Primary,
            _ => Tier::Ejected,
        };
        let latency = Latency::unpack(self.latency.load(Ordering::Relaxed));
        Standing {
            tier,
            is_full: most > 0 && outstanding >= most,
            weight: self.share(weight, slow_start_ms, now_ms),
            outstanding,
            latency_us: latency.now_us(now_ms),
        }
    }

    /// Its weight: a server that came just now has a tenth of it, and more as time goes by.
    fn share(&self, weight: u32, slow_start_ms: u64, now_ms: u64) -> u32 {
        let since_ms = self.since_ms.load(Ordering::Relaxed);
        let full = weight.saturating_mul(WEIGHT_UNIT);
        if since_ms == 0 || slow_start_ms == 0 || weight == 0 {
            return full;
        }
        let age_ms = now_ms.saturating_sub(since_ms);
        if age_ms >= slow_start_ms {
            return full;
        }
        ((u64::from(full) * age_ms / slow_start_ms) as u32).max(full / 10).max(1)
    }

    /// It gets a request. Whether that is the one that sees how it is.
    pub(super) fn begin(&self, now_ms: u64) -> bool {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        let not_before_ms = self.not_before_ms.load(Ordering::Relaxed);
        let may_try = not_before_ms != 0 && not_before_ms != DOWN && now_ms >= not_before_ms;
        let is_trial = may_try && now_ms >= self.trial_ms.load(Ordering::Relaxed);
        if is_trial {
            self.trial_ms.store(now_ms + TRIAL_MS, Ordering::Relaxed);
        }
        is_trial
    }

    /// A request has ended.
    pub(super) fn end(&self, was_trial: bool) {
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
        if was_trial {
            self.trial_ms.store(0, Ordering::Relaxed);
        }
    }

    /// Whether looks say that it is not well, so that it is not asked at all.
    pub(super) fn is_down(&self) -> bool {
        self.not_before_ms.load(Ordering::Relaxed) == DOWN
    }

    /// Requests that it has.
    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Whether any answer of it has come since it is known.
    pub(super) fn has_ever_answered(&self) -> bool {
        self.latency.load(Ordering::Relaxed) != 0
    }

    /// How it is, in a word; what is wrong.
    pub(super) fn state(&self, now_ms: u64) -> (&'static str, Option<Trouble>) {
        let kept = self.lock();
        let word = match kept.health.readiness(now_ms) {
            Readiness::Ready => "ready",
            Readiness::OnTrial => "on trial",
            Readiness::Ejected(_) => "out",
            Readiness::Down => "down",
        };
        (word, kept.trouble.clone().filter(|_| word != "ready"))
    }

    /// Nobody looks how it is any more.
    pub(super) fn forget_looks(&self) {
        let mut kept = self.lock();
        if kept.health.forget_looks() {
            kept.trouble = None;
            self.not_before_ms.store(0, Ordering::Relaxed);
        }
    }

    /// It answered with this status, after so long.
    pub(super) fn note_answer(&self, pool: &Pool, (status, took_us): (u16, u64), now_ms: u64) {
        // Two threads at once: one of them is not counted, which is as good.
        let latency = Latency::unpack(self.latency.load(Ordering::Relaxed)).after(took_us, now_ms);
        self.latency.store(latency.pack(), Ordering::Relaxed);
        if pool.eject_on.contains(&status) {
            let why = format!("it answered {status}");
            self.change(pool, now_ms, &why, |health| health.failed(now_ms, &patience(pool), false));
        } else if self.is_troubled.load(Ordering::Relaxed) {
            self.change(pool, now_ms, "", |health| health.succeeded(now_ms));
        }
    }

    /// It did not.
    pub(super) fn note_failure(&self, pool: &Pool, (fault, why): (Fault, &str), now_ms: u64) {
        let is_plain =
            matches!(fault, Fault::Unreachable | Fault::ServerTls | Fault::ServerCertificate | Fault::ConnectTimeout);
        self.change(pool, now_ms, why.trim_end_matches('.'), |health| health.failed(now_ms, &patience(pool), is_plain));
    }

    /// Somebody looked how it is.
    pub(super) fn note_look(&self, pool: &Pool, found: Result<(), &str>, now_ms: u64) {
        let why = found.err().unwrap_or_default();
        self.change(pool, now_ms, why, |health| health.looked(found.is_ok(), now_ms, &patience(pool)));
    }

    fn change(&self, pool: &Pool, now_ms: u64, why: &str, change: impl FnOnce(&mut Health) -> Option<Change>) {
        let why = why.trim_end_matches('.');
        let mut kept = self.lock();
        let changed = change(&mut kept.health);
        match changed {
            Some(Change::Ejected(_) | Change::Fell) => {
                let since_ms = kept.trouble.as_ref().map_or(now_ms, |trouble| trouble.since_ms);
                kept.trouble = Some(Trouble { since_ms, why: why.into() });
            }
            Some(Change::Returned | Change::Rose) => kept.trouble = None,
            None => {}
        }
        let not_before_ms = match kept.health.readiness(now_ms) {
            Readiness::Ready => 0,
            Readiness::Down => DOWN,
            Readiness::OnTrial => now_ms,
            Readiness::Ejected(until_ms) => until_ms,
        };
        self.not_before_ms.store(not_before_ms, Ordering::Relaxed);
        self.is_troubled.store(kept.health.is_troubled(), Ordering::Relaxed);
        drop(kept);
        let told = match changed {
            None => return,
            Some(Change::Ejected(out_ms)) => format!("is out for {} s: {why}", out_ms as f64 / 1000.0),
            Some(Change::Fell) => format!("is down: {why}"),
            Some(Change::Returned) => "is back".into(),
            Some(Change::Rose) => "is well again".into(),
        };
        if matches!(changed, Some(Change::Returned | Change::Rose)) {
            self.since_ms.store(now_ms.max(1), Ordering::Relaxed);
        }
        Voice::of_process().say(&format!("pool {}: server {} {told}", pool.name, self.name));
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic ends the process, so a poisoned lock is never seen.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn patience(pool: &Pool) -> Patience {
    let (rise, fall) = pool.check.as_ref().map_or((1, 1), |check| (check.rise, check.fall));
    Patience { failures: pool.eject_after, out_ms: pool.eject_ms, out_ms_max: pool.eject_ms_max, rise, fall }
}
