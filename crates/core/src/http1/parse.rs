//! In:     the bytes of one whole request head, whose length was limited, and the limits of its parts.
//! Out:    a `Head`, or the fault that names what is wrong with it.
//! Actors: none.
//! Never:  does a line pass that is not exactly `name: value CRLF` (no folding, no space before the colon).

use crate::fault::{Fault, HeadLimit};
use crate::fields::{Name, is_token, letters_digits_and};
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

/// Host and optional port as RFC 3986, 3.2.2 spells them, without user information. The host is not empty.
pub fn is_authority(raw: &[u8]) -> bool {
    const IS_KNOWN: [bool; 256] = letters_digits_and(b"-._~!$&'()*+,;=");
    let (host, port) = match raw.iter().rposition(|byte| *byte == b':') {
        Some(at) if !raw[at..].contains(&b']') => (&raw[..at], &raw[at + 1..]),
        _ => (raw, &b""[..]),
    };
    let is_port = port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    let port = port.iter().fold(0, |port, byte| port * 10 + u32::from(byte.wrapping_sub(b'0')));
    let is_host = match host.strip_prefix(b"[") {
        Some(rest) => rest.strip_suffix(b"]").is_some_and(is_address),
        None => host.iter().all(|byte| IS_KNOWN[usize::from(*byte)]) || is_encoded(host, &IS_KNOWN),
    };
    !host.is_empty() && is_host && is_port && port <= u32::from(u16::MAX)
}

/// What may stand in brackets: an IPv6 address, or one of a kind that is to come (`v1.x`).
fn is_address(inner: &[u8]) -> bool {
    const IS_FUTURE: [bool; 256] = letters_digits_and(b"-._~!$&'()*+,;=:");
    let Ok(text) = std::str::from_utf8(inner) else { return false };
    let of_the_future = || {
        let (version, rest) = text.strip_prefix(['v', 'V'])?.split_once('.')?;
        let is_hex = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(is_hex && !rest.is_empty() && rest.bytes().all(|byte| IS_FUTURE[usize::from(byte)]))
    };
    text.parse::<std::net::Ipv6Addr>().is_ok() || of_the_future() == Some(true)
}

/// The same with `%XX` in it, which is no other byte.
fn is_encoded(host: &[u8], is_known: &[bool; 256]) -> bool {
    let mut rest = host;
    while let Some((byte, tail)) = rest.split_first() {
        rest = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => tail,
            _ if is_known[usize::from(*byte)] => tail,
            _ => return false,
        };
    }
    true
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
    fn what_names_a_host() {
        for (raw, is) in [
            ("a", true),
            ("a.example:80", true),
            ("a.example:", true),
            ("127.0.0.1:65535", true),
            ("[::1]", true),
            ("[::ffff:1.2.3.4]:8080", true),
            ("[v1.a:b]", true),
            ("a%41b", true),
            ("under_score-1~", true),
            ("", false),
            (":80", false),
            (":", false),
            ("a%zz", false),
            ("a%4", false),
            ("a%", false),
            ("[]", false),
            ("[:::1]", false),
            ("[fe80::1%25eth0]", false),
            ("[1.2.3.4]", false),
            ("[::1", false),
            ("::1", false),
            ("[::1]x:80", false),
            ("a:65536", false),
            ("a:80x", false),
            ("a:+1", false),
            ("user@a", false),
            ("a b", false),
            ("a/b", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(is_authority(raw.as_bytes()), is, "{raw:?}");
        }
    }

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
