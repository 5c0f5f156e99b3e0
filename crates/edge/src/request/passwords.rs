//! In:     a name and a password; the hashes of a route; who asks.
//! Out:    who it is.
//! Actors: one thread of the process: hashing is meant to take long, and must not take all cores.
//! Never:  does it take less time to hear that a name is unknown than that a password is wrong, or does a client that
//!         tries many passwords hold up another one.

use crate::request::md5_crypt::Md5Crypt;
use argon2::{Argon2, PasswordHash, PasswordVerifier};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallway_core::permit::{FairQueue, Queued};
use hallway_core::plan::{BasicAuth, Checks, Plan};
use hallway_core::semantics::basic_credentials;
use hallway_core::{Fault, Head};
use hallway_net::socket::client_connections::whole_customer;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::oneshot;

/// For how long, and of how many, it is remembered that a password was right.
const KNOWN_MS: u64 = 300_000;
const KNOWN_MAX: usize = 1024;
/// Passwords of one client that wait to be hashed, and of all.
const PENDING_OF_ONE_MAX: usize = 32;
const PENDING_MAX: usize = 1024;

/// What the process knows of passwords.
struct Passwords {
    /// Digests of what was right, and until when that is believed.
    known: Mutex<HashMap<[u8; 32], u64>>,
    /// Makes the digests of this process unlike those of any other.
    salt: [u8; 32],
    queue: Mutex<FairQueue<Option<IpAddr>, Job>>,
    has_more: Condvar,
}

/// A password to be looked at.
struct Job {
    password: Vec<u8>,
    own: Option<String>,
    others: Vec<String>,
    answer: oneshot::Sender<Result<bool, Fault>>,
}

/// Started once, for the first plan that asks for passwords.
static PASSWORDS: OnceLock<Arc<Passwords>> = OnceLock::new();

/// Has the thread be there that a plan needs.
///
/// # Errors
/// That it cannot be started, or that the system gives no randomness.
pub(crate) fn start_for(plan: &Plan) -> io::Result<()> {
    let of_routes = plan.sites.iter().flat_map(|site| &site.routes).any(|route| route.basic_auth.is_some());
    let of_proxy = plan.forward_proxy.as_ref().is_some_and(|proxy| proxy.basic_auth.is_some());
    if (!of_routes && !of_proxy) || PASSWORDS.get().is_some() {
        return Ok(());
    }
    let mut salt = [0; 32];
    rustix::rand::getrandom(&mut salt[..], rustix::rand::GetRandomFlags::empty())?;
    let (known, queue) = (Mutex::default(), Mutex::new(FairQueue::new(PENDING_OF_ONE_MAX, PENDING_MAX)));
    let passwords = Arc::new(Passwords { known, salt, queue, has_more: Condvar::new() });
    let own = passwords.clone();
    std::thread::Builder::new().name("passwords".into()).spawn(move || own.work())?;
    let _ = PASSWORDS.set(passwords);
    Ok(())
}

/// Who asks, by the name and password in this field, at this time and from this address.
///
/// # Errors
/// 401 where nobody is known by that name and password; 503 where too many of this client have to be looked at.
pub(crate) async fn authenticate(
    (head, field): (&Head, &[u8]),
    auth: &BasicAuth,
    client: Option<IpAddr>,
    now_ms: u64,
) -> Result<String, Fault> {
    let (name, password) = basic_credentials(head, field).ok_or(Fault::Unauthorized)?;
    let passwords = PASSWORDS.get().ok_or(Fault::Busy)?;
    let digest = auth.find(&name).map(|hash| passwords.digest(&name, hash, &password));
    // Whoever was let in before waits for nobody.
    if digest.is_some_and(|digest| passwords.knows(&digest, now_ms)) {
        return Ok(name);
    }
    let Checks { own, others } = auth.checks(&name);
    let (answer, judged) = oneshot::channel();
    let others = others.into_iter().map(str::to_owned).collect();
    passwords.add((client, &name), Job { password, own: own.map(str::to_owned), others, answer });
    if !judged.await.unwrap_or(Err(Fault::Busy))? {
        return Err(Fault::Unauthorized);
    }
    digest.into_iter().for_each(|digest| passwords.remember(digest, now_ms));
    Ok(name)
}

