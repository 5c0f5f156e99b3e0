//! In:     randomness of the system, once for each event loop.
//! Out:    an id for each request, unlike any other anywhere.
//! Actors: none.
//! Never:  is an id taken from a client, but only from a proxy that is trusted.

use std::cell::Cell;
use std::rc::Rc;

/// Makes request ids: 32 hexadecimal digits, 64 bits of chance and 64 of a scrambled counter.
pub(crate) struct RequestIds {
    prefix: u64,
    counter: Cell<u64>,
}

impl RequestIds {
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut seed = [0u8; 16];
        rustix::rand::getrandom(&mut seed[..], rustix::rand::GetRandomFlags::empty())?;
        let [prefix, counter] = [0, 8].map(|at| {
            let mut half = [0u8; 8];
            half.copy_from_slice(&seed[at..at + 8]);
            u64::from_le_bytes(half)
        });
        // An id of zeros alone would be none to those who trace requests (W3C Trace Context, 3.2.2.3).
        Ok(RequestIds { prefix: prefix.max(1), counter: Cell::new(counter) })
    }

    /// A number by chance, the same for all calls.
    pub(crate) fn chance(&self) -> u64 {
        self.prefix ^ self.counter.get().rotate_left(32)
    }

    /// The next id.
    pub(crate) fn next(&self) -> RequestId {
        let counter = self.counter.get().wrapping_add(1);
        self.counter.set(counter);
        // SplitMix64's finaliser: a bijection, so no two counters give the same id.
        let mut mixed = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let mut text = [0u8; 32];
        for (at, digit) in text.iter_mut().enumerate() {
            let half = if at < 16 { self.prefix } else { mixed };
            *digit = b"0123456789abcdef"[(half >> (60 - 4 * (at % 16))) as usize & 15];
        }
        RequestId { own: text, given: None }
    }
}

/// One request's id.
#[derive(Clone)]
pub(crate) struct RequestId {
    own: [u8; 32],
    /// The one that it has had before.
    given: Option<Rc<str>>,
}

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        match &self.given {
            None => std::str::from_utf8(&self.own).unwrap_or_default(),
            Some(given) => given,
        }
    }

    /// It is known by this one already.
    pub(crate) fn take_over(&mut self, given: &str) {
        self.given = Some(given.into());
    }

    /// What no other request has, whatever it is known by.
    pub(crate) fn own(&self) -> &[u8; 32] {
        &self.own
    }
}
