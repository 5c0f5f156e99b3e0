//! In:     a request's fields, who sent it, whose word is believed.
//! Out:    the client behind trusted proxies: its address, its scheme, the host and port that it asked.
//! Actors: none.
//! Never:  is a word believed that did not come from a trusted proxy, or that it only passed on.

use crate::authority::is_authority;
use crate::fields::{Name, list_members};
use crate::head::Head;
use crate::plan::Trust;
use crate::semantics::Speaker;
use std::net::{IpAddr, SocketAddr};

/// What trusted proxies say of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Relayed<'h> {
    /// The client: the last address before those that are trusted.
    pub client: Option<IpAddr>,
    /// Whether it came encrypted; nothing where they do not say.
    pub https: Option<bool>,
    /// The host that it asked.
    pub host: Option<&'h [u8]>,
    /// The port that it asked.
    pub port: Option<u16>,
    /// The id that the request has had before.
    pub request_id: Option<&'h str>,
    /// How far the proxy is believed.
    pub speaker: Speaker,
}

/// Longest id of a request that is taken over.
const ID_BYTES_MAX: usize = 128;

/// What the proxy that sent this request says of it; nothing where the peer is none that is trusted.
pub fn relayed<'h>(head: &'h Head, peer: Option<IpAddr>, trust: &Trust) -> Option<Relayed<'h>> {
    if !trust.believes(peer) {
        return None;
    }
    let last = |name: Name| {
        let lines = head.fields.iter().filter(move |field| field.name == name);
        lines.last().and_then(|line| list_members(line.value).next_back())
    };
    let speaker = if trust.client_header.is_some() { Speaker::Relay } else { Speaker::Proxy };
    // The scheme is written by all of those, too: a client cannot know what it is between others.
    let is_own = |name: &str| speaker == Speaker::Proxy || trust.names(name.as_bytes());
    let forwarded = last(Name::Forwarded).filter(|_| is_own("forwarded"));
    let https = last(Name::XForwardedProto).or_else(|| forwarded.and_then(|element| parameter(element, b"proto")));
    let host = last(Name::XForwardedHost).filter(|_| is_own("x-forwarded-host"));
    let host = host.or_else(|| forwarded.and_then(|element| parameter(element, b"host")));
    let port = last(Name::XForwardedPort).filter(|_| is_own("x-forwarded-port"));
    let port = port.and_then(|port| std::str::from_utf8(port).ok()?.parse().ok());
    Some(Relayed {
        request_id: request_id(head).filter(|_| is_own("x-request-id")),
        speaker,
        client: by_header(head, trust).or_else(|| by_chain(head, peer, (trust, is_own("forwarded")))),
        // For WebSockets some write the scheme of these (as Traefik does).
        https: https.map(|scheme| [&b"https"[..], b"wss"].iter().any(|one| one.eq_ignore_ascii_case(scheme))),
        host: host.filter(|host| !host.is_empty() && is_authority(host)),
        port: port.filter(|port| *port != 0),
    })
}

/// The one id of a request that it came with, where it is plain enough to stand in logs, pages and other headers.
fn request_id(head: &Head) -> Option<&str> {
    let mut lines = head.fields.iter().filter(|field| field.name == Name::XRequestId);
    let (line, more) = (lines.next()?, lines.next());
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=:;@#".contains(byte);
    let is_id = more.is_none() && (1..=ID_BYTES_MAX).contains(&line.value.len()) && line.value.iter().all(is_plain);
    std::str::from_utf8(line.value).ok().filter(|_| is_id)
}

/// The header in which a CDN names the client, where the operator has said which.
fn by_header(head: &Head, trust: &Trust) -> Option<IpAddr> {
    let name = trust.client_header.as_ref()?;
    let mut lines = head.fields.iter().filter(|field| field.raw_name.eq_ignore_ascii_case(name.as_bytes()));
    let (line, more) = (lines.next()?, lines.next());
    if more.is_some() { None } else { address(line.value) }
}

