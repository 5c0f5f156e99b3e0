//! The target of a request.
//!
//! In:     a raw target, in any of its forms (RFC 9112, 3.2).
//! Out:    host, path and query as they are matched and forwarded.
//! Actors: none.
//! Never:  is something forwarded that is not what was matched.

use super::path::{normalise, normalise_segments, percent_decode, put_escaped};
use crate::authority::is_authority;
use crate::fault::Fault;
use crate::head::Head;
use std::borrow::Cow;

/// Settles host, path and query from a raw target in any of its forms (RFC 9112, 3.2).
///
/// # Errors
/// 400 for a target that is none of them, 501 for CONNECT.
pub fn settle_target(head: &mut Head, raw: &[u8]) -> Result<(), Fault> {
    const MALFORMED: Fault = Fault::BadRequest("The request target is not a valid address.");
    if raw.iter().any(|byte| !(0x21..=0x7e).contains(byte) || *byte == b'#') {
        if raw.iter().any(|byte| matches!(byte, 0..=b' ' | 0x7f | b'#')) || head.method() == b"CONNECT" {
            return Err(MALFORMED);
        }
        // Bytes beyond ASCII go on as a client should have sent them (RFC 3986, 2.5).
        return settle_target(head, &encoded(raw));
    }
    if head.method() == b"CONNECT" {
        // Authority-form (RFC 9112, 3.2.3): only a forward proxy takes it.
        if !is_authority(raw) || !raw.contains(&b':') {
            return Err(MALFORMED);
        }
        head.set_host(raw);
        head.set_path(b"*");
        // What follows is for the server behind the tunnel, and no request.
        head.keep_alive = false;
        return Ok(());
    }
    if raw == b"*" && head.method() == b"OPTIONS" {
        head.set_path(b"*");
        return Ok(());
    }
    let origin = match absolute_form(raw) {
        Some((authority, _)) if authority.is_empty() || !is_authority(authority) => return Err(MALFORMED),
        Some((authority, _)) => {
            // RFC 9112, 3.2.2: the target's authority counts, whatever Host says.
            head.set_host(authority);
            origin_form(raw)
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

fn encoded(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() * 2);
    for byte in raw {
        if byte.is_ascii() { out.push(*byte) } else { put_escaped(&mut out, *byte) }
    }
    out
}

/// Spells the path of a request anew, with every slash kept.
///
/// # Errors
/// 400, as when it was read.
pub fn keep_slashes(head: &mut Head) -> Result<(), Fault> {
    let raw = head.raw_target().to_vec();
    let origin = absolute_form(&raw).map_or(&raw[..], |(_, rest)| rest);
    let path = normalise_segments(origin.split(|byte| *byte == b'?').next().unwrap_or_default())?;
    if path.starts_with(b"/") {
        head.set_path(&path);
    }
    Ok(())
}

/// A target without the scheme and the authority that an absolute one has.
pub fn origin_form(raw: &[u8]) -> Cow<'_, [u8]> {
    match absolute_form(raw) {
        Some((_, rest)) if rest.starts_with(b"/") => Cow::Borrowed(rest),
        Some((_, rest)) => Cow::Owned([b"/", rest].concat()),
        None => Cow::Borrowed(raw),
    }
}

/// The same request for the path as who resolves nothing reads it.
pub fn as_it_came(head: &Head) -> Head {
    let mut literal = head.clone();
    let target = origin_form(head.raw_target());
    let path = percent_decode(target.split(|byte| *byte == b'?').next().unwrap_or_default()).into_owned();
    literal.set_path(&path);
    literal
}

/// Splits `http://authority/rest`; nothing for the other forms.
fn absolute_form(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    if raw.first() == Some(&b'/') {
        return None;
    }
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
        for raw in ["", "a", "*", "ftp://a/b", "http:///x", "http://a@b/x", "/a#b", "/a b", "/a\u{7f}", "caf\u{e9}"] {
            let mut head = Head::default();
            head.set_method(b"GET");
            assert!(settle_target(&mut head, raw.as_bytes()).is_err(), "{raw:?}");
        }
    }
}
