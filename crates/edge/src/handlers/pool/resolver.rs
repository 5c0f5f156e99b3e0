//! In:     a name, what its records said before.
//! Out:    the servers that it stands for now, and what could not be asked for.
//! Actors: the name servers.
//! Never:  does one record that cannot be had keep the others from being followed.

use crate::handlers::pool::members::Found;
use domain::base::iana::{Rcode, Rtype};
use domain::base::name::Name;
use domain::rdata::{A, Aaaa, Srv};
use domain::resolv::StubResolver;
use domain::resolv::stub::conf::{ResolvConf, ServerConf, Transport};
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A name is asked for again when its records expire; not more often, and at least so often, as those who scale an
/// application expect it to be seen.
pub(super) const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long name servers have to say that a name which had addresses has none, until that is believed: one that is
/// restarted, or reads its zone anew, says so for a moment (HAProxy's `hold nx`).
pub(super) const HOLD: Duration = Duration::from_secs(10);

/// A name, and the port where SRV records do not say it.
pub(super) type Asked = (String, Option<u16>);

/// For a name server to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Servers of one name.
const FOUND_MAX: usize = 1_000;
/// Names that are asked for at a time, where SRV records name them.
const ASKED_MAX: usize = 32;
/// Records that are remembered; beyond, all are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// What is known of a name.
pub(super) struct Resolved {
    pub(super) found: Vec<Found>,
    pub(super) lasts: Duration,
    /// What could not be asked for.
    pub(super) trouble: Option<String>,
}

/// What records said when they last said anything, and when that was.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<(String, Rtype), Said>>);

/// The addresses, and when they were said.
type Said = (Vec<IpAddr>, Instant);

impl Memory {
    fn remember(&self, name: &str, kind: Rtype, addresses: &[IpAddr]) {
        let mut known = locked(&self.0);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert((name.into(), kind), (addresses.to_vec(), Instant::now()));
    }

    /// What a record said at most so long ago.
    fn recall(&self, name: &str, kind: Rtype, within: Duration) -> Vec<IpAddr> {
        let known = locked(&self.0);
        let found = known.get(&(name.to_owned(), kind)).filter(|(_, seen)| seen.elapsed() < within);
        found.map(|(addresses, _)| addresses.clone()).unwrap_or_default()
    }
}

/// The addresses of a name, how long they last, and what could not be asked for.
#[derive(Default)]
struct Addresses {
    list: Vec<IpAddr>,
    lasts: Duration,
    trouble: Vec<String>,
}

pub(super) struct Resolver {
    stub: StubResolver,
    /// What is tried behind a name.
    suffixes: Vec<String>,
    dots_min: usize,
    memory: Arc<Memory>,
}

impl Resolver {
    pub(super) fn new(given: &[SocketAddr], memory: Arc<Memory>) -> Resolver {
        let mut conf = if given.is_empty() { ResolvConf::default() } else { ResolvConf::new() };
        conf.servers.extend(given.iter().map(|at| ServerConf::new(*at, Transport::UdpTcp)));
        conf.options.timeout = PATIENCE;
        let suffixes = conf.options.search.as_slice().iter().map(ToString::to_string).collect();
        let dots_min = conf.options.ndots;
        conf.finalize();
        Resolver { stub: StubResolver::from_conf(conf), suffixes, dots_min, memory }
    }

    /// The servers that a name stands for, and how long that lasts.
    pub(super) async fn find(self: &Arc<Self>, (name, port): &Asked) -> Result<Resolved, String> {
        let Some(port) = port else { return self.find_service(name).await };
        let Addresses { list, lasts, trouble } = self.addresses(name).await?;
        let found = |address: IpAddr| Found { address: (address, *port).into(), weight: 0, is_backup: false };
        Ok(resolved(list.into_iter().map(found).take(FOUND_MAX).collect(), lasts, &trouble))
    }

    /// By its SRV records (RFC 2782): those with the lowest priority do the work, the others are there for when they
    /// cannot.
    async fn find_service(self: &Arc<Self>, name: &str) -> Result<Resolved, String> {
        let mut lasts = AGAIN.1;
        let mut services: Vec<(u16, u16, u16, String)> = Vec::new();
        for candidate in self.candidates(name) {
            let answer = self.ask(&candidate, Rtype::SRV).await?;
            let records = answer.answer().map_err(|error| error.to_string())?.limit_to::<Srv<_>>();
            for record in records.flatten().take(FOUND_MAX) {
                lasts = lasts.min(Duration::from_secs(record.ttl().as_secs().into()));
                let service = record.data();
                let target = format!("{}.", service.target().to_string().trim_end_matches('.'));
                services.push((service.priority(), service.weight(), service.port(), target));
            }
            if !services.is_empty() {
                break;
            }
        }
        let first = services.iter().map(|(priority, ..)| *priority).min().unwrap_or(0);
        let heaviest = services.iter().map(|(_, weight, ..)| *weight).max().unwrap_or(0).max(1);
        let targets: BTreeSet<String> = services.iter().map(|(.., target)| target.clone()).collect();
        let (known, trouble) = self.targets(targets.into_iter().collect()).await;
        let mut found: Vec<Found> = Vec::new();
        for (priority, weight, port, target) in services {
            let Some(addresses) = known.get(&target) else { continue };
            lasts = lasts.min(addresses.lasts);
            // Weights are shares: what they are shares of need not be large.
            let weight = (u32::from(weight) * 100 / u32::from(heaviest)).max(1);
            let room = FOUND_MAX.saturating_sub(found.len());
            found.extend(addresses.list.iter().take(room).map(|address| Found {
                address: (*address, port).into(),
                weight,
                is_backup: priority != first,
            }));
        }
        if found.is_empty() && !trouble.is_empty() {
            return Err(trouble.join(", "));
        }
        Ok(resolved(found, lasts, &trouble))
    }

