//! In:     the head of an answer as scripts write it (RFC 3875, 6.2).
//! Out:    the same as HTTP has it.
//! Actors: none.
//! Never:  does a script's byte end a line.

use crate::fault::Fault;
use crate::semantics::{AnswerHead, take_app_answer};

/// Longest head of a script.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Reads a head once it is whole; how long it was. Lines may end with LF alone, as scripts like to have it.
///
/// # Errors
/// 502 for what cannot be sent.
pub fn parse_gateway_head(raw: &[u8]) -> Result<Option<(AnswerHead, usize)>, Fault> {
    let mut at = 0;
    let mut lines: Vec<(&[u8], &[u8])> = Vec::new();
    let (mut status, mut reason): (Option<u16>, &[u8]) = (None, b"");
    loop {
        let Some(end) = memchr::memchr(b'\n', &raw[at..]) else {
            if raw.len() > HEAD_BYTES_MAX {
                return Err(Fault::BadAnswer("The head of the server's answer is too long."));
            }
            return Ok(None);
        };
        let line = &raw[at..at + end];
        at += end + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        let colon = memchr::memchr(b':', line);
        let colon = colon.ok_or(Fault::BadAnswer("A line of the server's head has no colon."))?;
        // Blanks before the colon are removed (RFC 9112, 5.1).
        let (name, value) = (line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"status") {
            let (code, phrase) = value.split_at(value.len().min(3));
            let code = std::str::from_utf8(code).ok().and_then(|code| code.parse().ok());
            status = Some(code.ok_or(Fault::BadAnswer("The server's Status is not a number."))?);
            reason = phrase.trim_ascii();
        } else {
            lines.push((name, value));
        }
    }
    // A redirect need not say that it is one (RFC 3875, 6.2.3).
    let redirects = lines.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"location"));
    let status = status.unwrap_or(if redirects { 302 } else { 200 });
    Ok(Some((take_app_answer(status, reason, lines.into_iter())?, at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_scripts() {
        for (raw, status, length) in [
            ("Content-type: text/html\n\nbody", 200, 25),
            ("Status: 404 Not Here\r\nX: 1\r\n\r\nbody", 404, 30),
            ("Location: /new\r\n\r\n", 302, 18),
            ("Status: 201\nLocation: /new\n\n", 201, 28),
            ("Status : 201\nX-Bad\t: 1\n\n", 201, 24),
        ] {
            let (head, used) = parse_gateway_head(raw.as_bytes()).unwrap().unwrap();
            assert_eq!((head.status, used), (status, length), "{raw:?}");
        }
        assert!(parse_gateway_head(b"X: 1\r\n").unwrap().is_none());
        for raw in ["no colon\n\n", "Status: abc\n\n", "Status: 99\n\n", "A b: c\n\n", "A: b\0\n\n"] {
            assert!(parse_gateway_head(raw.as_bytes()).is_err(), "{raw:?}");
        }
    }
}
