//! In:     the bytes of one whole head of an answer, whose length was limited; what was asked.
//! Out:    the head as it goes on, how its body ends, whether the connection can be used again; or what is wrong.
//! Actors: none.
//! Never:  does an answer pass whose end two readers could see at two places.

use crate::fault::Fault;
use crate::fields::{Name, is_token, is_value, list_members};
use crate::http1::parse::FIELDS_MAX;
use crate::semantics::AnswerHead;
use std::mem::MaybeUninit;

/// How the end of an answer's body is known (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// There is no body.
    None,
    /// After this many bytes.
    Length(u64),
    /// The chunked coding says where.
    Chunked,
    /// With the connection.
    Close,
}

/// An answer's head.
#[derive(Debug)]
pub struct ServerAnswer {
    /// As it goes on: without fields of the connection that it came by.
    pub head: AnswerHead,
    /// How its body ends.
    pub ending: Ending,
    /// Whether another request can follow on the connection.
    pub keep_alive: bool,
}

/// What was asked, as far as it says how to read the answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// With HEAD: what says how long the body is says how long it would have been.
    pub is_head: bool,
    /// Whether the connection was offered for another protocol.
    pub upgrades: bool,
    /// Whether the version in the answer is nothing but that of the client, as a server of the uwsgi protocol was told it.
    pub echoes_version: bool,
}

/// Why an answer cannot be read.
#[derive(Debug)]
pub struct Foul {
    /// 502.
    pub fault: Fault,
    /// The line that is to blame, as it came; empty where it is none.
    pub line: Vec<u8>,
}

/// Where a status line has its reason: behind `HTTP/1.1 200 `.
const REASON_AT: usize = 13;

fn bad(why: &'static str, line: &[u8]) -> Foul {
    Foul { fault: Fault::BadAnswer(why), line: line.to_vec() }
}

/// Reads one whole head, which ends with its empty line.
///
/// # Errors
/// 502; the connection is of no use after that.
pub fn parse_answer(raw: &[u8], asked: Asked) -> Result<ServerAnswer, Foul> {
    let mut lines = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    // What stands there is removed (RFC 9112, 5.1).
    config.allow_spaces_after_header_name_in_responses(true);
    match config.parse_response_with_uninit_headers(&mut response, raw, &mut lines) {
        Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
        Ok(_) => return Err(bad("The head of the server's answer ends where it should not.", b"")),
        Err(httparse::Error::TooManyHeaders) => return Err(bad("The server's answer has too many headers.", b"")),
        Err(_) => {
            if let Some(known) = as_known_version(raw, asked) {
                return parse_answer(&known, asked);
            }
            return Err(explain(raw));
        }
    }
    let (Some(minor), Some(status)) = (response.version, response.code) else {
        return Err(bad("The status line of the server's answer is not complete.", first_line(raw)));
    };
    let minor = if asked.echoes_version { 1 } else { minor };
    if !(100..=999).contains(&status) {
        return Err(bad("The server answered with a status that is not 100 to 999.", first_line(raw)));
    }
    let mut head = AnswerHead::new(status);
    let reason = match response.reason {
        // It tells of none where it is not ASCII.
        Some("") => first_line(raw).get(REASON_AT..).unwrap_or_default(),
        reason => reason.unwrap_or_default().as_bytes(),
    };
    if reason != crate::fault::reason_phrase(status).as_bytes() {
        head.reason = reason.to_vec();
    }
    // And for what hallway adds.
    head.fields.reserve(raw.len() + 128, response.headers.len() + 4);
    let said = read_lines(response.headers, &mut head, asked)?;
    if status == 101 && !(asked.upgrades && said.upgrades) {
        return Err(bad("The server changed the protocol without being asked.", first_line(raw)));
    }
    let ending = ending((status, minor), said.chunked, head.length, asked.is_head);
    let ending = ending.map_err(|why| bad(why, first_line(raw)))?;
    let keep_alive = (minor == 1 || said.keep_alive) && !said.close && ending != Ending::Close;
    Ok(ServerAnswer { head, ending, keep_alive })
}

/// What header lines say of the connection and the body.
#[derive(Default)]
struct Said {
    chunked: bool,
    close: bool,
    keep_alive: bool,
    upgrades: bool,
}

