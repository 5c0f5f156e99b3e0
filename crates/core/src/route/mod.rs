//! In:     a head with its raw target, the plan.
//! Out:    path and query as they are matched and forwarded; the site and the route that answer.
//! Actors: none.
//! Never:  is something forwarded that is not what was matched.

mod condition;
mod hosts;
mod path;
mod pattern;
mod routes;
mod sites;
mod tree;

use crate::fault::Fault;
use crate::head::Head;
use crate::http1::is_authority;
use std::borrow::Cow;

pub use condition::{Conditions, Verdict, Wanted, query_values};
pub use hosts::{Hosts, host_of};
pub use path::{normalise, percent_decode};
pub use pattern::{Pattern, Segment};
pub use routes::{Clash, Picked, Routes};
pub use sites::{Matched, Sites};
pub use tree::{CAPTURES_MAX, Found, Tree};

/// Settles host, path and query from a raw target in any of its forms (RFC 9112, 3.2).
///
/// # Errors
/// 400 for a target that is none of them, 501 for CONNECT.
pub fn settle_target(head: &mut Head, raw: &[u8]) -> Result<(), Fault> {
    const MALFORMED: Fault = Fault::BadRequest("The request target is not a valid address.");
    if raw.iter().any(|byte| !(0x21..=0x7e).contains(byte) || *byte == b'#') {
        return Err(MALFORMED);
    }
    if head.method() == b"CONNECT" {
        return Err(Fault::NotImplemented("CONNECT is not taken here."));
    }
    if raw == b"*" && head.method() == b"OPTIONS" {
        head.set_path(b"*");
        return Ok(());
    }
    let origin = match absolute_form(raw) {
        Some((authority, _)) if authority.is_empty() || !is_authority(authority) => return Err(MALFORMED),
        Some((authority, rest)) => {
            // RFC 9112, 3.2.2: the target's authority counts, whatever Host says.
            head.set_host(authority);
            if rest.starts_with(b"/") { Cow::Borrowed(rest) } else { Cow::Owned([b"/", rest].concat()) }
        }
        None => Cow::Borrowed(raw),
    };
    if !origin.starts_with(b"/") {
        return Err(MALFORMED);
    }
    let (path, query) = match memchr::memchr(b'?', &origin) {
        Some(at) => (&origin[..at], &origin[at + 1..]),
        None => (&origin[..], &b""[..]),
    };
    let path = normalise(path)?;
    head.set_path(&path);
    head.set_query(query);
    Ok(())
}

/// Splits `http://authority/rest`; nothing for the other forms.
fn absolute_form(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let scheme_end = memchr::memmem::find(raw, b"://")?;
    let scheme = &raw[..scheme_end];
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = &raw[scheme_end + 3..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    Some(rest.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_target_overrides_the_host() {
        let mut head = Head::default();
        head.set_method(b"GET");
        head.set_host(b"other");
        settle_target(&mut head, b"http://example.com:81?x=1").unwrap();
        assert_eq!((head.host(), head.path(), head.query()), (&b"example.com:81"[..], &b"/"[..], &b"x=1"[..]));
    }

    #[test]
    fn odd_targets_are_refused() {
        for raw in ["", "a", "*", "ftp://a/b", "http:///x", "http://a@b/x", "/a#b", "/\u{e9}"] {
            let mut head = Head::default();
            head.set_method(b"GET");
            assert!(settle_target(&mut head, raw.as_bytes()).is_err(), "{raw:?}");
        }
    }
}