/// From the right, each address was written by the one before it: as long as that one is trusted, it is
/// believed. `Forwarded` counts where nobody wrote the other one, and where it is the proxy's own.
fn by_chain(head: &Head, peer: Option<IpAddr>, (trust, by_forwarded): (&Trust, bool)) -> Option<IpAddr> {
    let by_forwarded = by_forwarded && !head.fields.has(Name::XForwardedFor);
    let name = if by_forwarded { Name::Forwarded } else { Name::XForwardedFor };
    let lines: Vec<&[u8]> = head.fields.iter().filter(|field| field.name == name).map(|field| field.value).collect();
    let mut client = peer;
    for member in lines.iter().rev().flat_map(|line| list_members(line).rev()) {
        let named = if name == Name::Forwarded { parameter(member, b"for") } else { Some(member) };
        // What is no address ("unknown", a name of its own) says nothing, and neither does what is before it.
        let Some(found) = named.and_then(address) else { break };
        client = Some(found);
        if !trust.believes(client) {
            break;
        }
    }
    client
}

/// A parameter of an element of `Forwarded` (RFC 7239, 4), without its quotes.
fn parameter<'a>(element: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    element.split(|byte| *byte == b';').find_map(|pair| {
        let at = memchr::memchr(b'=', pair)?;
        let (key, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        key.eq_ignore_ascii_case(name).then_some(unquoted)
    })
}

