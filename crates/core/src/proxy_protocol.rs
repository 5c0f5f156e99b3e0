//! In:     the first bytes of a connection from a proxy that is believed.
//! Out:    who is behind it, and how many bytes said so (PROXY protocol, versions 1 and 2).
//! Actors: none.
//! Never:  is a header taken that is not whole, or longer than the protocol allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How each version begins.
const TEXT: &[u8] = b"PROXY ";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1, and of version 2 that is taken here.
const TEXT_BYTES_MAX: usize = 107;
/// As much as has to be looked at.
pub const HEADER_BYTES_MAX: usize = 16 + 520;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Preface {
    /// No such header.
    Absent,
    /// Perhaps its beginning: more has to come.
    Partial,
    /// A header of so many bytes, and the client that it names; none where the proxy speaks for itself.
    Header(usize, Option<SocketAddr>),
    /// It begins like one and is none.
    Broken,
}

/// Reads the first bytes of a connection.
pub fn read_preface(bytes: &[u8]) -> Preface {
    if bytes.starts_with(BINARY) {
        read_binary(bytes)
    } else if bytes.starts_with(TEXT) {
        read_text(bytes)
    } else if BINARY.starts_with(bytes) || TEXT.starts_with(bytes) {
        Preface::Partial
    } else {
        Preface::Absent
    }
}

fn read_text(bytes: &[u8]) -> Preface {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n") else {
        return if bytes.len() < TEXT_BYTES_MAX { Preface::Partial } else { Preface::Broken };
    };
    let words: Option<Vec<&str>> = std::str::from_utf8(&bytes[..end])
        .ok()
        .filter(|_| end + 2 <= TEXT_BYTES_MAX)
        .map(|line| line.split(' ').collect());
    match words.as_deref() {
        Some(["PROXY", "UNKNOWN", ..]) => Preface::Header(end + 2, None),
        Some(["PROXY", family @ ("TCP4" | "TCP6"), source, target, port, _]) => {
            let (source, target) = (source.parse::<IpAddr>(), target.parse::<IpAddr>());
            let is_right = |address: &IpAddr| address.is_ipv4() == (*family == "TCP4");
            match (source, target, port.parse::<u16>()) {
                (Ok(source), Ok(target), Ok(port)) if is_right(&source) && is_right(&target) => {
                    Preface::Header(end + 2, Some(SocketAddr::new(source, port)))
                }
                _ => Preface::Broken,
            }
        }
        _ => Preface::Broken,
    }
}

fn read_binary(bytes: &[u8]) -> Preface {
    let Some((version, family, length)) =
        bytes.get(12..16).map(|it| (it[0], it[1], u16::from_be_bytes([it[2], it[3]])))
    else {
        return Preface::Partial;
    };
    let whole = 16 + usize::from(length);
    if version >> 4 != 2 || whole > HEADER_BYTES_MAX {
        return Preface::Broken;
    }
    let Some(body) = bytes.get(16..whole) else { return Preface::Partial };
    let port = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    match (version & 15, family >> 4) {
        (0, _) | (1, 0 | 3) => Preface::Header(whole, None),
        (1, 1) => match (body.first_chunk::<4>(), port(8), body.len()) {
            (Some(source), Some(port), 12..) => {
                Preface::Header(whole, Some(SocketAddr::new(Ipv4Addr::from(*source).into(), port)))
            }
            _ => Preface::Broken,
        },
        (1, 2) => match (body.first_chunk::<16>(), port(32), body.len()) {
            (Some(source), Some(port), 36..) => {
                Preface::Header(whole, Some(SocketAddr::new(Ipv6Addr::from(*source).into(), port)))
            }
            _ => Preface::Broken,
        },
        _ => Preface::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(address: &str) -> Option<SocketAddr> {
        Some(address.parse().unwrap())
    }

    #[test]
    fn lines_of_version_1() {
        let line = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\nGET /";
        assert_eq!(read_preface(line), Preface::Header(42, named("192.0.2.7:56324")));
        for end in 1..42 {
            assert_eq!(read_preface(&line[..end]), Preface::Partial, "{end}");
        }
        assert_eq!(read_preface(b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n"), Preface::Header(32, named("[2001:db8::7]:1")));
        assert_eq!(read_preface(b"PROXY UNKNOWN\r\n"), Preface::Header(15, None));
        assert_eq!(read_preface(b"GET / HTTP/1.1\r\n"), Preface::Absent);
        for line in
            ["PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 99999 1\r\n", "PROXY \r\n", "PROXY TCP4\r\n"]
        {
            assert_eq!(read_preface(line.as_bytes()), Preface::Broken, "{line}");
        }
        assert_eq!(read_preface(&[b"PROXY ".to_vec(), vec![b'x'; 200]].concat()), Preface::Broken);
    }

    #[test]
    fn headers_of_version_2() {
        let header = |command: u8, family: u8, body: &[u8]| {
            [BINARY, &[0x20 | command, family << 4 | 1, 0, body.len() as u8], body].concat()
        };
        let ipv4 = header(1, 1, &[192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x34, 1, 187]);
        assert_eq!(read_preface(&ipv4), Preface::Header(28, named("192.0.2.7:4660")));
        assert_eq!(read_preface(&ipv4[..27]), Preface::Partial);
        assert_eq!(read_preface(&header(0, 0, &[])), Preface::Header(16, None), "a health check of its own");
        let mut ipv6 = vec![0; 36];
        (ipv6[15], ipv6[33]) = (1, 80);
        assert_eq!(read_preface(&header(1, 2, &ipv6)), Preface::Header(52, named("[::1]:80")));
        assert_eq!(read_preface(&header(1, 1, &[1, 2, 3])), Preface::Broken);
        let more = header(1, 1, &[192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x34, 1, 187, 4, 0, 1, 0]);
        assert_eq!(read_preface(&more), Preface::Header(32, named("192.0.2.7:4660")), "with more to say");
        assert_eq!(read_preface(&[BINARY, &[0x11, 0x11, 0, 0]].concat()), Preface::Broken);
        assert_eq!(read_preface(&[BINARY, &[0x21, 0x11, 0xff, 0xff]].concat()), Preface::Broken);
    }
}
