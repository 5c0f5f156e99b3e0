//! In:     names of servers.
//! Out:    their addresses, in the members of their pools, and again whenever they change.
//! Actors: one thread for all event loops; the name servers.
//! Never:  does a request wait for a name that was known before, or a name that cannot be asked for just now empty a
//!         pool.

use super::desk::{Found, PoolDesk};
use crate::voice::Voice;
use domain::base::iana::{Rcode, Rtype};
use domain::base::name::Name;
use domain::rdata::{A, Aaaa, Srv};
use domain::resolv::StubResolver;
use domain::resolv::stub::conf::{ResolvConf, ServerConf, Transport};
use hallway_core::plan::{Place, Pool};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A name is asked for again when its records expire; not more often, and at least so often, as those who scale an
/// application expect it to be seen.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// After a failure, at first; then twice as long each time.
const AFTER_FAILURE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// For a name server to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// For all that has to be asked for one name.
const ASKING_MAX: Duration = Duration::from_secs(10);
/// Servers of one name.
const FOUND_MAX: usize = 1_000;

/// A name, and the port where SRV records do not say it.
type Asked = (String, Option<u16>);
/// What names stand for, as far as that is known.
pub(crate) type Book = HashMap<Asked, Vec<Found>>;

/// A pool with names.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) desk: Arc<PoolDesk>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) pools: Arc<[Arc<Pool>]>,
    pub(crate) serial: u32,
}

impl Watched {
    fn names(&self) -> impl Iterator<Item = Asked> {
        self.pool.servers.iter().filter_map(|server| asked(&server.at))
    }

    /// Gives it the members that it has by this book.
    pub(crate) fn renew(&self, book: &Mutex<Book>) {
        let book = locked(book);
        let found = |at: usize| {
            let server = self.pool.servers.get(at)?;
            book.get(&asked(&server.at)?).cloned()
        };
        self.desk.renew((&self.pool, self.serial), &self.pools, &found);
    }
}

/// What has to be asked for to find a server.
fn asked(place: &Place) -> Option<Asked> {
    match place {
        Place::Host { name, port } if port.is_none() || name.parse::<IpAddr>().is_err() => Some((name.clone(), *port)),
        _ => None,
    }
}

/// Finds the addresses of names, for as long as a plan has them.
#[derive(Default)]
pub(crate) struct Discoverer {
    pub(crate) book: Arc<Mutex<Book>>,
    wishes: Option<UnboundedSender<Wish>>,
}

struct Wish {
    watched: Vec<Watched>,
    resolvers: Vec<SocketAddr>,
}

impl Discoverer {
    /// Watches the names of these pools from now on, and no others.
    ///
    /// # Errors
    /// Those of starting a thread.
    pub(crate) fn watch(&mut self, watched: Vec<Watched>, resolvers: &[SocketAddr]) -> io::Result<()> {
        if self.wishes.is_none() && watched.iter().all(|one| one.names().next().is_none()) {
            return Ok(());
        }
        let wishes = match &self.wishes {
            Some(wishes) => wishes,
            None => {
                let (sender, receiver) = unbounded_channel();
                let book = self.book.clone();
                std::thread::Builder::new().name("names".into()).spawn(move || run(receiver, &book))?;
                self.wishes.insert(sender)
            }
        };
        let _ = wishes.send(Wish { watched, resolvers: resolvers.to_vec() });
        Ok(())
    }
}

fn run(wishes: UnboundedReceiver<Wish>, book: &Mutex<Book>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(wishes, book)),
        Err(error) => Voice::of_process().say(&format!("names of servers cannot be asked for: {error}")),
    }
}

/// When a name is asked for again, and how often that has failed.
struct Due {
    at: Instant,
    failures: u32,
}