    /// The addresses of several names, and what could not be asked for; where that was known, it goes on.
    async fn targets(self: &Arc<Self>, names: Vec<String>) -> (HashMap<String, Addresses>, Vec<String>) {
        let (mut known, mut trouble) = (HashMap::new(), Vec::new());
        for some in names.chunks(ASKED_MAX) {
            let mut asking = JoinSet::new();
            for name in some {
                let (resolver, name) = (self.clone(), name.clone());
                asking.spawn(async move { (resolver.addresses(&name).await, name) });
            }
            while let Some(Ok((addresses, name))) = asking.join_next().await {
                let recall = |within| {
                    let both = [Rtype::A, Rtype::AAAA].map(|kind| self.memory.recall(&name, kind, within));
                    Addresses { list: both.concat(), lasts: AGAIN.0, trouble: Vec::new() }
                };
                let addresses = match addresses {
                    Ok(addresses) if addresses.list.is_empty() => recall(HOLD),
                    Ok(mut addresses) => {
                        trouble.extend(addresses.trouble.drain(..).map(|what| format!("{name} {what}")));
                        addresses
                    }
                    Err(why) => {
                        trouble.push(format!("{name} {why}"));
                        recall(Duration::MAX)
                    }
                };
                known.insert(name, addresses);
            }
        }
        trouble.sort();
        (known, trouble)
    }

    /// The addresses of a name. Where those of one kind cannot be asked for, the others are followed all the same, and
    /// what was known of that kind goes on.
    async fn addresses(&self, name: &str) -> Result<Addresses, String> {
        let known = by_file(name);
        if !known.is_empty() {
            return Ok(Addresses { list: known, lasts: AGAIN.1, trouble: Vec::new() });
        }
        for candidate in self.candidates(name) {
            let (four, six) = tokio::join!(self.of_kind(&candidate, Rtype::A), self.of_kind(&candidate, Rtype::AAAA));
            let mut all = Addresses { lasts: AGAIN.1, ..Addresses::default() };
            for (kind, answer) in [(Rtype::A, four), (Rtype::AAAA, six)] {
                match answer {
                    Ok((list, lasts)) => {
                        all.list.extend(list);
                        all.lasts = all.lasts.min(lasts);
                    }
                    Err(why) => {
                        all.trouble.push(why);
                        all.list.extend(self.memory.recall(&candidate, kind, Duration::MAX));
                    }
                }
            }
            // Nobody says anything: what was known of the whole name goes on.
            if all.trouble.len() == 2 || all.list.is_empty() && !all.trouble.is_empty() {
                return Err(all.trouble.join(", "));
            }
            if !all.list.is_empty() {
                return Ok(all);
            }
        }
        Ok(Addresses { lasts: AGAIN.0, ..Addresses::default() })
    }

    /// The records of one kind, remembered.
    async fn of_kind(&self, name: &str, kind: Rtype) -> Result<(Vec<IpAddr>, Duration), String> {
        let (mut list, mut lasts) = (Vec::new(), AGAIN.1);
        let answer = self.ask(name, kind).await?;
        let Ok(records) = answer.answer() else { return Err(format!("{kind}: the answer cannot be read")) };
        for record in records.limit_to::<A>().flatten() {
            lasts = lasts.min(Duration::from_secs(record.ttl().as_secs().into()));
            list.push(IpAddr::V4(record.data().addr()));
        }
        for record in records.limit_to::<Aaaa>().flatten() {
            lasts = lasts.min(Duration::from_secs(record.ttl().as_secs().into()));
            list.push(IpAddr::V6(record.data().addr()));
        }
        if !list.is_empty() {
            self.memory.remember(name, kind, &list);
        }
        Ok((list, lasts))
    }

    /// A name as it is asked for, one way after the other (resolv.conf(5): `search`, `ndots`).
    fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.into()];
        }
        let mut below: Vec<String> =
            self.suffixes.iter().filter(|suffix| !matches!(suffix.as_str(), "" | ".")).cloned().collect();
        below.iter_mut().for_each(|suffix| *suffix = format!("{name}.{}.", suffix.trim_end_matches('.')));
        let whole = format!("{name}.");
        if name.matches('.').count() >= self.dots_min {
            below.insert(0, whole);
        } else {
            below.push(whole);
        }
        below
    }

    /// Which record it is that cannot be had stands in the error.
    async fn ask(&self, name: &str, kind: Rtype) -> Result<domain::base::Message<bytes::Bytes>, String> {
        let name: Name<Vec<u8>> = name.parse().map_err(|error| format!("{error}"))?;
        let answer = self.stub.query((name, kind)).await.map_err(|error| format!("{kind}: {error}"))?;
        match answer.header().rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN => Ok(answer.into_message()),
            other => Err(format!("{kind}: the name server answers {other}")),
        }
    }
}

fn resolved(mut found: Vec<Found>, lasts: Duration, trouble: &[String]) -> Resolved {
    found.sort();
    found.dedup();
    Resolved { found, lasts, trouble: (!trouble.is_empty()).then(|| trouble.join(", ")) }
}

/// The addresses of a name by hosts(5), and those of this machine itself (RFC 6761, 6.3).
fn by_file(name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let text = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default()) {
        let mut words = line.split_ascii_whitespace();
        if let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>)
            && words.any(|word| word.eq_ignore_ascii_case(name))
        {
            found.push(address);
        }
    }
    if found.is_empty() && (name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost"))
    {
        found.push(IpAddr::from([127, 0, 0, 1]));
    }
    found
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic ends the process, so a poisoned lock is never seen.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
