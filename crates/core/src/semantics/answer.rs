//! In:     what an application answered, unchecked; or an answer made by hallway; facts of the trip.
//! Out:    the head as it leaves, and how its body is delimited.
//! Actors: none.
//! Never:  does an application's byte end a line, or its hop-by-hop field leave the house.

use crate::fault::Fault;
use crate::fields::{Fields, Name, is_token, is_value};
use crate::head::{Head, Version};
use crate::http1::AnswerBody;
use crate::plan::Adjust;

/// The head of an answer.
#[derive(Clone, Debug, Default)]
pub struct AnswerHead {
    /// Three digits.
    pub status: u16,
    /// The application's phrase; empty for the standard one.
    pub reason: Vec<u8>,
    /// The header lines, without those that say where the body ends.
    pub fields: Fields,
    /// The length of the body, where it is known or was declared.
    pub length: Option<u64>,
    /// Whether the length was not declared by the application but counted of what it returned.
    pub is_counted: bool,
}

impl AnswerHead {
    /// An answer without fields.
    pub fn new(status: u16) -> Self {
        AnswerHead { status, ..AnswerHead::default() }
    }

    /// Adds a line.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push(name.as_bytes(), value.as_bytes());
        self
    }
}

/// Checks what an application answered and leaves out what is not its to say.
///
/// # Errors
/// 502 for a status, name or value that cannot be sent.
pub fn take_app_answer<'a>(
    status: u16,
    reason: &[u8],
    lines: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<AnswerHead, Fault> {
    if !(200..=999).contains(&status) {
        return Err(Fault::BadAnswer("The application answered with a status that is not 200 to 999."));
    }
    if !is_value(reason) {
        return Err(Fault::BadAnswer("The application answered with a control byte in its reason."));
    }
    let mut answer = AnswerHead { status, reason: reason.to_vec(), ..AnswerHead::default() };
    for (raw_name, value) in lines {
        if !is_token(raw_name) || !is_value(value) {
            return Err(Fault::BadAnswer("The application answered with a header that cannot be sent."));
        }
        match Name::of(raw_name) {
            Name::ContentLength => {
                let length = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
                let malformed = Fault::BadAnswer("The application answered with a malformed Content-Length.");
                match (answer.length, length) {
                    (_, None) => return Err(malformed),
                    (Some(before), Some(now)) if before != now => return Err(malformed),
                    _ => answer.length = length,
                }
            }
            Name::Connection
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::Te
            | Name::Trailer
            | Name::TransferEncoding
            | Name::Upgrade => {}
            name => answer.fields.push_known(name, raw_name, value.trim_ascii()),
        }
    }
    Ok(answer)
}

/// Changes the head of an answer as its route says.
pub fn adjust(answer: &mut AnswerHead, adjust: &Adjust) {
    let goes = |name: &[u8]| {
        let is = |other: &String| other.as_bytes().eq_ignore_ascii_case(name);
        adjust.remove.iter().any(is) || adjust.set.iter().any(|(set, _)| is(set))
    };
    if !adjust.remove.is_empty() || !adjust.set.is_empty() {
        answer.fields.retain(|name| !goes(name));
    }
    for (name, value) in adjust.set.iter().chain(&adjust.add) {
        answer.fields.push(name.as_bytes(), value.as_bytes());
    }
    if let Some(value) = adjust.cache_control.as_ref().filter(|_| answer.status < 400) {
        answer.fields.retain(|name| !name.eq_ignore_ascii_case(b"cache-control"));
        answer.fields.push(b"Cache-Control", value.as_bytes());
    }
}

/// Facts that every answer carries.
#[derive(Clone, Copy, Debug)]
pub struct ShapeFacts<'a> {
    /// Now, as an HTTP date.
    pub date: &'a [u8],
    /// The request's own id.
    pub request_id: &'a str,
    /// What `Strict-Transport-Security` says (RFC 6797, 7.1), where it is sent.
    pub strict: Option<&'a str>,
}

/// Adds the lines that every answer has (RFC 9110, 6.6.1 and 10.2.4), where the application said
/// nothing of its own.
pub fn shape(answer: &mut AnswerHead, facts: ShapeFacts<'_>) {
    let fields = &mut answer.fields;
    if !fields.has(Name::Server) {
        fields.push_known(Name::Server, b"Server", b"hallway");
    }
    if !fields.has(Name::Date) {
        fields.push_known(Name::Date, b"Date", facts.date);
    }
    if !fields.has(Name::XRequestId) {
        fields.push_known(Name::XRequestId, b"X-Request-Id", facts.request_id.as_bytes());
    }
    if let Some(strict) = facts.strict {
        fields.push(b"Strict-Transport-Security", strict.as_bytes());
    }
}

/// How the body is delimited, and whether it is sent at all (RFC 9110, 9.3.2 and 15.4.5; RFC 9112, 6.3).
pub fn delimit(answer: &AnswerHead, head: &Head) -> (AnswerBody, bool) {
    if matches!(answer.status, 100..200 | 204 | 304) {
        return (AnswerBody::Absent, false);
    }
    // An application that returns nothing to HEAD has not said how long its answer to GET is.
    let length = answer.length.filter(|bytes| !(head.is_head() && answer.is_counted && *bytes == 0));
    match (length, head.is_head(), head.version) {
        (Some(bytes), is_head, _) => (AnswerBody::Length(bytes), !is_head),
        (None, true, _) => (AnswerBody::Absent, false),
        (None, false, Version::Http11 | Version::Http2) => (AnswerBody::Chunked, true),
        (None, false, Version::Http10) => (AnswerBody::UntilClose, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_cannot_split_its_answer() {
        for (name, value) in [("X", "a\r\nSet-Cookie: b"), ("X\r\nY", "a"), ("X ", "a"), ("", "a"), ("X", "a\0")] {
            let lines = [(name.as_bytes(), value.as_bytes())];
            assert!(take_app_answer(200, b"OK", lines.into_iter()).is_err(), "{name:?}: {value:?}");
        }
        assert!(take_app_answer(200, b"OK\r\nX: 1", [].into_iter()).is_err());
        assert!(take_app_answer(99, b"", [].into_iter()).is_err());
    }

    #[test]
    fn what_delimits_is_not_the_applications_to_say() {
        let lines =
            [(&b"Transfer-Encoding"[..], &b"chunked"[..]), (b"Connection", b"close"), (b"Content-Length", b"5")];
        let answer = take_app_answer(200, b"OK", lines.into_iter()).unwrap();
        assert!(answer.fields.is_empty());
        assert_eq!(answer.length, Some(5));
    }

    #[test]
    fn delimits_by_status_method_and_version() {
        let mut head = Head::default();
        head.set_method(b"GET");
        let known = AnswerHead { length: Some(3), ..AnswerHead::new(200) };
        assert_eq!(delimit(&known, &head), (AnswerBody::Length(3), true));
        assert_eq!(delimit(&AnswerHead::new(200), &head), (AnswerBody::Chunked, true));
        assert_eq!(
            delimit(&AnswerHead { length: Some(3), ..AnswerHead::new(304) }, &head),
            (AnswerBody::Absent, false)
        );
        head.version = Version::Http10;
        assert_eq!(delimit(&AnswerHead::new(200), &head), (AnswerBody::UntilClose, true));
        head.set_method(b"HEAD");
        let counted = AnswerHead { is_counted: true, length: Some(0), ..known.clone() };
        assert_eq!(delimit(&counted, &head), (AnswerBody::Absent, false));
        assert_eq!(delimit(&known, &head), (AnswerBody::Length(3), false));
    }
}