async fn serve(mut wishes: UnboundedReceiver<Wish>, book: &Mutex<Book>) {
    let mut dues: HashMap<Asked, Due> = HashMap::new();
    let mut wish = Wish { watched: Vec::new(), resolvers: Vec::new() };
    loop {
        let next = dues.values().map(|due| due.at).min();
        let pause = next.map_or(Duration::from_secs(3_600), |at| at.saturating_duration_since(Instant::now()));
        match tokio::time::timeout(pause, wishes.recv()).await {
            Ok(None) => return,
            Ok(Some(newer)) => {
                if newer.resolvers != wish.resolvers {
                    dues.clear();
                }
                wish = newer;
                let wanted: Vec<Asked> = wish.watched.iter().flat_map(Watched::names).collect();
                dues.retain(|name, _| wanted.contains(name));
                locked(book).retain(|name, _| wanted.contains(name));
                for name in wanted {
                    dues.entry(name).or_insert(Due { at: Instant::now(), failures: 0 });
                }
            }
            Err(_) => {}
        }
        let now = Instant::now();
        let due: Vec<Asked> = dues.iter().filter(|(_, due)| due.at <= now).map(|(name, _)| name.clone()).collect();
        if due.is_empty() {
            continue;
        }
        let resolver = Arc::new(Resolver::new(&wish.resolvers));
        let asking: Vec<_> = due
            .into_iter()
            .map(|name| {
                let (resolver, is_known) =
                    (resolver.clone(), locked(book).get(&name).is_some_and(|found| !found.is_empty()));
                tokio::spawn(async move {
                    let finding = tokio::time::timeout(ASKING_MAX, resolver.find(&name, is_known)).await;
                    (name, finding.unwrap_or_else(|_| Err("the name servers take too long".into())))
                })
            })
            .collect();
        for one in asking {
            let Ok((name, found)) = one.await else { continue };
            let Some(due) = dues.get_mut(&name) else { continue };
            due.at = Instant::now() + note(due, &name, found, &wish, book);
        }
    }
}

/// Takes over what was found; how long until it is asked for again.
fn note(
    due: &mut Due,
    name: &Asked,
    found: Result<(Vec<Found>, Duration), String>,
    wish: &Wish,
    book: &Mutex<Book>,
) -> Duration {
    let pools = || wish.watched.iter().filter(|one| one.names().any(|other| other == *name));
    let say = |text: &str| {
        let of: Vec<&str> = pools().map(|one| one.pool.name.as_str()).collect();
        Voice::of_process().say(&format!("pool {}: {} {text}", of.join(", "), name.0));
    };
    let (found, again) = match found {
        Ok((found, lasts)) => {
            due.failures = 0;
            (Some(found), lasts.clamp(AGAIN.0, AGAIN.1))
        }
        Err(why) => {
            let again = (AFTER_FAILURE.0 * (1 << due.failures.min(8))).min(AFTER_FAILURE.1);
            if due.failures == 0 {
                say(&format!("cannot be resolved: {why}"));
            }
            due.failures += 1;
            // What was known goes on; what never was is known not to be there, so that nobody waits for it.
            let is_known = locked(book).contains_key(name);
            (if is_known { None } else { Some(Vec::new()) }, again)
        }
    };
    let Some(found) = found else { return again };
    let before = locked(book).insert(name.clone(), found.clone());
    if before.as_ref() != Some(&found) {
        pools().for_each(|one| one.renew(book));
        let addresses: Vec<String> = found.iter().map(|one| one.address.to_string()).collect();
        if due.failures == 0 {
            let list = if addresses.is_empty() {
                "no address: its servers are taken out".into()
            } else {
                addresses.join(", ")
            };
            say(&format!("is at {list}"));
        }
    }
    again
}

struct Resolver {
    stub: StubResolver,
    /// What is tried behind a name.
    suffixes: Vec<String>,
    dots_min: usize,
}

impl Resolver {
    fn new(given: &[SocketAddr]) -> Resolver {
        let mut conf = if given.is_empty() { ResolvConf::default() } else { ResolvConf::new() };
        conf.servers.extend(given.iter().map(|at| ServerConf::new(*at, Transport::UdpTcp)));
        conf.options.timeout = PATIENCE;
        let suffixes = conf.options.search.as_slice().iter().map(ToString::to_string).collect();
        let dots_min = conf.options.ndots;
        conf.finalize();
        Resolver { stub: StubResolver::from_conf(conf), suffixes, dots_min }
    }

