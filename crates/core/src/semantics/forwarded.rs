//! In:     a request's fields, who sent it, and what the edge itself knows of its client.
//! Out:    the lines that go to an application or a server.
//! Actors: none.
//! Never:  does a client's own word about who or where it is reach an application.

use super::trace::{Said, Trace};
use crate::decimal::digits;
use crate::fields::{Field, Name, list_members};
use crate::head::Head;
use crate::plan::{RequestLines, Trust};
use crate::record::TlsFacts;
use crate::semantics::ClientCertificate;

/// Who sent a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Speaker {
    /// Anybody: says nothing about who and where a client is.
    #[default]
    Stranger,
    /// A proxy that is trusted: all that it says is its own word, or one that it answers for.
    Proxy,
    /// A proxy that is trusted to name the client in a header of its own, and passes on what strangers say in others.
    Relay,
}

/// Whose word the lines of a request are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Belief<'a> {
    /// Who sent it.
    pub speaker: Speaker,
    /// Who is trusted with what; nobody where this is absent.
    pub trust: Option<&'a Trust>,
}

impl Belief<'_> {
    /// Whether a proxy's word under this name is its own.
    fn holds(&self, name: &[u8]) -> bool {
        match self.speaker {
            Speaker::Stranger => false,
            Speaker::Proxy => true,
            Speaker::Relay => self.trust.is_some_and(|trust| trust.names(name)),
        }
    }

    /// Whether a line of this name goes on, which hallway does not act on itself.
    pub fn passes(&self, name: &[u8]) -> bool {
        if memchr::memchr(b'_', name).is_some() {
            return false;
        }
        let is_named = self.trust.is_some_and(|trust| trust.names(name));
        match self.speaker {
            Speaker::Stranger => !is_named && !is_told(name),
            Speaker::Relay => is_named || !is_told(name),
            Speaker::Proxy => !is_told(name) || is_passed_on(name),
        }
    }
}

/// Both ends of the client's connection, as text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Addresses<'a> {
    /// The client's address; empty on a unix socket.
    pub peer_ip: &'a str,
    /// The client's port; 0 on a unix socket.
    pub peer_port: u16,
    /// The address it reached: what WSGI calls `SERVER_NAME`.
    pub local_name: &'a str,
    /// The port it reached; what WSGI calls `SERVER_PORT`.
    pub local_port: u16,
    /// Whether the connection is encrypted.
    pub https: bool,
}

/// What the edge says of a request in fields that no client may write.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForwardedFacts<'a> {
    /// Both ends of the connection.
    pub addresses: Addresses<'a>,
    /// The host that the client asked.
    pub host: &'a [u8],
    /// The request's own id.
    pub request_id: &'a str,
    /// When it arrived, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Whose word its lines are.
    pub belief: Belief<'a>,
    /// The trace that begins with it, where it belongs to none.
    pub trace: Trace<'a>,
    /// Who asks, where a password said so, or who was asked for it.
    pub user: Option<&'a str>,
    /// Whether it was a password.
    pub user_by_password: bool,
    /// The certificate that the client showed.
    pub certificate: Option<&'a ClientCertificate>,
    /// Whether clients are asked for one.
    pub asks_certificate: bool,
    /// The header in which servers of pools are told of it.
    pub certificate_header: Option<&'a str>,
    /// What was agreed on, where the connection is encrypted.
    pub tls: Option<TlsFacts<'a>>,
    /// What the route says instead of the client.
    pub lines: Option<&'a RequestLines>,
}

