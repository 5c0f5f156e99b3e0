//! In:     the first bytes of a connection from a proxy that is believed.
//! Out:    who is behind it, what it asked for, and how many bytes said so (PROXY protocol, versions 1 and 2).
//! Actors: none.
//! Never:  is a header taken that is not whole, or longer than the protocol allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How each version begins.
const TEXT: &[u8] = b"PROXY ";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What stands before the addresses of version 2.
const BINARY_BYTES: usize = 16;
/// Longest header of version 1.
const TEXT_BYTES_MAX: usize = 107;
/// As much as has to be looked at to know what it is. One of version 2 may say more, up to 64 KiB.
pub const PREFACE_BYTES: usize = 536;

/// Types of what version 2 says behind the addresses (2.2), the bits of a client's TLS, and what stands in that (2.2.6).
const AUTHORITY: u8 = 0x02;
const TLS: u8 = 0x20;
const TLS_VERSION: u8 = 0x21;
const TLS_CIPHER: u8 = 0x23;
const CLIENT_TLS: u8 = 0x01;
const CLIENT_CERTIFICATE: u8 = 0x02 | 0x04;

/// What the first bytes of a connection are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Preface {
    /// No such header.
    Absent,
    /// Perhaps its beginning: more has to come.
    Partial,
    /// A header that has so many bytes, more than there are.
    Begun(usize),
    /// A header of so many bytes, and what it says; nothing where the proxy speaks for itself.
    Header(usize, Option<Box<Behind>>),
    /// It begins like one and is none.
    Broken,
}

/// A client behind a proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Behind {
    /// Its address.
    pub client: SocketAddr,
    /// The address that it reached.
    pub reached: SocketAddr,
    /// How it came to the proxy, where that was encrypted.
    pub tls: Option<BehindTls>,
}

/// What a client and its proxy agreed on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BehindTls {
    /// As `TLSv1.3`; may be empty, as may what follows.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The name that the client asked for.
    pub server_name: String,
    /// Whether the client showed a certificate, which the proxy verified.
    pub shows_certificate: bool,
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
        Some(["PROXY", family @ ("TCP4" | "TCP6"), source, target, source_port, target_port]) => {
            let address = |address: &str, port: &str| {
                let address: IpAddr = address.parse().ok()?;
                let is_right = address.is_ipv4() == (*family == "TCP4");
                Some(SocketAddr::new(address, port.parse().ok()?)).filter(|_| is_right)
            };
            match (address(source, source_port), address(target, target_port)) {
                (Some(client), Some(reached)) => {
                    Preface::Header(end + 2, Some(Box::new(Behind { client, reached, tls: None })))
                }
                _ => Preface::Broken,
            }
        }
        _ => Preface::Broken,
    }
}

fn read_binary(bytes: &[u8]) -> Preface {
    let Some((version, family, length)) =
        bytes.get(12..BINARY_BYTES).map(|it| (it[0], it[1], u16::from_be_bytes([it[2], it[3]])))
    else {
        return Preface::Partial;
    };
    let whole = BINARY_BYTES + usize::from(length);
    if version >> 4 != 2 {
        return Preface::Broken;
    }
    let Some(body) = bytes.get(BINARY_BYTES..whole) else { return Preface::Begun(whole) };
    let address_bytes = match (version & 15, family >> 4) {
        // Of itself, or of what has no address here.
        (0, _) | (1, 0 | 3) => return Preface::Header(whole, None),
        (1, 1) => 4,
        (1, 2) => 16,
        _ => return Preface::Broken,
    };
    let address = |at: usize| match body.get(at * address_bytes..(at + 1) * address_bytes)? {
        short if short.len() == 4 => Some(IpAddr::from(Ipv4Addr::from(*short.first_chunk::<4>()?))),
        long => Some(IpAddr::from(Ipv6Addr::from(*long.first_chunk::<16>()?))),
    };
    let port = |at: usize| {
        let at = 2 * address_bytes + 2 * at;
        Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]))
    };
    match (address(0), address(1), port(0), port(1)) {
        (Some(source), Some(target), Some(source_port), Some(target_port)) => {
            let (client, reached) = (SocketAddr::new(source, source_port), SocketAddr::new(target, target_port));
            let tls = read_tls(&body[2 * address_bytes + 4..]);
            Preface::Header(whole, Some(Box::new(Behind { client, reached, tls })))
        }
        _ => Preface::Broken,
    }
}