impl Passwords {
    /// Puts a password where it waits for its turn: that of its client, and there that of its name.
    fn add(&self, (client, name): (Option<IpAddr>, &str), job: Job) {
        let queued = locked(&self.queue).push(client.map(whole_customer), name, job);
        match queued {
            Queued::Waits => self.has_more.notify_one(),
            Queued::InPlaceOf(job) => {
                let _ = job.answer.send(Err(Fault::Busy));
                self.has_more.notify_one();
            }
            Queued::Full(job) => drop(job.answer.send(Err(Fault::Busy))),
        }
    }

    /// Looks at one password after the other.
    fn work(&self) {
        loop {
            let mut queue = locked(&self.queue);
            let job = loop {
                match queue.pop() {
                    // Nobody waits for it any more.
                    Some(job) if job.answer.is_closed() => {}
                    Some(job) => break job,
                    None => queue = self.has_more.wait(queue).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(queue);
            let lets_in = job.own.as_ref().is_some_and(|hash| is_right(&job.password, hash));
            if !lets_in {
                // What is wrong costs as much as for any other name.
                for hash in &job.others {
                    std::hint::black_box(is_right(&job.password, hash));
                }
            }
            let _ = job.answer.send(Ok(lets_in));
        }
    }

    fn knows(&self, digest: &[u8; 32], now_ms: u64) -> bool {
        locked(&self.known).get(digest).is_some_and(|until_ms| *until_ms > now_ms)
    }

    fn remember(&self, digest: [u8; 32], now_ms: u64) {
        let mut known = locked(&self.known);
        if known.len() >= KNOWN_MAX {
            known.retain(|_, until_ms| *until_ms > now_ms);
        }
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(digest, now_ms + KNOWN_MS);
    }

    fn digest(&self, name: &str, hash: &str, password: &[u8]) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        for part in [&self.salt[..], name.as_bytes(), b"\0", hash.as_bytes(), b"\0", password] {
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic ends the process (see `threads`), so a poisoned lock is never seen.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_right(password: &[u8], hash: &str) -> bool {
    if hash.starts_with("$2") {
        return bcrypt::verify(password, hash).unwrap_or(false);
    }
    if let Some(crypt) = Md5Crypt::read(hash) {
        return verify_slices_are_equal(&crypt.digits(password), crypt.digest.as_bytes()).is_ok();
    }
    if let Some((sum, salt)) = read_sha(hash) {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(password);
        context.update(&salt);
        return verify_slices_are_equal(context.finish().as_ref(), &sum).is_ok();
    }
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}

/// Whether a hash is of a form that is understood here.
///
/// # Errors
/// The mend.
pub fn vet_password(hash: &str) -> Result<(), String> {
    let is_bcrypt = hash.starts_with("$2") && hash.len() == 60 && hash.parse::<bcrypt::HashParts>().is_ok();
    let is_argon2 = hash.starts_with("$argon2") && PasswordHash::new(hash).is_ok();
    if is_bcrypt || is_argon2 || Md5Crypt::read(hash).is_some() || read_sha(hash).is_some() {
        return Ok(());
    }
    let kind = match hash {
        _ if hash.starts_with("$5$") || hash.starts_with("$6$") => "hashes of crypt with SHA-2 are not taken",
        _ if hash.starts_with('$') || hash.starts_with('{') => "this hash is none that is taken, or not whole",
        _ => "this is no hash",
    };
    Err(format!(
        "{kind}; 'htpasswd -nB NAME' (apache2-utils) makes one (bcrypt; Argon2, apr1 and {{SHA}} are taken, too)"
    ))
}

/// `{SHA}` and the digest of the password; `{SSHA}` and that of the password and a salt, which stands behind it.
fn read_sha(hash: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let is_salted = hash.starts_with("{SSHA}");
    let digits = hash.strip_prefix("{SHA}").or_else(|| hash.strip_prefix("{SSHA}"))?;
    let mut sum = STANDARD.decode(digits).ok().filter(|sum| sum.len() >= SHA1_OUTPUT_LEN)?;
    let salt = sum.split_off(SHA1_OUTPUT_LEN);
    (is_salted != salt.is_empty()).then_some((sum, salt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_both_kinds() {
        // Made by htpasswd -nbB and by argon2-cffi, of "secret".
        let bcrypt = bcrypt::hash("secret", 4).unwrap();
        assert!(is_right(b"secret", &bcrypt) && !is_right(b"Secret", &bcrypt));
        assert!(is_right(b"secret", &bcrypt.replacen("$2b$", "$2y$", 1)), "as htpasswd writes it");
        assert_eq!(vet_password(&bcrypt), Ok(()));
        for hash in [
            // Made by openssl passwd -apr1 and -1, openssl dgst -sha1, and by hand.
            "$apr1$xxxxxxxx$/mULyOsdWlXlIt5U99q7h1",
            "$1$ab$dslkcXxVH.x8LwW1W/oAB/",
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
        ] {
            assert_eq!(vet_password(hash), Ok(()), "{hash}");
            assert!(is_right(b"secret", hash) && !is_right(b"Secret", hash) && !is_right(b"", hash), "{hash}");
        }
        assert!(is_right(b"", "$apr1$a$lsAcX0kKaMIVmrCtUuk5b0"));
        assert!(is_right(b"a much longer password than sixteen bytes", "$apr1$12345678$RkSsHiO1RUdjaoav57ZaW/"));
        for hash in [
            "secret",
            "{SHA}5en6G6MezRroT3XKqkdPOmY=",
            "{SHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
            "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "{PLAIN}secret",
            "$apr1$x$y",
            "$apr1$toolongasalt$/mULyOsdWlXlIt5U99q7h1",
            "$6$salt$x",
            "$2b$04$short",
            "",
        ] {
            assert!(vet_password(hash).is_err() && !is_right(b"secret", hash), "{hash}");
        }
    }

    #[test]
    fn who_is_known_is_let_in_and_nobody_else() {
        let (ann, bob) = (bcrypt::hash("secret", 4).unwrap(), bcrypt::hash("other", 4).unwrap());
        let auth = BasicAuth::new("here".into(), vec![("ann".into(), ann), ("bob".into(), bob)], None, Vec::new());
        let site = hallway_core::plan::Site::new(
            &["*"],
            vec![hallway_core::plan::Route {
                basic_auth: Some(auth.clone()),
                ..hallway_core::plan::Route::new("/", hallway_core::plan::Target::Compose(Vec::new()))
            }],
        );
        start_for(&Plan { sites: vec![site], ..Plan::empty() }).unwrap();
        let ask = async |pair: &str, now_ms: u64| {
            let line = format!("Authorization: Basic {}\r\n", STANDARD.encode(pair));
            let head = crate::fakes::head(&format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n"));
            authenticate((&head, b"authorization"), &auth, None, now_ms).await
        };
        crate::fakes::on_loop(async |_| {
            for bad in ["ann:other", "ann:", "carl:secret", "ann", ":secret"] {
                assert_eq!(ask(bad, 0).await, Err(Fault::Unauthorized), "{bad}");
            }
            assert_eq!(ask("ann:secret", 0).await, Ok("ann".into()));
            let waits = async { ask("ann:secret", KNOWN_MS - 1).await };
            let mut known = Box::pin(waits);
            let mut task = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(known.as_mut().poll(&mut task).is_ready(), "who was let in waits for nobody");
            let mut anew = Box::pin(async { ask("ann:secret", 2 * KNOWN_MS).await });
            assert!(anew.as_mut().poll(&mut task).is_pending(), "and not for ever");
            assert_eq!(ask("bob:secret", 1).await, Err(Fault::Unauthorized));
        });
    }
}
