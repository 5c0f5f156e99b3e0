//! In:     names of servers.
//! Out:    their addresses, in the members of their pools, and again whenever they change.
//! Actors: one thread for all event loops; the name servers.
//! Never:  does a request wait for a name that was known before, or a name that cannot be asked for just now empty a
//!         pool.

use crate::handlers::pool::members::{Found, PoolDesk};
use crate::handlers::pool::resolver::{AGAIN, Asked, HOLD, Memory, Resolved, Resolver, locked};
use hallway_core::plan::{Place, Pool};
use hallway_net::runtime::console::Voice;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// After a failure, at first; then twice as long each time.
const AFTER_FAILURE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// For all that has to be asked for one name.
const ASKING_MAX: Duration = Duration::from_secs(10);

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
    /// Starts the thread that asks, where these pools have names and it does not run yet.
    ///
    /// # Errors
    /// Those of starting a thread.
    pub(crate) fn start_for(&mut self, pools: &[Arc<Pool>]) -> io::Result<()> {
        let has_names = pools.iter().flat_map(|pool| &pool.servers).any(|server| asked(&server.at).is_some());
        if self.wishes.is_none() && has_names {
            let (sender, receiver) = unbounded_channel();
            let book = self.book.clone();
            std::thread::Builder::new().name("names".into()).spawn(move || run(receiver, &book))?;
            self.wishes = Some(sender);
        }
        Ok(())
    }

    /// Watches the names of these pools from now on, and no others.
    pub(crate) fn watch(&self, watched: Vec<Watched>, resolvers: &[SocketAddr]) {
        if let Some(wishes) = &self.wishes {
            let _ = wishes.send(Wish { watched, resolvers: resolvers.to_vec() });
        }
    }
}

fn run(wishes: UnboundedReceiver<Wish>, book: &Mutex<Book>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(wishes, book)),
        Err(error) => Voice::of_process().say(&format!("names of servers cannot be asked for: {error}")),
    }
}

/// When a name is asked for again, and how that went before.
struct Due {
    at: Instant,
    failures: u32,
    /// Since when it has no addresses, where it had some.
    gone_since: Option<Instant>,
    /// What was said of a part of it that could not be asked for.
    told: Option<String>,
}

impl Due {
    fn now() -> Due {
        Due { at: Instant::now(), failures: 0, gone_since: None, told: None }
    }
}