impl ForwardedFacts<'_> {
    /// Gives what is known of the client to `put`, as variables of the common gateway interface (RFC 3875, 4.1).
    pub fn put_variables(&self, mut put: impl FnMut(&[u8], &[u8])) {
        if let Some(user) = self.user {
            put(b"REMOTE_USER", user.as_bytes());
            put(b"AUTH_TYPE", if self.user_by_password { b"Basic" } else { b"Forward" });
        }
        match self.certificate {
            Some(it) => it.variables.iter().for_each(|(name, value)| put(name.as_bytes(), value.as_bytes())),
            None if self.asks_certificate => put(b"SSL_CLIENT_VERIFY", b"NONE"),
            None => {}
        }
    }

    /// Whether a header says which certificate a client showed, which whoever shows none may not say.
    pub(super) fn is_of_certificate(&self, name: &[u8]) -> bool {
        let is_it = |header: &str| header.as_bytes().eq_ignore_ascii_case(name);
        self.certificate_header.is_some_and(is_it) && self.belief.speaker != Speaker::Proxy
    }

    /// The header, and what it says of the client's certificate, unless a trusted proxy has said it of its own client.
    pub fn told_certificate(&self, head: &Head) -> Option<(&str, &str)> {
        let (header, certificate) = (self.certificate_header?, self.certificate?);
        let is_said = self.belief.speaker == Speaker::Proxy && head.fields.named(header.as_bytes()).is_some();
        (!is_said).then_some((header, certificate.forwarded.as_str()))
    }

    /// Whether there are any such.
    pub fn has_variables(&self) -> bool {
        self.user.is_some() || self.asks_certificate || self.certificate.is_some()
    }

    /// What a trusted proxy has taken off the path before the request came here.
    pub fn outer_prefix<'h>(&self, head: &'h Head) -> &'h [u8] {
        if self.belief.speaker == Speaker::Stranger {
            return b"";
        }
        let is_believed = self.belief.passes(b"x-forwarded-prefix");
        let said = head.fields.named(b"x-forwarded-prefix").filter(|_| is_believed);
        let last = said.and_then(|said| list_members(said).next_back()).unwrap_or_default();
        let is_path = last.starts_with(b"/") && last.iter().all(u8::is_ascii_graphic);
        if is_path { last.strip_suffix(b"/").unwrap_or(last) } else { b"" }
    }
}

/// Gives every line for an application to `put`: the client's without those that end here, then
/// `X-Forwarded-*`, `X-Real-IP`, `X-Request-Id`, `X-Request-Start` and `traceparent` written fresh.
pub fn put_forwarded(head: &Head, facts: &ForwardedFacts<'_>, mut put: impl FnMut(&[u8], &[u8])) {
    let options = head.fields.iter().filter(|field| field.name == Name::Connection);
    let names_fields = options.clone().any(|field| list_members(field.value).any(|option| !is_plain_option(option)));
    let (mut said, mut says_start) = (Said::default(), false);
    for field in head.fields.iter() {
        let named = names_fields && options.clone().any(|line| names(line.value, field.raw_name));
        if field.name == Name::Host {
            // An absolute target counts before it (RFC 9112, 3.2.2).
            put(field.raw_name, head.host());
        } else if named || said.hear(&field) || facts.is_of_certificate(field.raw_name) {
        } else if !ends_here(&field, &facts.belief) {
            put(field.raw_name, field.value);
        } else if field.name == Name::XRequestStart && facts.belief.holds(b"x-request-start") && !says_start {
            // Where it waited before counts, too.
            put(field.raw_name, field.value);
            says_start = true;
        } else if field.name == Name::Forwarded
            && facts.belief.holds(b"forwarded")
            && !head.fields.has(Name::XForwardedFor)
        {
            // Whoever writes the other one may have passed this one on.
            put(field.raw_name, field.value);
        }
    }
    put_trace(head, facts, said.valid(), &mut put);
    put_facts(facts, says_start, put);
}

/// What the edge itself knows.
fn put_facts(facts: &ForwardedFacts<'_>, says_start: bool, mut put: impl FnMut(&[u8], &[u8])) {
    let Addresses { peer_ip, local_port, https, .. } = facts.addresses;
    if !peer_ip.is_empty() {
        put(b"X-Forwarded-For", peer_ip.as_bytes());
        put(b"X-Real-IP", peer_ip.as_bytes());
    }
    put(b"X-Forwarded-Proto", if https { b"https" } else { b"http" });
    put(b"X-Forwarded-Host", facts.host);
    if local_port != 0 {
        put(b"X-Forwarded-Port", digits(u64::from(local_port), &mut [0; 20]));
    }
    put(b"X-Request-Id", facts.request_id.as_bytes());
    if !says_start {
        let mut start = *b"t=                    ";
        let mut room = [0; 20];
        let milliseconds = digits(facts.unix_ms, &mut room);
        start[2..2 + milliseconds.len()].copy_from_slice(milliseconds);
        put(b"X-Request-Start", &start[..2 + milliseconds.len()]);
    }
}

