//! In:     what an application answered, unchecked; or an answer made by hallway; facts of the trip.
//! Out:    the head as it leaves, and how its body is delimited.
//! Actors: none.
//! Never:  does an application's byte end a line, or its hop-by-hop field leave the house.

use crate::fault::Fault;
use crate::fields::{Fields, Name, is_token, is_value, list_members};
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
    /// Whether what a 304 or a 206 stands for is such as `compress` takes, where that is known.
    pub would_be_packed: Option<bool>,
    /// Whether it is a redirect that hallway made of what it sees on the disk just now: what its route says of caches
    /// is said of other answers.
    pub is_guess: bool,
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
    if let Some(value) = adjust.cache_control.as_ref().filter(|_| answer.status < 400 && !answer.is_guess) {
        answer.fields.retain(|name| !name.eq_ignore_ascii_case(b"cache-control"));
        answer.fields.push(b"Cache-Control", value.as_bytes());
    }
}

/// Changes the head of an answer that is for one client alone: no cache that others use may keep it (RFC 9111,
/// 5.2.2.7, RFC 9213).
pub fn keep_private(answer: &mut AnswerHead) {
    let lines = answer.fields.iter().filter(|field| field.raw_name.eq_ignore_ascii_case(b"cache-control"));
    let mut words: Vec<&[u8]> = lines.flat_map(|field| list_members(field.value)).collect();
    let is = |word: &[u8], name: &[u8]| {
        let own = word.split(|byte| *byte == b'=').next().unwrap_or_default();
        own.trim_ascii().eq_ignore_ascii_case(name)
    };
    if words.iter().any(|word| is(word, b"no-store") || word.eq_ignore_ascii_case(b"private")) {
        return;
    }
    words.retain(|word| !is(word, b"public") && !is(word, b"s-maxage") && !is(word, b"private"));
    words.insert(0, b"private");
    let said = words.join(&b", "[..]);
    const SHARED: [&[u8]; 4] = [b"cache-control", b"cdn-cache-control", b"surrogate-control", b"x-accel-expires"];
    answer.fields.retain(|name| !SHARED.iter().any(|shared| shared.eq_ignore_ascii_case(name)));
    answer.fields.push(b"Cache-Control", &said);
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
    // A second line would not count (RFC 6797, 8.1).
    if let Some(strict) = facts.strict.filter(|_| fields.named(b"strict-transport-security").is_none()) {
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
    fn what_is_for_one_client_is_kept_by_no_cache_of_many() {
        for (said, is) in [
            ("", "private"),
            ("public, max-age=60", "private, max-age=60"),
            ("s-maxage=60, must-revalidate", "private, must-revalidate"),
            ("private, max-age=5", "private, max-age=5"),
            ("no-store", "no-store"),
            ("private=\"X-A\", max-age=5", "private, max-age=5"),
        ] {
            let mut answer = AnswerHead::new(200).with("CDN-Cache-Control", "max-age=60");
            if !said.is_empty() {
                answer = answer.with("cache-control", said);
            }
            keep_private(&mut answer);
            assert_eq!(answer.fields.named(b"cache-control"), Some(is.as_bytes()), "{said}");
        }
    }

    #[test]
    fn a_guess_is_not_kept_for_as_long_as_its_route_says() {
        let said = Adjust { cache_control: Some("max-age=60".into()), ..Adjust::default() };
        let mut answer = AnswerHead { is_guess: true, ..AnswerHead::new(301).with("Cache-Control", "no-cache") };
        adjust(&mut answer, &said);
        assert_eq!(answer.fields.named(b"cache-control"), Some(&b"no-cache"[..]));
        let mut answer = AnswerHead::new(301);
        adjust(&mut answer, &said);
        assert_eq!(answer.fields.named(b"cache-control"), Some(&b"max-age=60"[..]));
    }

    #[test]
    fn strict_transport_is_said_once() {
        let facts = ShapeFacts { date: b"now", request_id: "1", strict: Some("max-age=60") };
        for (answer, said) in [
            (AnswerHead::new(200), "max-age=60"),
            (AnswerHead::new(200).with("strict-transport-security", "max-age=5"), "max-age=5"),
        ] {
            let mut answer = answer;
            shape(&mut answer, facts);
            let lines =
                answer.fields.iter().filter(|field| field.raw_name.eq_ignore_ascii_case(b"strict-transport-security"));
            assert_eq!(lines.map(|field| field.value).collect::<Vec<_>>(), [said.as_bytes()]);
        }
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
