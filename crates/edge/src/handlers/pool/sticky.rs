//! In:     a pool's cookie, a request.
//! Out:    the member that it is to go to; the cookie that says so.
//! Actors: none.
//! Never:  does a client choose a member, or learn where one is.

use crate::handlers::pool::lease::Held;
use crate::handlers::pool::server::Server;
use aws_lc_rs::hmac;
use hallway_core::balance::ring::Hash;
use hallway_core::plan::{Pool, Sticky};
use hallway_core::semantics::{AnswerHead, keep_private};

/// Digits of a member's number, and of its signature.
const NUMBER_DIGITS: usize = 16;
const SIGNATURE_BYTES: usize = 16;

/// The number of a member: the same wherever its address is.
pub(super) fn number(member: &Server) -> u64 {
    Hash::Xxh3.of(member.name.as_bytes())
}

/// The number of the member that has a request, where the pool has a cookie for it.
pub(super) fn number_of(pool: &Pool, held: &Held) -> Option<u64> {
    pool.sticky.as_ref().map(|_| number(held.member()))
}

/// The member that a cookie names, where hallway wrote it.
pub(super) fn read(pool: &Pool, sticky: &Sticky, value: &[u8]) -> Option<u64> {
    let (number, signature) = value.split_at_checked(NUMBER_DIGITS)?;
    let number = u64::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok()?;
    let expected = sign(pool, sticky, number);
    // As long for a wrong one as for a right one.
    aws_lc_rs::constant_time::verify_slices_are_equal(signature, expected.as_bytes()).ok()?;
    Some(number)
}

/// Keeps a client at a member from now on.
pub(super) fn keep(head: &mut AnswerHead, pool: &Pool, member: u64, https: bool) {
    if let Some(sticky) = &pool.sticky {
        head.fields.push(b"Set-Cookie", write(pool, sticky, member, https).as_bytes());
        // A cache would keep all of its clients at one member.
        keep_private(head);
    }
}

/// The value of `Set-Cookie` for a member.
fn write(pool: &Pool, sticky: &Sticky, number: u64, https: bool) -> String {
    let signature = sign(pool, sticky, number);
    let mut cookie = format!("{}={number:016x}{signature}; Path=/; HttpOnly; SameSite=Lax", sticky.cookie);
    if sticky.max_age_s > 0 {
        cookie += &format!("; Max-Age={}", sticky.max_age_s);
    }
    if https {
        cookie += "; Secure";
    }
    cookie
}

fn sign(pool: &Pool, sticky: &Sticky, number: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &sticky.secret.0);
    let tag = hmac::sign(&key, format!("{number:016x} {}", pool.name).as_bytes());
    tag.as_ref()[..SIGNATURE_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}