/// The trace that the request belongs to, and what others keep of it; else one that begins here.
fn put_trace(head: &Head, facts: &ForwardedFacts<'_>, valid: Option<&[u8]>, mut put: impl FnMut(&[u8], &[u8])) {
    let Some(parent) = valid else { return put(b"traceparent", &facts.trace.parent()) };
    put(b"traceparent", parent);
    for line in head.fields.iter().filter(|field| field.name == Name::TraceState) {
        put(b"tracestate", line.value);
    }
}

/// Whether a field may stand behind the body of a request that goes on: none that says where the body ends, for whom the
/// request is, or what only the edge, its operator or a trusted proxy says (RFC 9110, 6.5.1). Nobody is believed there:
/// proxies that see to the head may not look behind the body.
pub fn may_trail(raw_name: &[u8], facts: &ForwardedFacts<'_>) -> bool {
    let name = Name::of(raw_name);
    let field = Field { name, raw_name, value: b"" };
    let belief = Belief { speaker: Speaker::Stranger, trust: facts.belief.trust };
    let is_told = facts.certificate_header.is_some_and(|header| header.as_bytes().eq_ignore_ascii_case(raw_name))
        || facts.lines.is_some_and(|lines| lines.replaces(raw_name));
    name != Name::Host && !is_told && !ends_here(&field, &belief) && !Said::default().hear(&field)
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
fn ends_here(field: &Field<'_>, belief: &Belief<'_>) -> bool {
    match field.name {
        Name::Other => !belief.passes(field.raw_name),
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

/// Of those, what goes on from a proxy that is believed: all but what the edge writes itself, or would act on.
fn is_passed_on(name: &[u8]) -> bool {
    const KEPT: [&[u8]; 3] = [b"x-real-ip", b"x-accel-internal", b"http2-settings"];
    !KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept))
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

    /// What goes on of these lines, sent by such a peer; one that is trusted by a name of its own is a relay.
    fn lines(speaker: Speaker, sent: &str) -> Vec<String> {
        let mut head = Head::default();
        let raw = format!("GET / HTTP/1.1\r\nHost: shop\r\n{sent}\r\n");
        parse_head(raw.as_bytes(), 99, &mut head).unwrap();
        let addresses = Addresses { peer_ip: "10.1.2.3", peer_port: 9, local_name: "l", local_port: 80, https: true };
        let trust = Trust { headers: vec!["X-Forwarded-Email".into(), "Remote-User".into()], ..Trust::default() };
        let facts = ForwardedFacts {
            addresses,
            host: b"shop",
            request_id: "fresh",
            unix_ms: 1_795_228_800_123,
            belief: Belief { speaker, trust: Some(&trust) },
            ..ForwardedFacts::default()
        };
        let mut seen = Vec::new();
        put_forwarded(&head, &facts, |name, value| {
            seen.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        });
        seen
    }

    const FRESH: [&str; 8] = [
        "traceparent: 00-000000000000000000000000000000ff-ff00000000000000-01",
        "X-Forwarded-For: 10.1.2.3",
        "X-Real-IP: 10.1.2.3",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: shop",
        "X-Forwarded-Port: 80",
        "X-Request-Id: fresh",
        "X-Request-Start: t=1795228800123",
    ];

    #[test]
    fn a_forger_does_not_succeed() {
        let raw = "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-User: root\r\nX-Client-IP: 6\r\n\
            Forwarded: for=6.6.6.6\r\nX-Request-Id: mine\r\nProxy: evil\r\nCookie: a=1\r\nX-Drop: 1\r\n\
            x-forwarded-client-cert: Hash=1\r\nX-Request-Start: t=1\r\nRemote-User: root\r\ntracestate: a=1\r\n\
            Connection: x-drop, host\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Prefix: /evil\r\nTE: trailers\r\n";
        let expected = [&["Host: shop", "Cookie: a=1"], &FRESH[..]].concat();
        assert_eq!(lines(Speaker::Stranger, raw), expected);
    }

    #[test]
    fn what_a_trusted_proxy_says_passes_whole() {
        let passed = [
            "X-Forwarded-User: alice",
            "x-forwarded-groups: a, b",
            "X-Forwarded-Client-Cert: Hash=1;Subject=\"CN=a\"",
            "X-Forwarded-Prefix: /shop",
            "X-Original-URL: /x",
            "Remote-User: alice",
        ];
        let kept = "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_User: 1\r\nProxy: evil\r\nTE: trailers\r\n\
            Forwarded: for=6.6.6.6\r\nX-Accel-Internal: 1\r\n";
        let sent = format!("{}\r\n{kept}", passed.join("\r\n"));
        let expected = [&["Host: shop"], &passed[..], &FRESH[..]].concat();
        assert_eq!(lines(Speaker::Proxy, &sent), expected);
        // Since when it waits, and the other form of saying who the client is.
        let own = lines(Speaker::Proxy, "X-Request-Start: t=1\r\nForwarded: for=192.0.2.7\r\n");
        assert_eq!(own[..3], ["Host: shop", "X-Request-Start: t=1", "Forwarded: for=192.0.2.7"]);
        assert!(!own.contains(&FRESH[7].to_owned()), "{own:?}");
    }

    #[test]
    fn who_passes_on_what_strangers_say_is_believed_as_far_as_was_written() {
        let sent = "X-Forwarded-User: root\r\nX-Forwarded-Email: a@b\r\nRemote-User: a\r\nX-Request-Start: t=1\r\n\
            Forwarded: for=6.6.6.6\r\nX-Forwarded-Prefix: /evil\r\n";
        let expected = [&["Host: shop", "X-Forwarded-Email: a@b", "Remote-User: a"], &FRESH[..]].concat();
        assert_eq!(lines(Speaker::Relay, sent), expected);
    }

    #[test]
    fn a_trace_goes_on_or_begins() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let seen =
            lines(Speaker::Stranger, &format!("Tracestate: a=1\r\nTraceParent: {parent}\r\ntracestate: b=2\r\n"));
        let expected = ["Host: shop".to_owned(), format!("traceparent: {parent}")];
        assert_eq!(seen[..2], expected);
        assert_eq!(seen[2..4], ["tracestate: a=1", "tracestate: b=2"]);
        for broken in [
            format!("traceparent: {parent}\r\ntraceparent: {parent}\r\ntracestate: a=1\r\n"),
            format!("traceparent: {}\r\ntracestate: a=1\r\n", parent.to_uppercase()),
            "tracestate: a=1\r\n".into(),
        ] {
            assert_eq!(lines(Speaker::Proxy, &broken), [&["Host: shop"], &FRESH[..]].concat(), "{broken}");
        }
    }

    #[test]
    fn what_counts_in_a_head_does_not_trail() {
        for name in [
            "Host",
            "Content-Length",
            "transfer-encoding",
            "TE",
            "X-Forwarded-For",
            "x-real-ip",
            "Proxy",
            "X_Y",
            "traceparent",
        ] {
            assert!(!may_trail(name.as_bytes(), &ForwardedFacts::default()), "{name}");
        }
        let nothing = ForwardedFacts::default();
        for name in ["X-Sum", "Server-Timing", "Remote-User", "CF-Connecting-IP", "X-Cert", "X-Tenant"] {
            assert!(may_trail(name.as_bytes(), &nothing), "{name}");
        }
        let (headers, client_header) = (vec!["Remote-User".to_owned()], Some("CF-Connecting-IP".to_owned()));
        let trust = Trust { headers, client_header, ..Trust::default() };
        let lines = RequestLines { remove: vec!["X-Tenant".into()], ..RequestLines::default() };
        let facts = ForwardedFacts {
            belief: Belief { speaker: Speaker::Proxy, trust: Some(&trust) },
            certificate_header: Some("X-Cert"),
            lines: Some(&lines),
            ..nothing
        };
        for name in ["remote-user", "cf-connecting-ip", "x-cert", "x-tenant"] {
            assert!(!may_trail(name.as_bytes(), &facts), "{name}");
        }
        assert!(may_trail(b"x-sum", &facts));
        assert!(!may_trail_answer(b"Content-Length") && !may_trail_answer(b"Connection"));
        // Names of gRPC may have it (its specification, "Custom-Metadata").
        assert!(may_trail_answer(b"grpc-status") && may_trail_answer(b"x_y"));
    }
}
