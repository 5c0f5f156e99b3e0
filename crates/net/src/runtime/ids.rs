//! In:     randomness of the system, once for each event loop.
//! Out:    an id for each request, unlike any other anywhere.
//! Actors: none.
//! Never:  is an id taken from a client, but only from a proxy that is trusted.

use std::cell::Cell;
use std::rc::Rc;

/// Makes request ids: 32 hexadecimal digits, 64 bits of chance and 64 of a scrambled counter.
pub struct RequestIds {
    prefix: u64,
    /// Its digits.
    digits: [u8; 16],
    counter: Cell<u64>,
}

impl RequestIds {
    /// Ids that begin anywhere.
    ///
    /// # Errors
    /// That the system gives no randomness.
    pub fn new() -> std::io::Result<Self> {
        let mut seed = [0u8; 16];
        rustix::rand::getrandom(&mut seed[..], rustix::rand::GetRandomFlags::empty())?;
        let [prefix, counter] = [0, 8].map(|at| {
            let mut half = [0u8; 8];
            half.copy_from_slice(&seed[at..at + 8]);
            u64::from_le_bytes(half)
        });
        // An id of zeros alone would be none to those who trace requests (W3C Trace Context, 3.2.2.3).
        let prefix = prefix.max(1);
        Ok(RequestIds { prefix, digits: digits_of(prefix), counter: Cell::new(counter) })
    }

    /// A number by chance, the same for all calls.
    pub fn chance(&self) -> u64 {
        self.prefix ^ self.counter.get().rotate_left(32)
    }

    /// The next id.
    pub fn next(&self) -> RequestId {
        let counter = self.counter.get().wrapping_add(1);
        self.counter.set(counter);
        // SplitMix64's finaliser: a bijection, so no two counters give the same id.
        let mut mixed = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let mut text = [0u8; 32];
        text[..16].copy_from_slice(&self.digits);
        text[16..].copy_from_slice(&digits_of(mixed));
        RequestId { own: text, given: None }
    }
}

/// A number in hexadecimal: all of its nibbles at a time, a byte for each, as ids are made for every request.
fn digits_of(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (half, place) in [number >> 32, number & 0xffff_ffff].into_iter().zip(digits.chunks_exact_mut(8)) {
        let mut spread = (half | (half << 16)) & 0x0000_ffff_0000_ffff;
        spread = (spread | (spread << 8)) & 0x00ff_00ff_00ff_00ff;
        spread = (spread | (spread << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
        // A 1 in each byte whose nibble is a letter: those are further away, by what lies between '9' and 'a'.
        let letters = ((spread + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
        let text = spread + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'9' - 1);
        place.copy_from_slice(&text.to_be_bytes());
    }
    digits
}

/// One request's id.
#[derive(Clone)]
pub struct RequestId {
    own: [u8; 32],
    /// The one that it has had before.
    given: Option<Rc<str>>,
}

impl RequestId {
    /// As it is told.
    pub fn as_str(&self) -> &str {
        match &self.given {
            None => std::str::from_utf8(&self.own).unwrap_or_default(),
            Some(given) => given,
        }
    }

    /// It is known by this one already.
    pub fn take_over(&mut self, given: &str) {
        self.given = Some(given.into());
    }

    /// What no other request has, whatever it is known by.
    pub fn own(&self) -> &[u8; 32] {
        &self.own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, u64::MAX, 0x00ff_0a90_9a0f_f0a9] {
            assert_eq!(std::str::from_utf8(&digits_of(number)).unwrap(), format!("{number:016x}"));
        }
    }

    #[test]
    fn no_two_ids_are_the_same() {
        let ids = RequestIds::new().unwrap();
        let all: std::collections::HashSet<String> = (0..1000).map(|_| ids.next().as_str().to_owned()).collect();
        assert_eq!(all.len(), 1000);
    }

    #[test]
    fn an_id_of_a_proxy_is_told_and_the_own_one_stays() {
        let mut id = RequestIds::new().unwrap().next();
        let own = id.as_str().to_owned();
        id.take_over("given");
        let copy = id.clone();
        assert_eq!((copy.as_str(), std::str::from_utf8(copy.own()).unwrap()), ("given", &*own));
    }
}
