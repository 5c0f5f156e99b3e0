//! In:     a password; a hash as htpasswd without `-B` (`$apr1$`) or crypt (`$1$`) has made it.
//! Out:    what the password hashes to by the same salt.
//! Actors: none.
//! Never:  is a new hash made by this: it is for those that are there.

use md5::{Digest, Md5};

/// Kinds of it, which differ in nothing else.
const MAGICS: [&str; 2] = ["$apr1$", "$1$"];
/// How often everything is hashed.
const ROUNDS: usize = 1_000;
const SALT_BYTES_MAX: usize = 8;
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A hash, taken apart.
pub(crate) struct Md5Crypt<'h> {
    magic: &'static str,
    salt: &'h str,
    /// 22 digits.
    pub(crate) digest: &'h str,
}

impl<'h> Md5Crypt<'h> {
    /// Nothing where it is none of these.
    pub(crate) fn read(hash: &'h str) -> Option<Md5Crypt<'h>> {
        let (magic, rest) = MAGICS.iter().find_map(|magic| Some((*magic, hash.strip_prefix(magic)?)))?;
        let (salt, digest) = rest.split_once('$')?;
        let is_whole = digest.len() == 22 && digest.bytes().all(|digit| DIGITS.contains(&digit));
        (is_whole && salt.len() <= SALT_BYTES_MAX).then_some(Md5Crypt { magic, salt, digest })
    }

    /// What this password hashes to.
    pub(crate) fn digits(&self, password: &[u8]) -> [u8; 22] {
        let mut sum = self.stretched(password);
        // The digest's bytes in their order, three for four digits; the last of them alone.
        let groups = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
        let mut digits = [0; 22];
        for (group, places) in groups.iter().zip(digits.chunks_mut(4)) {
            let [high, middle, low] = group.map(|at| u32::from(sum[at]));
            put_digits(places, high << 16 | middle << 8 | low);
        }
        put_digits(&mut digits[20..], u32::from(sum[11]));
        sum.fill(0);
        digits
    }

    fn stretched(&self, password: &[u8]) -> [u8; 16] {
        let salt = self.salt.as_bytes();
        let mixed: [u8; 16] = hashed(&[password, salt, password]);
        let mut context = Md5::new();
        [password, self.magic.as_bytes(), salt].iter().for_each(|part| context.update(part));
        let mut left = password.len();
        while left > 0 {
            context.update(&mixed[..left.min(16)]);
            left = left.saturating_sub(16);
        }
        let mut bits = password.len();
        while bits > 0 {
            context.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
            bits >>= 1;
        }
        let mut sum: [u8; 16] = context.finalize().into();
        for round in 0..ROUNDS {
            let is_odd = round % 2 == 1;
            let (first, last): (&[u8], &[u8]) = if is_odd { (password, &sum) } else { (&sum, password) };
            let salted = if round % 3 == 0 { &b""[..] } else { salt };
            let again = if round % 7 == 0 { &b""[..] } else { password };
            sum = hashed(&[first, salted, again, last]);
        }
        sum
    }
}

fn hashed(parts: &[&[u8]]) -> [u8; 16] {
    let mut context = Md5::new();
    parts.iter().for_each(|part| context.update(part));
    context.finalize().into()
}

fn put_digits(places: &mut [u8], mut number: u32) {
    for place in places {
        *place = DIGITS[(number & 63) as usize];
        number >>= 6;
    }
}
