//! In:     status, fields and body framing of an answer that was shaped.
//! Out:    the bytes of its head, written afresh.
//! Actors: none.
//! Never:  is a run of somebody's input copied as it is; every line is built from name and value.

use crate::decimal::digits;
use crate::fault::reason_phrase;
use crate::fields::{Fields, Name, list_members};
use crate::head::{Framing, Head};
use crate::plan::RequestLines;
use crate::route::origin_form;
use crate::semantics::{ForwardedFacts, put_request_lines};

/// How the body of an answer is delimited on the wire (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// The status has no body and no length (1xx, 204, 304).
    Absent,
    /// This many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// The end of the connection; for HTTP/1.0 clients and bodies of unknown length.
    UntilClose,
}

/// The status line and what hallway itself says about the connection.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLine<'a> {
    /// Three digits.
    pub status: u16,
    /// The application's own phrase; the standard one when empty.
    pub reason: &'a [u8],
    /// Whether this is the last answer on the connection.
    pub close: bool,
    /// Whether an HTTP/1.0 client asked to keep the connection and must be told that it is kept.
    pub say_keep_alive: bool,
}

/// Appends an answer's head to `out`.
pub fn put_answer_head(out: &mut Vec<u8>, line: AnswerLine<'_>, fields: &Fields, body: AnswerBody) {
    out.extend_from_slice(b"HTTP/1.1 ");
    put_decimal(out, u64::from(line.status));
    out.push(b' ');
    let reason = if line.reason.is_empty() { reason_phrase(line.status).as_bytes() } else { line.reason };
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
    for field in fields.iter() {
        out.extend_from_slice(field.raw_name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
    match body {
        AnswerBody::Length(bytes) => {
            out.extend_from_slice(b"Content-Length: ");
            put_decimal(out, bytes);
            out.extend_from_slice(b"\r\n");
        }
        AnswerBody::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        AnswerBody::Absent | AnswerBody::UntilClose => {}
    }
    if line.status == 101 {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
    } else if line.close {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if line.say_keep_alive {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of a request as it goes on to another server: for its path, and for one answer only. Fields of
/// the connection that it came by end here (RFC 9110, 7.6.1).
pub fn put_forwarded_head(out: &mut Vec<u8>, head: &Head) {
    out.extend_from_slice(head.method());
    out.push(b' ');
    out.extend_from_slice(head.path());
    if !head.query().is_empty() {
        out.push(b'?');
        out.extend_from_slice(head.query());
    }
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(head.host());
    out.extend_from_slice(b"\r\n");
    let named = |name: &[u8]| {
        let mut lines = head.fields.iter().filter(|field| field.name == Name::Connection);
        lines.any(|line| list_members(line.value).any(|option| option.eq_ignore_ascii_case(name)))
    };
    for field in head.fields.iter() {
        let ends_here = matches!(
            field.name,
            Name::Connection | Name::Host | Name::KeepAlive | Name::ProxyConnection | Name::Te | Name::Upgrade
        );
        let is_proxys = field.raw_name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"proxy-"));
        let frames = matches!(field.name, Name::ContentLength | Name::TransferEncoding);
        if !ends_here && !is_proxys && (frames || !named(field.raw_name)) {
            out.extend_from_slice(field.raw_name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n");
}

/// How a request goes on to a server of a pool.
#[derive(Clone, Copy, Debug)]
pub struct Onward<'a> {
    /// What the edge says of it.
    pub facts: &'a ForwardedFacts<'a>,
    /// Bytes that are taken off the path; the server is told which.
    pub prefix_bytes: usize,
    /// The host that is asked for, where it is not the client's.
    pub host: Option<&'a str>,
    /// What the pool says instead of the client.
    pub lines: &'a RequestLines,
    /// How its body is delimited.
    pub framing: Framing,
    /// Whether the connection may change to what the client wants.
    pub upgrades: bool,
    /// Whether the server is to say when it wants the body.
    pub expects_continue: bool,
    /// Whether it is asked for the target as it came.
    pub is_raw: bool,
}

impl Onward<'_> {
    /// Whether something else is said under this name than what the client, or the edge, says.
    pub fn replaces(&self, name: &[u8]) -> bool {
        self.lines.replaces(name) || self.facts.lines.is_some_and(|lines| lines.replaces(name))
    }

    /// What a server is asked for: path and query, as they were matched or as they came.
    pub fn put_target(&self, head: &Head, out: &mut Vec<u8>) {
        if self.is_raw {
            return out.extend_from_slice(&origin_form(head.raw_target()));
        }
        out.extend_from_slice(self.path(head));
        if !head.query().is_empty() {
            out.push(b'?');
            out.extend_from_slice(head.query());
        }
    }

    /// The path that the server sees.
    pub fn path<'h>(&self, head: &'h Head) -> &'h [u8] {
        path_behind(head, self.prefix_bytes)
    }

    /// Gives every line to `put`, but for those that delimit the body.
    pub fn put_lines(&self, head: &Head, mut put: impl FnMut(&[u8], &[u8])) {
        if let Some(host) = self.host {
            put(b"Host", host.as_bytes());
        }
        put_request_lines(head, self.facts, self.lines, |name, value| {
            let is_host = self.host.is_some() && name.eq_ignore_ascii_case(b"host");
            let is_prefix = self.prefix_bytes > 0 && name.eq_ignore_ascii_case(b"x-forwarded-prefix");
            if !is_host && (!is_prefix || self.replaces(name)) {
                put(name, value);
            }
        });
        if let Some((header, value)) = self.facts.told_certificate(head)
            && !self.replaces(header.as_bytes())
        {
            put(header.as_bytes(), value.as_bytes());
        }
        if self.prefix_bytes > 0 && !self.replaces(b"x-forwarded-prefix") {
            let own = &head.path()[..self.prefix_bytes];
            match self.facts.outer_prefix(head) {
                b"" => put(b"X-Forwarded-Prefix", own),
                outer => put(b"X-Forwarded-Prefix", &[outer, own].concat()),
            }
        }
    }
}

/// The path of a request behind so many bytes of it.
pub fn path_behind(head: &Head, prefix_bytes: usize) -> &[u8] {
    match &head.path()[prefix_bytes.min(head.path().len())..] {
        [] => b"/",
        path => path,
    }
}

/// Appends the head of a request for a server of a pool. Nothing of it is a copy of what came by the wire: every part was
/// read, and is written afresh.
pub fn put_request_head(out: &mut Vec<u8>, head: &Head, onward: &Onward<'_>) {
    out.extend_from_slice(head.method());
    out.push(b' ');
    onward.put_target(head, out);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut line = |name: &[u8], value: &[u8]| {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    };
    if onward.host.is_none() && !head.fields.has(Name::Host) {
        // A client of HTTP/1.0 need not say it, a server of HTTP/1.1 wants to know.
        line(b"Host", head.host());
    }
    onward.put_lines(head, &mut line);
    match onward.framing {
        Framing::None if wants_length(head.method()) => line(b"Content-Length", b"0"),
        Framing::None => {}
        Framing::Length(bytes) => line(b"Content-Length", digits(bytes, &mut [0; 20])),
        Framing::Chunked => line(b"Transfer-Encoding", b"chunked"),
    }
    if onward.expects_continue {
        line(b"Expect", b"100-continue");
    }
    if onward.upgrades {
        line(b"Connection", b"Upgrade");
        head.fields.iter().filter(|field| field.name == Name::Upgrade).for_each(|field| line(b"Upgrade", field.value));
    } else if head.takes_trailers() {
        line(b"Connection", b"TE");
        line(b"TE", b"trailers");
    }
    out.extend_from_slice(b"\r\n");
}

/// Methods whose requests usually have a body: that this one has none should be said (RFC 9110, 8.6).
fn wants_length(method: &[u8]) -> bool {
    matches!(method, b"POST" | b"PUT" | b"PATCH")
}

/// Appends an answer that another one follows (RFC 9110, 15.2).
pub fn put_informational(out: &mut Vec<u8>, status: u16, fields: &Fields) {
    let line = AnswerLine { status, reason: b"", close: false, say_keep_alive: false };
    put_answer_head(out, line, fields, AnswerBody::Absent);
}

/// Appends the end of a chunked body and its trailers.
pub fn put_last_chunk(out: &mut Vec<u8>, trailers: &Fields) {
    out.extend_from_slice(b"0\r\n");
    for field in trailers.iter() {
        out.extend_from_slice(field.raw_name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// What ends a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";
/// What ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends the line before a chunk of `bytes` bytes, which must not be 0 (that would end the body).
pub fn put_chunk_start(out: &mut Vec<u8>, bytes: u64) {
    let places = (u64::BITS - bytes.leading_zeros()).div_ceil(4).max(1);
    for place in (0..places).rev() {
        out.push(b"0123456789abcdef"[(bytes >> (4 * place)) as usize & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

fn put_decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(digits(number, &mut [0; 20]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_to_another_server() {
        let raw = b"POST http://a.example:8080/x?q HTTP/1.1\r\nHost: other\r\nProxy-Authorization: Basic x\r\n\
            Connection: x-mine, content-length\r\nX-Mine: 1\r\nContent-Length: 3\r\nAccept: */*\r\n\r\n";
        let (mut head, mut out) = (Head::default(), Vec::new());
        crate::http1::parse_head(raw, 99, &mut head).unwrap();
        put_forwarded_head(&mut out, &head);
        let text = "POST /x?q HTTP/1.1\r\nHost: a.example:8080\r\nContent-Length: 3\r\nAccept: */*\r\nConnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn chunk_sizes_are_hexadecimal() {
        for bytes in [1, 9, 15, 16, 255, 4096, 65_535, 1 << 33] {
            let mut out = Vec::new();
            put_chunk_start(&mut out, bytes);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{bytes:x}\r\n"));
        }
    }

    #[test]
    fn writes_a_head() {
        let mut fields = Fields::default();
        fields.push(b"Content-Type", b"text/plain");
        let mut out = Vec::new();
        let line = AnswerLine { status: 404, reason: b"", close: true, say_keep_alive: false };
        put_answer_head(&mut out, line, &fields, AnswerBody::Length(1203));
        let text =
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 1203\r\nConnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
