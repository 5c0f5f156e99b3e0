//! In:     what an engine read of one request head, whatever its protocol.
//! Out:    the neutral head that every later stop reads: method, target, host, fields, framing.
//! Actors: none.
//! Never:  does a stop after the engine see which protocol the request came by.

use crate::fields::{Fields, Name, list_members};

/// The HTTP version of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0 (RFC 1945).
    Http10,
    /// HTTP/1.1 (RFC 9112).
    #[default]
    Http11,
    /// HTTP/2 (RFC 9113).
    Http2,
}

impl Version {
    /// The text of the version, as in a request line and in WSGI's `SERVER_PROTOCOL`.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2.0",
        }
    }
}

/// How the end of a body is known (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// This many bytes.
    Length(u64),
    /// The chunked coding says where it ends.
    Chunked,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    at: u32,
    len: u32,
}

/// One request head. It owns its bytes, so that the read buffer is free for the body, and keeps
/// its memory from request to request.
#[derive(Clone, Debug, Default)]
pub struct Head {
    text: Vec<u8>,
    method: Span,
    raw_target: Span,
    path: Span,
    query: Span,
    host: Span,
    /// The version of the request.
    pub version: Version,
    /// The header lines in the order of the wire.
    pub fields: Fields,
    /// How the end of the body is known.
    pub framing: Framing,
    /// Whether the client keeps the connection for another request.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

impl Head {
    /// Forgets the last request and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        *self =
            Head { text: std::mem::take(&mut self.text), fields: std::mem::take(&mut self.fields), ..Head::default() };
    }

    /// The method, case kept (methods are case-sensitive: RFC 9110, 9.1).
    pub fn method(&self) -> &[u8] {
        self.slice(self.method)
    }

    /// The target as the client wrote it, for logs only.
    pub fn raw_target(&self) -> &[u8] {
        self.slice(self.raw_target)
    }

    /// The normalised path: what is matched and what is forwarded. `*` for `OPTIONS *`.
    pub fn path(&self) -> &[u8] {
        self.slice(self.path)
    }

    /// The query without its `?`; empty when there is none.
    pub fn query(&self) -> &[u8] {
        self.slice(self.query)
    }

    /// The authority the request is for: `Host`, or that of an absolute-form target.
    pub fn host(&self) -> &[u8] {
        self.slice(self.host)
    }

    /// Whether the answer has no body by its method.
    pub fn is_head(&self) -> bool {
        self.method() == b"HEAD"
    }

    /// Whether the request may be sent twice (RFC 9110, 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        matches!(self.method(), b"GET" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS")
    }

    /// Whether the client takes fields behind the body (RFC 9110, 6.5.1).
    pub fn takes_trailers(&self) -> bool {
        self.version == Version::Http2 || self.lists(Name::Te, b"trailers")
    }

    /// Whether the client offers the connection for another protocol (RFC 9110, 7.8).
    pub fn wants_upgrade(&self) -> bool {
        self.version == Version::Http11
            && self.framing == Framing::None
            && self.offers_another_protocol()
            && self.lists(Name::Connection, b"upgrade")
    }

    /// Whether something is offered that is no HTTP: by another version of it, requests would get past whoever looks at
    /// them here.
    fn offers_another_protocol(&self) -> bool {
        let mut lines = self.fields.iter().filter(|field| field.name == Name::Upgrade).peekable();
        let is_http = |offer: &[u8]| {
            let name = offer.split(|byte| *byte == b'/').next().unwrap_or_default();
            [&b"http"[..], b"h2", b"h2c", b"h3", b"tls"].iter().any(|one| one.eq_ignore_ascii_case(name))
        };
        lines.peek().is_some() && lines.all(|field| !list_members(field.value).any(is_http))
    }

    fn lists(&self, name: Name, member: &[u8]) -> bool {
        let mut lines = self.fields.iter().filter(|field| field.name == name);
        lines.any(|field| list_members(field.value).any(|one| one.eq_ignore_ascii_case(member)))
    }

    /// Bytes of all that it holds.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.fields.bytes()
    }

    /// Sets the method.
    pub fn set_method(&mut self, method: &[u8]) {
        self.method = self.keep(method);
    }

    /// Sets the target as it was written.
    pub fn set_raw_target(&mut self, target: &[u8]) {
        self.raw_target = self.keep(target);
    }

    /// Sets the normalised path.
    pub fn set_path(&mut self, path: &[u8]) {
        self.path = self.keep(path);
    }

    /// Sets the query.
    pub fn set_query(&mut self, query: &[u8]) {
        self.query = self.keep(query);
    }

    /// Sets the authority.
    pub fn set_host(&mut self, host: &[u8]) {
        self.host = self.keep(host);
    }

    fn keep(&mut self, part: &[u8]) -> Span {
        let at = self.text.len();
        self.text.extend_from_slice(part);
        // Heads are limited to far below 4 GiB before they get here.
        Span { at: at as u32, len: part.len() as u32 }
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.text[span.at as usize..(span.at + span.len) as usize]
    }
}
