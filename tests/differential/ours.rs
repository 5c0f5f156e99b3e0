//! In:     a byte stream.
//! Out:    what the parts of `core/http1` see in it, put together as the edge does.
//! Actors: none.
//! Never:  is anything decided here that is not decided in core.

use crate::{Seen, Verdict};
use hallway_core::head::Framing;
use hallway_core::http1::{Chunked, Found, Scan, parse_head};
use hallway_core::{Fault, Head, permit};

pub(crate) fn read(stream: &[u8]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut rest = stream;
    while !rest.is_empty() {
        // One empty line before a request is skipped (RFC 9112, 2.2), as the connection does.
        let at = if rest.starts_with(b"\r\n") { &rest[2..] } else { rest };
        match read_one(at) {
            Ok(Some((seen, after, keep_alive))) => {
                verdict.seen.push(seen);
                if !keep_alive {
                    break;
                }
                rest = after;
            }
            Ok(None) => {
                verdict.refused = Some("incomplete".into());
                break;
            }
            Err(fault) => {
                verdict.refused = Some(fault.detail().into());
                break;
            }
        }
    }
    verdict
}

/// A request, what follows it, and whether the connection lives on.
type One<'a> = (Seen, &'a [u8], bool);

fn read_one(rest: &[u8]) -> Result<Option<One<'_>>, Fault> {
    let length = match Scan::default().feed(rest) {
        Found::Head(length) => length,
        Found::More => return Ok(None),
        Found::BareLineFeed => return Err(Fault::BadRequest("A line does not end with CR LF.")),
    };
    let mut head = Head::default();
    parse_head(&rest[..length], 8192, &mut head)?;
    permit::admit(&head)?;
    let (body, after) = match head.framing {
        Framing::None => (Vec::new(), &rest[length..]),
        Framing::Length(bytes) => match rest[length..].split_at_checked(bytes as usize) {
            Some((body, after)) => (body.to_vec(), after),
            None => return Ok(None),
        },
        Framing::Chunked => {
            let mut body = Vec::new();
            let progress = Chunked::default().decode(&rest[length..], &mut body)?;
            if !progress.ended {
                return Ok(None);
            }
            (body, &rest[length + progress.used..])
        }
    };
    let raw = rest.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let seen = Seen {
        method: String::from_utf8_lossy(head.method()).into_owned(),
        target: String::from_utf8_lossy(raw).into_owned(),
        body,
    };
    Ok(Some((seen, after, head.keep_alive)))
}
