//! In:     a name and a password; the hashes of a route.
//! Out:    who it is.
//! Actors: one thread of the process: hashing is meant to take long, and must not take all cores.
//! Never:  does it take less time to hear that a name is unknown than that a password is wrong, or wait more for
//!         their turn than can be served.

use crate::house::House;
use crate::md5_crypt::Md5Crypt;
use argon2::{Argon2, PasswordHash, PasswordVerifier};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallway_core::plan::BasicAuth;
use hallway_core::semantics::basic_credentials;
use hallway_core::{Fault, Head};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

/// For how long, and of how many, it is remembered that a password was right.
const KNOWN_MS: u64 = 300_000;
const KNOWN_MAX: usize = 1024;
/// Passwords that wait to be hashed.
const PENDING_MAX: usize = 32;

/// A password, a hash, and who wants to know.
type Judged = (Vec<u8>, String, tokio::sync::oneshot::Sender<bool>);

/// What one event loop knows of passwords.
#[derive(Default)]
pub(crate) struct Passwords {
    /// Digests of what was right, and until when that is believed.
    known: RefCell<HashMap<[u8; 32], u64>>,
    pending: Cell<usize>,
    /// Makes the digests of this process unlike those of any other.
    salt: Cell<Option<[u8; 32]>>,
}

/// Who asks, by the name and password in this field.
///
/// # Errors
/// 401 where nobody is known by that name and password; 503 where too many have to be looked at.
pub(crate) async fn authenticate(house: &House, head: &Head, field: &[u8], auth: &BasicAuth) -> Result<String, Fault> {
    let (name, password) = basic_credentials(head, field).ok_or(Fault::Unauthorized)?;
    let passwords = &house.passwords;
    let user = auth.all().find(|(user, _)| *user == name);
    // An unknown name takes as long as a wrong password: as that of somebody, always the same one for this name.
    let like = || auth.all().nth(passwords.pick(&name, auth.users.len() + auth.of_file.len()));
    let hash = user.or_else(like).map(|(_, hash)| hash.clone()).ok_or(Fault::Unauthorized)?;
    let digest = passwords.digest(&name, &hash, &password);
    let now_ms = house.clock.coarse_ms();
    if user.is_some() && passwords.known.borrow().get(&digest).is_some_and(|until_ms| *until_ms > now_ms) {
        return Ok(name);
    }
    if passwords.pending.get() >= PENDING_MAX {
        return Err(Fault::Busy);
    }
    passwords.pending.set(passwords.pending.get() + 1);
    let judged = judge(password, hash).await;
    passwords.pending.set(passwords.pending.get() - 1);
    if user.is_none() || !judged.unwrap_or(false) {
        return Err(Fault::Unauthorized);
    }
    let mut known = passwords.known.borrow_mut();
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
    known.insert(digest, now_ms + KNOWN_MS);
    Ok(name)
}

impl Passwords {
    /// One of so many, by a name.
    fn pick(&self, name: &str, count: usize) -> usize {
        let [first, second, ..] = self.digest(name, "", b"");
        usize::from(u16::from_le_bytes([first, second])) % count.max(1)
    }

    fn digest(&self, name: &str, hash: &str, password: &[u8]) -> [u8; 32] {
        let salt = self.salt.get().unwrap_or_else(|| {
            let mut salt = [0; 32];
            // Without chance nothing is remembered for long, as the salt is not kept.
            if rustix::rand::getrandom(&mut salt[..], rustix::rand::GetRandomFlags::empty()) == Ok(salt.len()) {
                self.salt.set(Some(salt));
            }
            salt
        });
        let mut context = Context::new(&SHA256);
        for part in [&salt[..], name.as_bytes(), b"\0", hash.as_bytes(), b"\0", password] {
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

/// Has a thread look at a password: one that does nothing else, so that nobody's files wait for it.
async fn judge(password: Vec<u8>, hash: String) -> Option<bool> {
    static JUDGE: OnceLock<Sender<Judged>> = OnceLock::new();
    let judge = JUDGE.get_or_init(|| {
        let (sender, queue) = channel::<Judged>();
        let work = move || {
            for (password, hash, answer) in queue {
                let _ = answer.send(is_right(&password, &hash));
            }
        };
        // Without the thread nobody comes in, which is all that could be done.
        let _ = std::thread::Builder::new().name("passwords".into()).spawn(work);
        sender
    });
    let (answer, judged) = tokio::sync::oneshot::channel();
    judge.send((password, hash, answer)).ok()?;
    judged.await.ok()
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
}
