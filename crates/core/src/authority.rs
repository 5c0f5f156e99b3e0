//! Host and port, as requests name them.
//!
//! In:     bytes.
//! Out:    whether they are a host and a port.
//! Actors: none.
//! Never:  passes what two servers could read differently (RFC 3986, 3.2).

use crate::fields::letters_digits_and;

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
}
