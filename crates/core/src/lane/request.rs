//! In:     a head, what the edge knows of its client, a body that fits or is in a file.
//! Out:    one frame for a worker; and in the worker, its parts again.
//! Actors: none.
//! Never:  does a field reach an application that only the edge may write (see `semantics`).

use crate::head::{Head, Version};
use crate::plan;
use crate::semantics::{Addresses, ForwardedFacts, put_request_lines};
use crate::wire_format::{Reader, put_line, put_short};

const REQUEST: u8 = 1;
const HTTP10: u8 = 1;
const HTTPS: u8 = 2;
const BODY_IN_FILE: u8 = 4;
const HTTP2: u8 = 8;
const VARIABLES: u8 = 16;

/// One request as a worker sees it.
#[derive(Clone, Copy, Debug)]
pub struct RequestFrame<'a> {
    /// The call's number in its edge thread.
    pub ticket: u64,
    /// Which outbound lane takes the answer.
    pub thread: u16,
    /// The request's version.
    pub version: Version,
    /// Whether the body is the file that came beside the frame.
    pub body_in_file: bool,
    /// Both ends of the connection.
    pub addresses: Addresses<'a>,
    /// The method.
    pub method: &'a [u8],
    /// What of the normalised path the route took off: `SCRIPT_NAME`, percent-encoded.
    pub script: &'a [u8],
    /// The rest of the path, percent-encoded.
    pub path: &'a [u8],
    /// The query.
    pub query: &'a [u8],
    /// The target as it came.
    pub raw_target: &'a [u8],
    /// Bytes of the whole body, wherever it is.
    pub body_bytes: u64,
    /// What is known of the client, under the names of the common gateway interface.
    pub variables: RequestLines<'a>,
    /// The header lines.
    pub lines: RequestLines<'a>,
    /// The body, unless it is in the file.
    pub body: &'a [u8],
}

/// Appends the frame of a request to `out`, all but its body, which follows it unless it is in a file.
pub fn put_request(
    out: &mut Vec<u8>,
    (ticket, thread): (u64, u16),
    head: &Head,
    facts: &ForwardedFacts<'_>,
    (body_bytes, body_in_file, script_bytes, lines): (u64, bool, usize, &plan::RequestLines),
) {
    let addresses = facts.addresses;
    let flags = match head.version {
        Version::Http10 => HTTP10,
        Version::Http11 => 0,
        Version::Http2 => HTTP2,
    } | if addresses.https { HTTPS } else { 0 }
        | if body_in_file { BODY_IN_FILE } else { 0 }
        | if facts.has_variables() { VARIABLES } else { 0 };
    out.extend_from_slice(&[REQUEST, flags]);
    out.extend_from_slice(&thread.to_le_bytes());
    out.extend_from_slice(&ticket.to_le_bytes());
    out.extend_from_slice(&body_bytes.to_le_bytes());
    out.extend_from_slice(&addresses.peer_port.to_le_bytes());
    out.extend_from_slice(&addresses.local_port.to_le_bytes());
    put_short(out, head.method());
    let (script, path) = head.path().split_at_checked(script_bytes).unwrap_or((b"", head.path()));
    put_short(out, script);
    put_short(out, path);
    put_short(out, head.query());
    put_short(out, head.raw_target());
    put_short(out, addresses.peer_ip.as_bytes());
    put_short(out, addresses.local_name.as_bytes());
    if facts.has_variables() {
        let (count_at, mut count) = (reserve_count(out), 0);
        facts.put_variables(|name, value| {
            put_line(out, name, value);
            count += 1;
        });
        note_count(out, count_at, count);
    }
    // What a proxy took off the path before stands before what was taken off here.
    let outer = if script.is_empty() { b"" } else { facts.outer_prefix(head) };
    let (count_at, mut count) = (reserve_count(out), 0);
    put_request_lines(head, facts, lines, |name, value| {
        if !outer.is_empty() && name.eq_ignore_ascii_case(b"x-forwarded-prefix") {
            put_line(out, name, &[outer, script].concat());
        } else {
            put_line(out, name, value);
        }
        count += 1;
    });
    note_count(out, count_at, count);
}

/// Leaves room for the number of lines that follow.
fn reserve_count(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0, 0]);
    out.len() - 2
}

fn note_count(out: &mut [u8], at: usize, count: u16) {
    out[at..at + 2].copy_from_slice(&count.to_le_bytes());
}

