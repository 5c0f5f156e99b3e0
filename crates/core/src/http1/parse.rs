//! In:     the bytes of one whole request head, whose length was limited, and the limits of its parts.
//! Out:    a `Head`, or the fault that names what is wrong with it.
//! Actors: none.
//! Never:  does a line pass that is not exactly `name: value CRLF` (no folding, no space before the colon).

use crate::authority::is_authority;
use crate::fault::{Fault, HeadLimit};
use crate::fields::{Name, is_token};
use crate::head::{Head, Version};
use crate::http1::framing;
use crate::plan::Limits;
use crate::route;
use std::mem::MaybeUninit;

/// Header lines for which there is room without asking for memory.
pub(crate) const FIELDS_MAX: usize = 100;
/// Longest method; the longest registered one has 17 letters.
pub(crate) const METHOD_BYTES_MAX: usize = 32;

const UNKNOWN_METHOD: Fault = Fault::NotImplemented("This method is not known.");

/// What is wrong with a request that has no end, where that is its method (RFC 9112, 3 wants 501 then).
pub fn refuse_method(start: &[u8]) -> Option<Fault> {
    let method = start.split(|byte| matches!(byte, b' ' | b'\r')).next().unwrap_or_default();
    (method.len() > METHOD_BYTES_MAX && is_token(method)).then_some(UNKNOWN_METHOD)
}

/// Reads one whole head (RFC 9112, 2-5), which ends with its empty line.
///
/// # Errors
/// 400, 414, 417, 431, 501 or 505, as fits; the connection is of no use after any of them.
pub fn parse_head(raw: &[u8], limits: impl Into<Limits>, head: &mut Head) -> Result<(), Fault> {
    head.clear();
    let limits = limits.into();
    let mut lines = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    match parse_lines(raw, &mut lines, &limits, head) {
        Err(Fault::HeadTooLarge(HeadLimit::Lines(FIELDS_MAX))) if limits.lines_max > FIELDS_MAX => {
            // Few requests have as many lines.
            let mut lines = vec![MaybeUninit::uninit(); limits.lines_max];
            head.clear();
            parse_lines(raw, &mut lines, &limits, head)
        }
        parsed => parsed,
    }
}

fn parse_lines<'r>(
    raw: &'r [u8],
    lines: &mut [MaybeUninit<httparse::Header<'r>>],
    limits: &Limits,
    head: &mut Head,
) -> Result<(), Fault> {
    let room = lines.len();
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(raw, lines) {
        Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
        Ok(_) => return Err(Fault::BadRequest("The request head ends where it should not.")),
        Err(httparse::Error::TooManyHeaders) => return Err(Fault::HeadTooLarge(HeadLimit::Lines(room))),
        Err(httparse::Error::Version) => {
            // Whoever speaks a later minor version is answered in the latest that is known here (RFC 9110, 2.5).
            let known = as_known_version(raw).ok_or_else(|| explain(httparse::Error::Version, raw))?;
            return parse_head(&known, *limits, head);
        }
        Err(error) => return Err(explain(error, raw)),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Fault::BadRequest("The request line is not complete."));
    };
    if method.len() > METHOD_BYTES_MAX || !is_token(method.as_bytes()) {
        return Err(UNKNOWN_METHOD);
    }
    if target.len() > limits.target_bytes_max {
        return Err(Fault::TargetTooLong);
    }
    head.version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    head.set_method(method.as_bytes());
    head.set_raw_target(target.as_bytes());
    if request.headers.len() > limits.lines_max {
        return Err(Fault::HeadTooLarge(HeadLimit::Lines(limits.lines_max)));
    }
    let (mut hosts, mut host) = (0, &b""[..]);
    for line in request.headers.iter() {
        if line_bytes(line) > limits.line_bytes_max {
            return Err(Fault::HeadTooLarge(HeadLimit::Line(limits.line_bytes_max)));
        }
        let name = Name::of(line.name.as_bytes());
        if name == Name::Host {
            (hosts, host) = (hosts + 1, line.value.trim_ascii());
        }
        head.fields.push_known(name, line.name.as_bytes(), line.value.trim_ascii());
    }
    framing::settle(head)?;
    settle_host(head, hosts, host)?;
    route::settle_target(head, target.as_bytes())
}

