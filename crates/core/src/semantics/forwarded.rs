//! In:     a request's fields, and what the edge itself knows of its client.
//! Out:    the lines that go to an application.
//! Actors: none.
//! Never:  does a client's own word about who or where it is reach an application.

use crate::decimal::digits;
use crate::fields::{Field, Name, list_members};
use crate::head::Head;
use crate::lane::Addresses;

/// What the edge says of a request in fields that no client may write.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedFacts<'a> {
    /// Both ends of the connection.
    pub addresses: Addresses<'a>,
    /// The host that the client asked.
    pub host: &'a [u8],
    /// The request's own id.
    pub request_id: &'a str,
    /// When it arrived, in milliseconds since 1970.
    pub unix_ms: u64,
}

/// Gives every line for an application to `put`: the client's without those that end here, then
/// `X-Forwarded-*`, `X-Request-Id` and `X-Request-Start` written fresh.
pub fn put_forwarded(head: &Head, facts: &ForwardedFacts<'_>, mut put: impl FnMut(&[u8], &[u8])) {
    let options = head.fields.iter().filter(|field| field.name == Name::Connection);
    let names_fields = options.clone().any(|field| list_members(field.value).any(|option| !is_plain_option(option)));
    for field in head.fields.iter() {
        let named = names_fields && options.clone().any(|line| names(line.value, field.raw_name));
        if field.name == Name::Host {
            // An absolute target counts before it (RFC 9112, 3.2.2).
            put(field.raw_name, head.host());
        } else if !ends_here(&field) && !named {
            put(field.raw_name, field.value);
        }
    }
    let Addresses { peer_ip, local_port, https, .. } = facts.addresses;
    if !peer_ip.is_empty() {
        put(b"X-Forwarded-For", peer_ip.as_bytes());
    }
    put(b"X-Forwarded-Proto", if https { b"https" } else { b"http" });
    put(b"X-Forwarded-Host", facts.host);
    if local_port != 0 {
        put(b"X-Forwarded-Port", digits(u64::from(local_port), &mut [0; 20]));
    }
    put(b"X-Request-Id", facts.request_id.as_bytes());
    let mut start = *b"t=                    ";
    let mut room = [0; 20];
    let milliseconds = digits(facts.unix_ms, &mut room);
    start[2..2 + milliseconds.len()].copy_from_slice(milliseconds);
    put(b"X-Request-Start", &start[..2 + milliseconds.len()]);
}

/// Whether a field may stand behind the body of a message that goes on: none that says where the body ends, for whom the
/// message is, or what only the edge says (RFC 9110, 6.5.1).
pub fn may_trail(raw_name: &[u8]) -> bool {
    let name = Name::of(raw_name);
    name != Name::Host && !ends_here(&Field { name, raw_name, value: b"" })
}

/// The same of an answer: what says how it is framed, or is of its connection, is only for its head.
pub fn may_trail_answer(raw_name: &[u8]) -> bool {
    !matches!(
        Name::of(raw_name),
        Name::Connection
            | Name::ContentLength
            | Name::Host
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::Te
            | Name::Trailer
            | Name::TransferEncoding
            | Name::Upgrade
    )
}

/// Fields of this connection only (RFC 9110, 7.6.1), fields that only the edge writes, and names
/// with `_`, which WSGI and CGI cannot tell from those with `-`.
fn ends_here(field: &Field<'_>) -> bool {
    match field.name {
        Name::Other => memchr::memchr(b'_', field.raw_name).is_some() || is_told(field.raw_name),
        Name::Connection
        | Name::Expect
        | Name::Forwarded
        | Name::KeepAlive
        | Name::Proxy
        | Name::ProxyConnection
        | Name::Te
        | Name::Trailer
        | Name::TransferEncoding
        | Name::ContentLength
        | Name::Upgrade
        | Name::XForwardedFor
        | Name::XForwardedHost
        | Name::XForwardedPort
        | Name::XForwardedProto
        | Name::XRequestId
        | Name::XRequestStart => true,
        _ => false,
    }
}

/// Names by which proxies tell who and where a client is, and what it asked for: what stands there is not a client's to
/// say. `HTTP2-Settings` is of its connection (RFC 7540, 3.2.1).
fn is_told(name: &[u8]) -> bool {
    const TOLD: [&[u8]; 8] = [
        b"x-real-ip",
        b"x-client-ip",
        b"client-ip",
        b"true-client-ip",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-accel-internal",
        b"http2-settings",
    ];
    let starts = |start: &[u8]| name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    match name.first() {
        Some(b'x' | b'X') if starts(b"x-forwarded-") => true,
        Some(b'x' | b'X' | b'c' | b'C' | b't' | b'T' | b'h' | b'H') => {
            TOLD.iter().any(|told| name.eq_ignore_ascii_case(told))
        }
        _ => false,
    }
}

fn is_plain_option(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive")
}

fn names(connection: &[u8], raw_name: &[u8]) -> bool {
    // Host and Content-* are never this connection's own; a client that names them means harm.
    let protected = matches!(Name::of(raw_name), Name::Host | Name::ContentType);
    !protected && list_members(connection).any(|option| option.eq_ignore_ascii_case(raw_name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;

    #[test]
    fn a_forger_does_not_succeed() {
        let raw = b"GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\
            Forwarded: for=6.6.6.6\r\nX-Request-Id: mine\r\nProxy: evil\r\nCookie: a=1\r\nX-Drop: 1\r\n\
            Connection: x-drop, host\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Prefix: /evil\r\nTE: trailers\r\n\r\n";
        let mut head = Head::default();
        parse_head(raw, 99, &mut head).unwrap();
        let addresses = Addresses { peer_ip: "10.1.2.3", peer_port: 9, local_name: "l", local_port: 80, https: true };
        let facts = ForwardedFacts { addresses, host: b"shop", request_id: "fresh", unix_ms: 1_795_228_800_123 };
        let mut seen = Vec::new();
        put_forwarded(&head, &facts, |name, value| {
            seen.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        });
        let expected = [
            "Host: shop",
            "Cookie: a=1",
            "X-Forwarded-For: 10.1.2.3",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: shop",
            "X-Forwarded-Port: 80",
            "X-Request-Id: fresh",
            "X-Request-Start: t=1795228800123",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_counts_in_a_head_does_not_trail() {
        for name in
            ["Host", "Content-Length", "transfer-encoding", "TE", "X-Forwarded-For", "x-real-ip", "Proxy", "X_Y"]
        {
            assert!(!may_trail(name.as_bytes()), "{name}");
        }
        assert!(may_trail(b"X-Sum") && may_trail(b"Server-Timing"));
        assert!(!may_trail_answer(b"Content-Length") && !may_trail_answer(b"Connection"));
        // Names of gRPC may have it (its specification, "Custom-Metadata").
        assert!(may_trail_answer(b"grpc-status") && may_trail_answer(b"x_y"));
    }
}