impl<'a> RequestFrame<'a> {
    /// The parts of a frame; nothing if it is not whole.
    pub fn decode(raw: &'a [u8]) -> Option<RequestFrame<'a>> {
        let mut reader = Reader(raw);
        if reader.u8()? != REQUEST {
            return None;
        }
        let flags = reader.u8()?;
        let (thread, ticket, body_bytes) = (reader.u16()?, reader.u64()?, reader.u64()?);
        let (peer_port, local_port) = (reader.u16()?, reader.u16()?);
        let (method, script) = (reader.short()?, reader.short()?);
        let (path, query, raw_target) = (reader.short()?, reader.short()?, reader.short()?);
        let peer_ip = std::str::from_utf8(reader.short()?).ok()?;
        let local_name = std::str::from_utf8(reader.short()?).ok()?;
        let variables = if flags & VARIABLES != 0 { take_lines(&mut reader)? } else { RequestLines::default() };
        let lines = take_lines(&mut reader)?;
        Some(RequestFrame {
            ticket,
            thread,
            version: match flags & (HTTP10 | HTTP2) {
                HTTP10 => Version::Http10,
                HTTP2 => Version::Http2,
                _ => Version::Http11,
            },
            body_in_file: flags & BODY_IN_FILE != 0,
            addresses: Addresses { peer_ip, peer_port, local_name, local_port, https: flags & HTTPS != 0 },
            method,
            script,
            path,
            query,
            raw_target,
            body_bytes,
            variables,
            lines,
            body: reader.0,
        })
    }
}

/// Lines of a frame, all of which are there.
fn take_lines<'a>(reader: &mut Reader<'a>) -> Option<RequestLines<'a>> {
    let left = reader.u16()?;
    let lines = RequestLines { left, reader: *reader };
    for _ in 0..left {
        reader.line()?;
    }
    Some(lines)
}

/// Lines of a request frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestLines<'a> {
    left: u16,
    reader: Reader<'a>,
}

impl<'a> Iterator for RequestLines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.reader.line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;
    use crate::semantics::{Belief, Speaker};

    fn frame() -> Vec<u8> {
        let mut head = Head::default();
        let raw = b"POST //s/a%20b?x=1 HTTP/1.1\r\nHost: h:8\r\nX-Two: 2\r\nX-Forwarded-Prefix: /outer/\r\nContent-Length: 4\r\n\r\n";
        parse_head(raw, 99, &mut head).unwrap();
        let addresses = Addresses { peer_ip: "10.0.0.9", peer_port: 5, local_name: "l", local_port: 8, https: false };
        let facts = ForwardedFacts {
            addresses,
            host: b"h:8",
            request_id: "abc",
            user: Some("alice"),
            user_by_password: true,
            belief: Belief { speaker: Speaker::Proxy, trust: None },
            ..ForwardedFacts::default()
        };
        let mut out = Vec::new();
        put_request(&mut out, (77, 3), &head, &facts, (4, false, 2, &plan::RequestLines::default()));
        out.extend_from_slice(b"body");
        out
    }

    #[test]
    fn a_request_survives_the_way() {
        let raw = frame();
        let seen = RequestFrame::decode(&raw).unwrap();
        assert_eq!((seen.ticket, seen.thread, seen.method), (77, 3, &b"POST"[..]));
        assert_eq!((seen.script, seen.path), (&b"/s"[..], &b"/a%20b"[..]));
        assert_eq!((seen.query, seen.body), (&b"x=1"[..], &b"body"[..]));
        assert_eq!((seen.addresses.peer_ip, seen.addresses.local_port, seen.body_bytes), ("10.0.0.9", 8, 4));
        let lines: Vec<_> = seen.lines.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        assert!(lines.contains(&(b"X-Two".to_vec(), b"2".to_vec())), "{lines:?}");
        assert!(lines.contains(&(b"X-Forwarded-Prefix".to_vec(), b"/outer/s".to_vec())), "{lines:?}");
        assert_eq!(seen.raw_target, b"//s/a%20b?x=1");
        let variables: Vec<_> = seen.variables.collect();
        assert_eq!(variables, [(&b"REMOTE_USER"[..], &b"alice"[..]), (b"AUTH_TYPE", b"Basic")]);
    }

    #[test]
    fn a_frame_cut_anywhere_in_its_head_is_refused() {
        let raw = frame();
        for end in 0..raw.len() - 4 {
            assert!(RequestFrame::decode(&raw[..end]).is_none(), "cut at {end}");
        }
    }
}