/// How long a line is, with its CR LF; both of its parts are in the same head.
fn line_bytes(line: &httparse::Header<'_>) -> usize {
    let value_at = (line.value.as_ptr() as usize).saturating_sub(line.name.as_ptr() as usize);
    value_at.max(line.name.len() + 1) + line.value.len() + 2
}

/// Exactly one valid `Host` on HTTP/1.1, at most one on HTTP/1.0 (RFC 9112, 3.2).
fn settle_host(head: &mut Head, hosts: usize, host: &[u8]) -> Result<(), Fault> {
    match (hosts, head.version) {
        (0, Version::Http10) => Ok(()),
        (0, Version::Http11 | Version::Http2) => Err(Fault::BadRequest("There is no Host.")),
        (1, _) if is_authority(host) => {
            head.set_host(host);
            Ok(())
        }
        (1, _) => Err(Fault::BadRequest("The Host is not a host and port.")),
        _ => Err(Fault::BadRequest("There is more than one Host.")),
    }
}

/// The same head in HTTP/1.1, where it is of a later HTTP/1.
fn as_known_version(raw: &[u8]) -> Option<Vec<u8>> {
    let end = memchr::memchr(b'\r', raw)?;
    let at = end.checked_sub(1)?;
    let is_later = raw[..at].ends_with(b" HTTP/1.") && matches!(raw[at], b'2'..=b'9');
    is_later.then(|| {
        let mut known = raw.to_vec();
        known[at] = b'1';
        known
    })
}

/// Says in our words what httparse refused.
fn explain(error: httparse::Error, raw: &[u8]) -> Fault {
    match error {
        httparse::Error::HeaderName => Fault::BadRequest("A header name has a byte that does not belong there."),
        httparse::Error::HeaderValue => Fault::BadRequest("A header value has a control byte."),
        httparse::Error::NewLine => Fault::BadRequest("A line does not end with CR LF."),
        httparse::Error::Version if is_other_version(raw) => Fault::VersionUnsupported,
        _ => Fault::BadRequest("The request line is not 'METHOD target HTTP/1.1'."),
    }
}

/// Whether the request line is well formed but for its version (RFC 9110, 15.6.6 asks for 505 then).
fn is_other_version(raw: &[u8]) -> bool {
    let line = raw.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(_), Some(_), Some(version), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return false;
    };
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_minor_version_is_served_as_the_latest_known_one() {
        let mut head = Head::default();
        for minor in 2..=9 {
            let raw = format!("GET /a HTTP/1.{minor}\r\nHost: h\r\nContent-Length: 3\r\n\r\n");
            parse_head(raw.as_bytes(), 99, &mut head).unwrap();
            assert_eq!((head.version, head.path(), head.keep_alive), (Version::Http11, &b"/a"[..], true));
        }
        for (line, status) in [
            ("GET / HTTP/2.0", 505),
            ("GET / HTTP/0.9", 505),
            ("GET / HTTP/1.10", 400),
            ("GET / HTTP/1.2 ", 400),
            ("GET / HTTP/1.a", 400),
            ("GET HTTP/1.2", 400),
        ] {
            let raw = format!("{line}\r\nHost: h\r\n\r\n");
            assert_eq!(parse_head(raw.as_bytes(), 99, &mut head).map_err(Fault::status), Err(status), "{line}");
        }
        assert!(parse_head(b"GET / HTTP/1.2\r\nHost: h\r\nX : 1\r\n\r\n", 99, &mut head).is_err());
    }
}