    /// The servers that a name stands for, and how long that lasts.
    async fn find(&self, (name, port): &Asked, is_known: bool) -> Result<(Vec<Found>, Duration), String> {
        let Some(port) = port else { return self.find_service(name, is_known).await };
        let (addresses, lasts) = self.addresses(name, is_known).await?;
        let found = |address: IpAddr| Found { address: (address, *port).into(), weight: 0, is_backup: false };
        let mut found: Vec<Found> = addresses.into_iter().map(found).take(FOUND_MAX).collect();
        found.sort();
        found.dedup();
        Ok((found, lasts))
    }

    /// By its SRV records (RFC 2782): those with the lowest priority do the work, the others are there for when they
    /// cannot.
    async fn find_service(&self, name: &str, is_known: bool) -> Result<(Vec<Found>, Duration), String> {
        let mut lasts = AGAIN.1;
        let mut services: Vec<(u16, u16, u16, String)> = Vec::new();
        for candidate in self.candidates(name) {
            let answer = self.ask(&candidate, Rtype::SRV).await?;
            let records = answer.answer().map_err(|error| error.to_string())?.limit_to::<Srv<_>>();
            for record in records.flatten().take(FOUND_MAX) {
                lasts = lasts.min(Duration::from_secs(record.ttl().as_secs().into()));
                let service = record.data();
                services.push((service.priority(), service.weight(), service.port(), service.target().to_string()));
            }
            if !services.is_empty() {
                break;
            }
        }
        let first = services.iter().map(|(priority, ..)| *priority).min().unwrap_or(0);
        let heaviest = services.iter().map(|(_, weight, ..)| *weight).max().unwrap_or(0).max(1);
        let mut found: Vec<Found> = Vec::new();
        for (priority, weight, port, target) in services {
            let (addresses, target_lasts) =
                self.addresses(&format!("{}.", target.trim_end_matches('.')), is_known).await?;
            lasts = lasts.min(target_lasts);
            // Weights are shares: what they are shares of need not be large.
            let weight = (u32::from(weight) * 100 / u32::from(heaviest)).max(1);
            found.extend(addresses.into_iter().take(FOUND_MAX.saturating_sub(found.len())).map(|address| Found {
                address: (address, port).into(),
                weight,
                is_backup: priority != first,
            }));
        }
        found.sort();
        found.dedup();
        Ok((found, lasts))
    }

    /// The addresses of a name. Where one of both kinds could not be asked for, what is known of the name (`is_known`) is
    /// better than a part of it.
    async fn addresses(&self, name: &str, is_known: bool) -> Result<(Vec<IpAddr>, Duration), String> {
        let known = by_file(name);
        if !known.is_empty() {
            return Ok((known, AGAIN.1));
        }
        let mut lasts = AGAIN.1;
        for candidate in self.candidates(name) {
            let (four, six) = tokio::join!(self.ask(&candidate, Rtype::A), self.ask(&candidate, Rtype::AAAA));
            let failed = four.as_ref().err().or(six.as_ref().err()).cloned();
            if let Some(why) = failed.clone().filter(|_| is_known || (four.is_err() && six.is_err())) {
                return Err(why);
            }
            let mut found = Vec::new();
            for answer in [&four, &six].into_iter().flatten() {
                let Ok(records) = answer.answer() else { continue };
                for record in records.limit_to::<A>().flatten() {
                    lasts = lasts.min(Duration::from_secs(record.ttl().as_secs().into()));
                    found.push(IpAddr::V4(record.data().addr()));
                }
                for record in records.limit_to::<Aaaa>().flatten() {
                    lasts = lasts.min(Duration::from_secs(record.ttl().as_secs().into()));
                    found.push(IpAddr::V6(record.data().addr()));
                }
            }
            if !found.is_empty() {
                return Ok((found, lasts));
            }
            // One of two that could not be asked says nothing about whether there are any.
            if let Some(why) = failed {
                return Err(why);
            }
        }
        Ok((Vec::new(), AGAIN.0))
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

    async fn ask(&self, name: &str, kind: Rtype) -> Result<domain::base::Message<bytes::Bytes>, String> {
        let name: Name<Vec<u8>> = name.parse().map_err(|error| format!("{error}"))?;
        let answer = self.stub.query((name, kind)).await.map_err(|error| error.to_string())?;
        match answer.header().rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN => Ok(answer.into_message()),
            other => Err(format!("the name server answers {other}")),
        }
    }
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