/// An address, perhaps with its port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let found: Option<IpAddr> = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    found.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;

    fn seen(lines: &str, peer: &str, header: Option<&str>) -> Option<String> {
        let mut head = Head::default();
        parse_head(format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes(), 99, &mut head).unwrap();
        let networks = vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let trust = Trust { networks, unix: true, client_header: header.map(str::to_owned), headers: Vec::new() };
        let relayed = relayed(&head, peer.parse().ok(), &trust)?;
        let scheme = match relayed.https {
            Some(true) => "https",
            Some(false) => "http",
            None => "-",
        };
        let host = String::from_utf8_lossy(relayed.host.unwrap_or(b"-")).into_owned();
        let client = relayed.client.map_or("-".into(), |client| client.to_string());
        Some(format!("{client} {scheme} {host} {}", relayed.port.unwrap_or(0)))
    }

    #[test]
    fn the_client_behind_any_number_of_trusted_proxies() {
        for (lines, peer, expected) in [
            ("", "10.0.0.1", "10.0.0.1 - - 0"),
            ("X-Forwarded-For: 192.0.2.7\r\n", "10.0.0.1", "192.0.2.7 - - 0"),
            ("X-Forwarded-For: 192.0.2.7, 10.9.9.9\r\n", "10.0.0.1", "192.0.2.7 - - 0"),
            ("X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n", "10.0.0.1", "192.0.2.7 - - 0"),
            ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.7\r\n", "10.0.0.1", "192.0.2.7 - - 0"),
            ("X-Forwarded-For: 10.1.1.1, 10.2.2.2\r\n", "10.0.0.1", "10.1.1.1 - - 0"),
            ("X-Forwarded-For: 6.6.6.6, unknown, 10.2.2.2\r\n", "10.0.0.1", "10.2.2.2 - - 0"),
            ("X-Forwarded-For: [2001:db9::1]:80\r\n", "2001:db8::5", "2001:db9::1 - - 0"),
            ("X-Forwarded-For: 192.0.2.7:4711\r\n", "", "192.0.2.7 - - 0"),
            (
                "Forwarded: for=6.6.6.6, For=\"[2001:db9::2]:9\";proto=https;host=shop.example\r\n",
                "10.0.0.1",
                "2001:db9::2 https shop.example 0",
            ),
            (
                "X-Forwarded-Proto: http, https\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Port: 8443\r\n",
                "10.0.0.1",
                "10.0.0.1 https a.example 8443",
            ),
            ("X-Forwarded-Proto: WSS\r\n", "10.0.0.1", "10.0.0.1 https - 0"),
            ("X-Forwarded-Proto: ws\r\n", "10.0.0.1", "10.0.0.1 http - 0"),
            ("Forwarded: for=192.0.2.7;proto=wss\r\n", "10.0.0.1", "192.0.2.7 https - 0"),
            ("X-Forwarded-Host: a b\r\nX-Forwarded-Port: 99999\r\n", "10.0.0.1", "10.0.0.1 - - 0"),
        ] {
            assert_eq!(seen(lines, peer, None).as_deref(), Some(expected), "{lines:?} from {peer}");
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        let lines = "X-Forwarded-For: 6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n";
        assert_eq!(seen(lines, "192.0.2.1", Some("CF-Connecting-IP")), None);
    }

    #[test]
    fn a_header_of_the_cdn_comes_first() {
        let lines = "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nCF-Connecting-IP: 192.0.2.9\r\n";
        assert_eq!(seen(lines, "10.0.0.1", Some("cf-connecting-ip")).unwrap(), "192.0.2.9 - - 0");
        let twice = "CF-Connecting-IP: 6.6.6.6\r\nCF-Connecting-IP: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.7\r\n";
        assert_eq!(seen(twice, "10.0.0.1", Some("cf-connecting-ip")).unwrap(), "192.0.2.7 - - 0");
    }

    #[test]
    fn what_a_cdn_passes_on_is_not_its_own_word() {
        let said = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 99\r\nForwarded: for=6.6.6.6;host=evil.example\r\n";
        let cdn = Some("cf-connecting-ip");
        let named = format!("CF-Connecting-IP: 192.0.2.7\r\n{said}");
        assert_eq!(seen(&named, "10.0.0.1", cdn).unwrap(), "192.0.2.7 https - 0");
        assert_eq!(seen(said, "10.0.0.1", cdn).unwrap(), "10.0.0.1 https - 0", "it did not name anybody");
        assert_eq!(
            seen("Forwarded: for=6.6.6.6;host=evil.example;proto=https\r\n", "10.0.0.1", cdn).unwrap(),
            "10.0.0.1 - - 0"
        );
        assert_eq!(seen(said, "10.0.0.1", None).unwrap(), "6.6.6.6 https evil.example 99");
        let mut head = Head::default();
        parse_head(format!("GET / HTTP/1.1\r\nHost: h\r\n{said}\r\n").as_bytes(), 99, &mut head).unwrap();
        let headers = ["X-Forwarded-Host", "Forwarded", "X-Forwarded-Port"].map(str::to_owned).to_vec();
        let networks = vec!["10.0.0.0/8".parse().unwrap()];
        let trust = Trust { networks, client_header: cdn.map(str::to_owned), headers, ..Trust::default() };
        let own = relayed(&head, "10.0.0.1".parse().ok(), &trust).unwrap();
        assert_eq!((own.client, own.host, own.port), ("6.6.6.6".parse().ok(), Some(&b"evil.example"[..]), Some(99)));
    }

    #[test]
    fn an_id_is_taken_over_where_it_is_plain_and_the_proxys() {
        let long = "a".repeat(128);
        for (lines, header, expected) in [
            ("X-Request-Id: 7f2c-A.b_9\r\n", None, Some("7f2c-A.b_9")),
            (
                "x-request-id: Root=1-67891233-abcdef012345678912345678\r\n",
                None,
                Some("Root=1-67891233-abcdef012345678912345678"),
            ),
            (&*format!("X-Request-Id: {long}\r\n"), None, Some(&*long)),
            (&*format!("X-Request-Id: {long}a\r\n"), None, None),
            ("X-Request-Id: a, b\r\n", None, None),
            ("X-Request-Id: \"a\"\r\n", None, None),
            ("X-Request-Id: <b>\r\n", None, None),
            ("X-Request-Id:\r\n", None, None),
            ("X-Request-Id: a\r\nX-Request-Id: b\r\n", None, None),
            ("X-Request-Id: strangers\r\n", Some("CF-Connecting-IP"), None),
        ] {
            let mut head = Head::default();
            parse_head(format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes(), 99, &mut head).unwrap();
            let networks = vec!["10.0.0.0/8".parse().unwrap()];
            let mut trust = Trust { networks, client_header: header.map(str::to_owned), ..Trust::default() };
            let id =
                |trust: &Trust| relayed(&head, "10.0.0.1".parse().ok(), trust).unwrap().request_id.map(str::to_owned);
            assert_eq!(id(&trust).as_deref(), expected, "{lines:?}");
            if header.is_some() {
                trust.headers.push("X-Request-Id".into());
                assert_eq!(id(&trust).as_deref(), Some("strangers"));
            }
        }
    }
}