fn read_lines(lines: &[httparse::Header<'_>], head: &mut AnswerHead, asked: Asked) -> Result<Said, Foul> {
    let mut said = Said::default();
    let mut named: Vec<&[u8]> = Vec::new();
    for line in lines {
        let (raw_name, value) = (line.name.as_bytes(), line.value.trim_ascii());
        let bad = |why| bad(why, &[raw_name, b": ", value].concat());
        match Name::of(raw_name) {
            Name::ContentLength => {
                let length = super::decimal(value).map_err(|_| bad("The server's Content-Length is not a number."))?;
                // The same number twice says one thing (RFC 9110, 8.6).
                if head.length.is_some_and(|known| known != length) {
                    return Err(bad("The server's answer has two lengths."));
                }
                head.length = Some(length);
            }
            Name::TransferEncoding if said.chunked => return Err(bad("The server's answer is chunked twice.")),
            Name::TransferEncoding if value.eq_ignore_ascii_case(b"chunked") => said.chunked = true,
            Name::TransferEncoding => {
                return Err(bad("The server's answer has a transfer coding that was not asked for."));
            }
            Name::Connection => {
                for option in list_members(value) {
                    said.close |= option.eq_ignore_ascii_case(b"close");
                    said.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    said.upgrades |= option.eq_ignore_ascii_case(b"upgrade");
                    if !is_own(option) {
                        named.push(option);
                    }
                }
            }
            Name::Upgrade if head.status == 101 && asked.upgrades => {
                head.fields.push_known(Name::Upgrade, raw_name, value);
            }
            // Where the origin is and what it is made of is nobody's business.
            Name::KeepAlive | Name::ProxyConnection | Name::Te | Name::Upgrade | Name::Server => {}
            name => head.fields.push_known(name, raw_name, value),
        }
    }
    if !named.is_empty() {
        head.fields.retain(|name| !named.iter().any(|option| option.eq_ignore_ascii_case(name)));
    }
    Ok(said)
}

fn first_line(raw: &[u8]) -> &[u8] {
    raw.split(|byte| *byte == b'\r').next().unwrap_or_default()
}

/// The same head in HTTP/1.1, where it is of a later HTTP/1 (RFC 9110, 2.5), or its version says nothing.
fn as_known_version(raw: &[u8], asked: Asked) -> Option<Vec<u8>> {
    let at = memchr::memchr(b' ', raw)?;
    let version = raw[..at].strip_prefix(b"HTTP/")?;
    let is_later = match version {
        [b'1', b'.', b'0' | b'1'] => false,
        [b'1', b'.', minor] => minor.is_ascii_digit(),
        [major] | [major, b'.', _] if asked.echoes_version => major.is_ascii_digit(),
        _ => false,
    };
    is_later.then(|| [b"HTTP/1.1", &raw[at..]].concat())
}

/// Says in our words what httparse refused, and which line is to blame.
fn explain(raw: &[u8]) -> Foul {
    let mut lines = raw.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r\n").unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    let (version, rest) = first.split_at(memchr::memchr(b' ', first).unwrap_or(first.len()));
    match version {
        b"HTTP/1.0" | b"HTTP/1.1" => {}
        [b'H', b'T', b'T', b'P', b'/', ..] => return bad("The server answers in another version than HTTP/1.", first),
        _ => return bad("The server's answer is not HTTP/1.", first),
    }
    let code = rest.get(1..4).filter(|code| code.iter().all(u8::is_ascii_digit));
    if code.is_none() || !matches!(rest.get(4), None | Some(b' ')) || !is_value(rest) {
        return bad("The status line of the server's answer is malformed.", first);
    }
    for line in lines {
        let (name, value) = line.split_at(memchr::memchr(b':', line).unwrap_or(line.len()));
        let why = match line.first() {
            Some(b' ' | b'\t') => "A header line of the server's answer is folded.",
            _ if line.contains(&b'\r') => "A line of the server's answer has a CR in it.",
            Some(_) if value.is_empty() => "A header line of the server's answer has no colon.",
            _ if !line.is_empty() && !is_token(name.trim_ascii_end()) => {
                "A header name of the server's answer has a byte that does not belong there."
            }
            _ if !is_value(value) => "A header value of the server's answer has a control byte.",
            _ => continue,
        };
        return bad(why, line);
    }
    bad("The server's answer is not HTTP/1.", first)
}

/// Options of `Connection` that name no field.
fn is_own(option: &[u8]) -> bool {
    [&b"close"[..], b"keep-alive", b"upgrade"].iter().any(|own| own.eq_ignore_ascii_case(option))
}

/// How the body ends (RFC 9112, 6.3).
fn ending(
    (status, minor): (u16, u8),
    chunked: bool,
    length: Option<u64>,
    is_head: bool,
) -> Result<Ending, &'static str> {
    Ok(match (status, chunked, length) {
        (101, true, _) | (101, _, Some(_)) => return Err("The server's answer 101 has a body."),
        (_, true, Some(_)) => return Err("The server's answer is chunked and has a length."),
        (_, true, None) if minor == 0 => return Err("The server's answer is chunked in HTTP/1.0."),
        (100..200 | 204 | 304, ..) => Ending::None,
        _ if is_head => Ending::None,
        (_, true, None) => Ending::Chunked,
        (_, false, Some(0)) => Ending::None,
        (_, false, Some(length)) => Ending::Length(length),
        (_, false, None) => Ending::Close,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(lines: &str, asked: Asked) -> Result<(Ending, bool, Vec<String>), Foul> {
        let answer = parse_answer(format!("HTTP/1.1 {lines}\r\n\r\n").as_bytes(), asked)?;
        let fields = answer.head.fields.iter();
        let fields = fields.map(|field| format!("{}: {}", field.raw_name.escape_ascii(), field.value.escape_ascii()));
        Ok((answer.ending, answer.keep_alive, fields.collect()))
    }

    #[test]
    fn the_end_of_a_body_is_where_the_standard_says() {
        let head = Asked { is_head: true, ..Asked::default() };
        for (lines, asked, ending, keep_alive) in [
            ("200 OK\r\nContent-Length: 5", Asked::default(), Ending::Length(5), true),
            ("200 OK\r\nContent-Length: 5\r\nContent-Length: 5", Asked::default(), Ending::Length(5), true),
            ("200 OK\r\nContent-Length: 0", Asked::default(), Ending::None, true),
            ("200 OK\r\nTransfer-Encoding: Chunked", Asked::default(), Ending::Chunked, true),
            ("200 OK", Asked::default(), Ending::Close, false),
            ("200 OK\r\nConnection: close\r\nContent-Length: 5", Asked::default(), Ending::Length(5), false),
            ("200 OK\r\nContent-Length: 5", head, Ending::None, true),
            ("200 OK\r\nTransfer-Encoding: chunked", head, Ending::None, true),
            ("204 No Content\r\nContent-Length: 5", Asked::default(), Ending::None, true),
            ("304 Not Modified\r\nContent-Length: 5", Asked::default(), Ending::None, true),
            ("103 Early Hints\r\nLink: </a>", Asked::default(), Ending::None, true),
        ] {
            let (found, kept, _) = parsed(lines, asked).unwrap();
            assert_eq!((found, kept), (ending, keep_alive), "{lines:?}");
        }
        let old = parse_answer(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", Asked::default()).unwrap();
        assert!(!old.keep_alive);
    }

    #[test]
    fn what_means_two_things_is_refused() {
        for lines in [
            "200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
            "200 OK\r\nContent-Length: 5, 5",
            "200 OK\r\nContent-Length: +5",
            "200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            "200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "200 OK\r\nTransfer-Encoding: gzip, chunked",
            "200 OK\r\nTransfer-Encoding: xchunked",
            "200 OK\r\n Folded: 1",
            "200 OK\r\nNa me: 1",
            "200 OK\r\nContent-Length : 5\r\nTransfer-Encoding : chunked",
            "200 OK\r\nA: b\0",
            "99 What",
            "2000 What",
            "101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket",
        ] {
            assert!(parsed(lines, Asked::default()).is_err(), "{lines:?}");
        }
        let upgrades = Asked { upgrades: true, ..Asked::default() };
        assert!(parsed("101 Switching Protocols\r\nUpgrade: websocket", upgrades).is_err());
        assert!(parse_answer(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Asked::default()).is_err());
        assert!(parse_answer(b"HTTP/2.0 200 OK\r\n\r\n", Asked::default()).is_err());
    }

    #[test]
    fn each_cause_has_words_of_its_own_and_names_its_line() {
        let mut seen = std::collections::BTreeSet::new();
        for (raw, line) in [
            ("SSH-2.0-x\r\n\r\n", "SSH-2.0-x"),
            ("HTTP/2.0 200 OK\r\nA: b\r\n\r\n", "HTTP/2.0 200 OK"),
            ("HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 2x0 OK"),
            ("HTTP/1.1 200 OK\r\nA: b\r\n C: d\r\n\r\n", " C: d"),
            ("HTTP/1.1 200 OK\r\nA: b\r\nno colon\r\n\r\n", "no colon"),
            ("HTTP/1.1 200 OK\r\nX Bad: 1\r\n\r\n", "X Bad: 1"),
            ("HTTP/1.1 200 OK\r\nA: b\u{1}c\r\n\r\n", "A: b\u{1}c"),
            ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "A: b\rc"),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "Content-Length: x"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "Transfer-Encoding: gzip"),
        ] {
            let foul = parse_answer(raw.as_bytes(), Asked::default()).unwrap_err();
            assert_eq!((foul.fault.status(), &*String::from_utf8_lossy(&foul.line)), (502, line), "{raw:?}");
            assert!(seen.insert(foul.fault.detail()), "{raw:?}: {}", foul.fault.detail());
        }
    }

    #[test]
    fn blanks_before_a_colon_are_removed() {
        let lines =
            "200 OK\r\nX-Bad : 1\r\nY\t \t: 2\r\nTransfer-Encoding : chunked\r\nConnection : x-mine\r\nX-Mine : 3";
        let (ending, _, fields) = parsed(lines, Asked::default()).unwrap();
        assert_eq!((ending, fields), (Ending::Chunked, vec!["X-Bad: 1".to_owned(), "Y: 2".to_owned()]));
    }

    #[test]
    fn reasons_go_on_as_they_are() {
        for (line, reason) in [
            (&b"HTTP/1.1 200 \xc9t\xe9"[..], &b"\xc9t\xe9"[..]),
            (b"HTTP/1.1 404 \xc3\xa9t\xc3\xa9", b"\xc3\xa9t\xc3\xa9"),
            (b"HTTP/1.1 200 Fine", b"Fine"),
            (b"HTTP/1.1 200 OK", b""),
            (b"HTTP/1.1 200 ", b""),
            (b"HTTP/1.1 200", b""),
        ] {
            let answer = parse_answer(&[line, b"\r\n\r\n"].concat(), Asked::default()).unwrap();
            assert_eq!(answer.head.reason, reason, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn versions_that_say_nothing() {
        let uwsgi = Asked { echoes_version: true, ..Asked::default() };
        for (version, asked) in [
            ("HTTP/1.2", Asked::default()),
            ("HTTP/1.9", Asked::default()),
            ("HTTP/2.0", uwsgi),
            ("HTTP/2", uwsgi),
            ("HTTP/3.0", uwsgi),
            ("HTTP/1.0", uwsgi),
        ] {
            let raw = format!("{version} 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let answer = parse_answer(raw.as_bytes(), asked).unwrap();
            assert_eq!((answer.head.status, answer.ending), (200, Ending::Chunked), "{version}");
        }
        for raw in ["HTTP/x.y 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/22.0 200 OK\r\n\r\n"] {
            assert!(parse_answer(raw.as_bytes(), uwsgi).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn fields_of_the_connection_end_here() {
        let lines = "200 OK\r\nServer: secret/1.2\r\nConnection: x-mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
                     Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 1";
        assert_eq!(parsed(lines, Asked::default()).unwrap().2, ["Set-Cookie: a=1", "Set-Cookie: b=2"]);
        let upgrades = Asked { upgrades: true, ..Asked::default() };
        let lines = "101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x";
        assert_eq!(parsed(lines, upgrades).unwrap().2, ["Upgrade: websocket", "Sec-WebSocket-Accept: x"]);
    }
}