/// What stands behind the addresses of how the client came. What cannot be read says nothing.
fn read_tls(more: &[u8]) -> Option<BehindTls> {
    let text = |bytes: &[u8]| {
        let is_plain = bytes.iter().all(u8::is_ascii_graphic);
        if is_plain { String::from_utf8_lossy(bytes).into_owned() } else { String::new() }
    };
    let (mut tls, mut server_name) = (None, String::new());
    for (kind, value) in parts(more) {
        match (kind, value) {
            (AUTHORITY, name) => server_name = text(name).to_ascii_lowercase(),
            (TLS, [client, verify @ ..]) if client & CLIENT_TLS != 0 && verify.len() >= 4 => {
                let (verified, inner) = verify.split_at(4);
                let inner = |wanted| parts(inner).find(|(kind, _)| *kind == wanted).map(|(_, value)| text(value));
                tls = Some(BehindTls {
                    version: inner(TLS_VERSION).unwrap_or_default(),
                    cipher: inner(TLS_CIPHER).unwrap_or_default(),
                    server_name: String::new(),
                    shows_certificate: client & CLIENT_CERTIFICATE != 0 && verified == [0; 4],
                });
            }
            _ => {}
        }
    }
    tls.map(|tls| BehindTls { server_name, ..tls })
}

/// Types and values, as long as they are whole.
fn parts(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [kind, high, low, tail @ ..] = rest else { return None };
        let (value, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        rest = tail;
        Some((*kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(client: &str, reached: &str) -> Option<Box<Behind>> {
        Some(Box::new(Behind { client: client.parse().unwrap(), reached: reached.parse().unwrap(), tls: None }))
    }

    #[test]
    fn lines_of_version_1() {
        let line = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\nGET /";
        assert_eq!(read_preface(line), Preface::Header(42, named("192.0.2.7:56324", "192.0.2.1:443")));
        for end in 1..42 {
            assert_eq!(read_preface(&line[..end]), Preface::Partial, "{end}");
        }
        assert_eq!(
            read_preface(b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n"),
            Preface::Header(32, named("[2001:db8::7]:1", "[::1]:2"))
        );
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
        assert_eq!(read_preface(&ipv4), Preface::Header(28, named("192.0.2.7:4660", "192.0.2.1:443")));
        assert_eq!(read_preface(&ipv4[..27]), Preface::Begun(28));
        assert_eq!(read_preface(&ipv4[..15]), Preface::Partial);
        assert_eq!(read_preface(&header(0, 0, &[])), Preface::Header(16, None), "a health check of its own");
        let mut ipv6 = vec![0; 36];
        (ipv6[15], ipv6[33]) = (1, 80);
        assert_eq!(read_preface(&header(1, 2, &ipv6)), Preface::Header(52, named("[::1]:80", "[::]:0")));
        assert_eq!(read_preface(&header(1, 1, &[1, 2, 3])), Preface::Broken);
        let more = header(1, 1, &[192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x34, 1, 187, 4, 0, 1, 0]);
        assert_eq!(
            read_preface(&more),
            Preface::Header(32, named("192.0.2.7:4660", "192.0.2.1:443")),
            "with more to say"
        );
        assert_eq!(read_preface(&[BINARY, &[0x11, 0x11, 0, 0]].concat()), Preface::Broken);
        assert_eq!(read_preface(&[BINARY, &[0x21, 0x11, 0xff, 0xff]].concat()), Preface::Begun(16 + 0xffff));
    }

    #[test]
    fn what_version_2_says_of_tls() {
        let part = |kind: u8, value: &[u8]| [&[kind, (value.len() >> 8) as u8, value.len() as u8][..], value].concat();
        let tls = |client: u8, verify: u8| {
            let inner =
                [part(0x21, b"TLSv1.3"), part(0x22, b"a client"), part(0x23, b"TLS_AES_128_GCM_SHA256")].concat();
            part(0x20, &[&[client, 0, 0, 0, verify][..], &inner].concat())
        };
        let read = |more: Vec<u8>| {
            let body = [&[192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x34, 1, 187][..], &more].concat();
            let length = (body.len() as u16).to_be_bytes();
            let raw = [BINARY, &[0x21, 0x11], &length, &body, b"GET /"].concat();
            match read_preface(&raw) {
                Preface::Header(bytes, Some(behind)) if bytes == raw.len() - 5 => behind.tls,
                other => panic!("{other:?}"),
            }
        };
        let plain =
            BehindTls { version: "TLSv1.3".into(), cipher: "TLS_AES_128_GCM_SHA256".into(), ..BehindTls::default() };
        assert_eq!(read(tls(1, 1)), Some(plain.clone()));
        let named = [part(2, b"Shop.example"), part(4, &[0; 4_096]), tls(1 | 2, 0)].concat();
        let shown = BehindTls { server_name: "shop.example".into(), shows_certificate: true, ..plain.clone() };
        assert_eq!(read(named), Some(shown), "behind 4 KiB of something else");
        assert_eq!(read(tls(1 | 4, 1)), Some(plain), "a certificate that was not verified");
        assert_eq!(read(tls(0, 0)), None, "the client did not come by TLS");
        for more in [vec![], part(0x20, &[1]), vec![0x20, 0xff, 0xff, 1], part(2, b"shop.example"), vec![0x20]] {
            assert_eq!(read(more.clone()), None, "{more:?}");
        }
    }
}