async fn serve(mut wishes: UnboundedReceiver<Wish>, book: &Mutex<Book>) {
    let mut dues: HashMap<Asked, Due> = HashMap::new();
    let mut wish = Wish { watched: Vec::new(), resolvers: Vec::new() };
    let memory = Arc::new(Memory::default());
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
                    dues.entry(name).or_insert_with(Due::now);
                }
            }
            Err(_) => {}
        }
        let now = Instant::now();
        let due: Vec<Asked> = dues.iter().filter(|(_, due)| due.at <= now).map(|(name, _)| name.clone()).collect();
        if due.is_empty() {
            continue;
        }
        let resolver = Arc::new(Resolver::new(&wish.resolvers, memory.clone()));
        let asking: Vec<_> = due
            .into_iter()
            .map(|name| {
                let resolver = resolver.clone();
                tokio::spawn(async move {
                    let finding = tokio::time::timeout(ASKING_MAX, resolver.find(&name)).await;
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
fn note(due: &mut Due, name: &Asked, found: Result<Resolved, String>, wish: &Wish, book: &Mutex<Book>) -> Duration {
    let pools = || wish.watched.iter().filter(|one| one.names().any(|other| other == *name));
    let say = |text: &str| {
        let of: Vec<&str> = pools().map(|one| one.pool.name.as_str()).collect();
        Voice::of_process().say(&format!("pool {}: {} {text}", of.join(", "), name.0));
    };
    let (found, again) = match found {
        Ok(Resolved { found, lasts, trouble }) => {
            due.failures = 0;
            if let Some(what) = trouble.as_ref().filter(|_| due.told != trouble) {
                say(&format!("cannot be resolved in part: {what}; what was known of that goes on"));
            }
            due.told = trouble;
            let had_some = locked(book).get(name).is_some_and(|known| !known.is_empty());
            if found.is_empty() && had_some {
                let is_first = due.gone_since.is_none();
                if due.gone_since.get_or_insert_with(Instant::now).elapsed() < HOLD {
                    if is_first {
                        say(&format!("has no address; its servers stay for {} s", HOLD.as_secs()));
                    }
                    return AGAIN.0;
                }
            }
            due.gone_since = None;
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

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_core::plan::{Protocol, Server};

    fn found(address: &str) -> Found {
        Found { address: address.parse().unwrap(), weight: 0, is_backup: false }
    }

    fn resolved(addresses: &[&str], lasts_s: u64) -> Result<Resolved, String> {
        let found = addresses.iter().map(|address| found(address)).collect();
        Ok(Resolved { found, lasts: Duration::from_secs(lasts_s), trouble: None })
    }

    struct Ground {
        name: Asked,
        due: Due,
        book: Mutex<Book>,
        wish: Wish,
    }

    impl Ground {
        fn new() -> Ground {
            let at = Place::Host { name: "app.internal".into(), port: Some(80) };
            let server = Server { at, protocol: Protocol::Http, weight: 1, is_backup: false, connections_max: 0 };
            let pool = Arc::new(Pool::new("p", vec![server]));
            let desk = Arc::new(PoolDesk::new(Instant::now()));
            let watched = vec![Watched { desk, pool: pool.clone(), pools: [pool].into(), serial: 1 }];
            let (name, book) = (("app.internal".into(), Some(80)), Mutex::default());
            watched[0].renew(&book);
            Ground { name, due: Due::now(), book, wish: Wish { watched, resolvers: Vec::new() } }
        }

        /// Seconds until the name is asked for again.
        fn note(&mut self, found: Result<Resolved, String>) -> u64 {
            note(&mut self.due, &self.name, found, &self.wish, &self.book).as_secs()
        }

        fn servers(&self) -> Vec<String> {
            self.wish.watched[0].desk.members().list.iter().map(|member| member.server.name.to_string()).collect()
        }

        fn is_known(&self) -> bool {
            self.wish.watched[0].desk.members().is_known()
        }
    }

    #[test]
    fn servers_follow_the_addresses_of_their_name() {
        let mut ground = Ground::new();
        assert!(!ground.is_known() && ground.servers().is_empty());
        assert_eq!(ground.note(resolved(&["192.0.2.1:80", "192.0.2.2:80"], 20)), 20);
        assert_eq!(ground.servers(), ["192.0.2.1:80", "192.0.2.2:80"]);
        let kept = ground.wish.watched[0].desk.members().list[1].server.clone();
        ground.note(resolved(&["192.0.2.2:80", "192.0.2.3:80"], 20));
        assert_eq!(ground.servers(), ["192.0.2.2:80", "192.0.2.3:80"]);
        assert!(Arc::ptr_eq(&ground.wish.watched[0].desk.members().list[0].server, &kept));
        for (lasts, again) in [(0, 1), (3_600, 30)] {
            assert_eq!(ground.note(resolved(&["192.0.2.2:80"], lasts)), again);
        }
    }

    #[test]
    fn a_name_that_cannot_be_asked_for_keeps_its_servers_and_is_asked_less_and_less_often() {
        let mut ground = Ground::new();
        ground.note(resolved(&["192.0.2.1:80"], 5));
        let pauses: Vec<u64> = (0..6).map(|_| ground.note(Err("no answer".into()))).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        assert_eq!(ground.servers(), ["192.0.2.1:80"]);
        ground.note(resolved(&["192.0.2.1:80"], 5));
        assert_eq!(ground.note(Err("no answer".into())), 1, "it begins anew");
    }

    #[test]
    fn a_name_that_never_was_known_keeps_nobody_waiting() {
        let mut ground = Ground::new();
        ground.note(Err("no answer".into()));
        assert!(ground.is_known() && ground.servers().is_empty());
    }

    #[test]
    fn a_name_without_addresses_is_believed_after_a_while() {
        let mut ground = Ground::new();
        ground.note(resolved(&["192.0.2.1:80"], 20));
        assert_eq!(ground.note(resolved(&[], 20)), 1, "it is asked for again soon");
        assert_eq!(ground.servers(), ["192.0.2.1:80"]);
        ground.due.gone_since = Instant::now().checked_sub(HOLD);
        ground.note(resolved(&[], 20));
        assert!(ground.servers().is_empty() && ground.is_known());
    }

    #[test]
    fn what_was_found_for_a_plan_that_has_been_replaced_changes_nothing() {
        let mut ground = Ground::new();
        let Watched { desk, pool, pools, .. } = ground.wish.watched[0].clone();
        desk.renew((&pool, 2), &pools, &|_| Some(vec![found("192.0.2.9:80")]));
        ground.note(resolved(&["192.0.2.1:80"], 20));
        assert_eq!(ground.servers(), ["192.0.2.9:80"]);
    }
}
