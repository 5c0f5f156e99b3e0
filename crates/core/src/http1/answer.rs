//! In:     the bytes of one whole head of an answer, whose length was limited; what was asked.
//! Out:    the head as it goes on, how its body ends, whether the connection can be used again; or what is wrong.
//! Actors: none.
//! Never:  does an answer pass whose end two readers could see at two places.

use crate::fault::Fault;
use crate::fields::{Name, list_members};
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
}

const fn bad(why: &'static str) -> Fault {
    Fault::BadAnswer(why)
}

/// Reads one whole head, which ends with its empty line.
///
/// # Errors
/// 502; the connection is of no use after that.
pub fn parse_answer(raw: &[u8], asked: Asked) -> Result<ServerAnswer, Fault> {
    let mut lines = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut response, raw, &mut lines) {
        Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
        Ok(_) => return Err(bad("The head of the server's answer ends where it should not.")),
        Err(httparse::Error::TooManyHeaders) => return Err(bad("The server's answer has too many headers.")),
        Err(_) => return Err(bad("The server's answer is not HTTP/1.")),
    }
    let (Some(minor), Some(status)) = (response.version, response.code) else {
        return Err(bad("The status line of the server's answer is not complete."));
    };
    if !(100..=999).contains(&status) {
        return Err(bad("The server answered with a status that is not 100 to 999."));
    }
    let mut head = AnswerHead::new(status);
    let reason = response.reason.unwrap_or_default();
    if reason != crate::fault::reason_phrase(status) {
        head.reason = reason.as_bytes().to_vec();
    }
    // And for what hallway adds.
    head.fields.reserve(raw.len() + 128, response.headers.len() + 4);
    let (mut chunked, mut close, mut keep_alive, mut upgrades) = (false, false, minor == 1, false);
    let mut named: Vec<&[u8]> = Vec::new();
    for line in response.headers.iter() {
        let (raw_name, value) = (line.name.as_bytes(), line.value.trim_ascii());
        match Name::of(raw_name) {
            Name::ContentLength => {
                let length = super::decimal(value).map_err(|_| bad("The server's Content-Length is not a number."))?;
                // The same number twice says one thing (RFC 9110, 8.6).
                if head.length.is_some_and(|known| known != length) {
                    return Err(bad("The server's answer has two lengths."));
                }
                head.length = Some(length);
            }
            Name::TransferEncoding if chunked => return Err(bad("The server's answer is chunked twice.")),
            Name::TransferEncoding if value.eq_ignore_ascii_case(b"chunked") => chunked = true,
            Name::TransferEncoding => {
                return Err(bad("The server's answer has a transfer coding that was not asked for."));
            }
            Name::Connection => {
                for option in list_members(value) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    upgrades |= option.eq_ignore_ascii_case(b"upgrade");
                    if !is_own(option) {
                        named.push(option);
                    }
                }
            }
            Name::Upgrade if status == 101 && asked.upgrades => head.fields.push_known(Name::Upgrade, raw_name, value),
            // Where the origin is and what it is made of is nobody's business.
            Name::KeepAlive | Name::ProxyConnection | Name::Te | Name::Upgrade | Name::Server => {}
            name => head.fields.push_known(name, raw_name, value),
        }
    }
    if !named.is_empty() {
        head.fields.retain(|name| !named.iter().any(|option| option.eq_ignore_ascii_case(name)));
    }
    if status == 101 && !(asked.upgrades && upgrades) {
        return Err(bad("The server changed the protocol without being asked."));
    }
    let ending = ending((status, minor), chunked, head.length, asked.is_head)?;
    let keep_alive = keep_alive && !close && ending != Ending::Close;
    Ok(ServerAnswer { head, ending, keep_alive })
}

/// Options of `Connection` that name no field.
fn is_own(option: &[u8]) -> bool {
    [&b"close"[..], b"keep-alive", b"upgrade"].iter().any(|own| own.eq_ignore_ascii_case(option))
}

/// How the body ends (RFC 9112, 6.3).
fn ending((status, minor): (u16, u8), chunked: bool, length: Option<u64>, is_head: bool) -> Result<Ending, Fault> {
    Ok(match (status, chunked, length) {
        (101, true, _) | (101, _, Some(_)) => return Err(bad("The server's answer 101 has a body.")),
        (_, true, Some(_)) => return Err(bad("The server's answer is chunked and has a length.")),
        (_, true, None) if minor == 0 => return Err(bad("The server's answer is chunked in HTTP/1.0.")),
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

    fn parsed(lines: &str, asked: Asked) -> Result<(Ending, bool, Vec<String>), Fault> {
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
            "200 OK\r\nName : 1",
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
    fn fields_of_the_connection_end_here() {
        let lines = "200 OK\r\nServer: secret/1.2\r\nConnection: x-mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
                     Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 1";
        assert_eq!(parsed(lines, Asked::default()).unwrap().2, ["Set-Cookie: a=1", "Set-Cookie: b=2"]);
        let upgrades = Asked { upgrades: true, ..Asked::default() };
        let lines = "101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x";
        assert_eq!(parsed(lines, upgrades).unwrap().2, ["Upgrade: websocket", "Sec-WebSocket-Accept: x"]);
    }
}
