//! In:     the preconditions of a request, the validators of what is there.
//! Out:    whether the client already has it, may have it, or must not.
//! Actors: none.
//! Never:  does a date decide where an entity tag was sent (RFC 9110, 13.2.2).

use crate::fields::{Name, list_members};
use crate::head::Head;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What tells one state of a resource from another.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// A strong entity tag with its quotes.
    pub etag: &'a str,
    /// The last modification in seconds since 1970, as `Last-Modified` says it.
    pub modified_s: u64,
}

/// What the preconditions of a GET or HEAD come to (RFC 9110, 13.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The answer is sent.
    Holds,
    /// The client has it: 304.
    Unchanged,
    /// It is not in the state that the client asks for: 412.
    Fails,
}

/// Evaluates the preconditions in the order of RFC 9110, 13.2.2. A date that is none is ignored.
pub fn check_preconditions(head: &Head, current: Validators<'_>) -> Precondition {
    let tags = |name| head.fields.iter().filter(move |field| field.name == name).map(|field| field.value);
    let date = |name| head.fields.get(name).and_then(seconds_of);
    if tags(Name::IfMatch).next().is_some() {
        // Strong comparison: a weak tag matches nothing.
        let strong = |tag: &[u8]| tag == current.etag.as_bytes();
        if !tags(Name::IfMatch).any(|value| value == b"*" || list_members(value).any(strong)) {
            return Precondition::Fails;
        }
    } else if date(Name::IfUnmodifiedSince).is_some_and(|since_s| current.modified_s > since_s) {
        return Precondition::Fails;
    }
    let is_unchanged = if tags(Name::IfNoneMatch).next().is_some() {
        let weak = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == current.etag.as_bytes();
        tags(Name::IfNoneMatch).any(|value| value == b"*" || list_members(value).any(weak))
    } else {
        date(Name::IfModifiedSince).is_some_and(|since_s| current.modified_s <= since_s)
    };
    if is_unchanged { Precondition::Unchanged } else { Precondition::Holds }
}

/// Whether the ranges of a request count: `If-Range` is absent, or names exactly this state (RFC
/// 9110, 13.1.5).
pub fn wants_range(head: &Head, current: Validators<'_>) -> bool {
    match head.fields.get(Name::IfRange) {
        None => true,
        Some(tag) if tag.starts_with(b"\"") || tag.starts_with(b"W/") => tag == current.etag.as_bytes(),
        Some(date) => seconds_of(date) == Some(current.modified_s),
    }
}

fn seconds_of(value: &[u8]) -> Option<u64> {
    let date: SystemTime = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    Some(date.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;

    fn head(fields: &str) -> Head {
        let mut head = Head::default();
        parse_head(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes(), 99, &mut head).unwrap();
        head
    }

    const CURRENT: Validators<'static> = Validators { etag: "\"a\"", modified_s: 1_000_000_000 };
    const THEN: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
    const BEFORE: &str = "Sun, 09 Sep 2001 01:46:39 GMT";

    #[test]
    fn tags_go_before_dates() {
        use Precondition::{Fails, Holds, Unchanged};
        for (fields, is) in [
            (String::new(), Holds),
            ("If-None-Match: \"a\"\r\n".into(), Unchanged),
            ("If-None-Match: \"b\", W/\"a\"\r\n".into(), Unchanged),
            ("If-None-Match: \"b\"\r\nIf-None-Match: \"a\"\r\n".into(), Unchanged),
            ("If-None-Match: *\r\n".into(), Unchanged),
            (format!("If-None-Match: \"b\"\r\nIf-Modified-Since: {THEN}\r\n"), Holds),
            (format!("If-Modified-Since: {THEN}\r\n"), Unchanged),
            (format!("If-Modified-Since: {BEFORE}\r\n"), Holds),
            ("If-Modified-Since: yesterday\r\n".into(), Holds),
            ("If-Match: \"a\"\r\n".into(), Holds),
            ("If-Match: *\r\n".into(), Holds),
            ("If-Match: W/\"a\"\r\n".into(), Fails),
            ("If-Match: \"b\"\r\nIf-None-Match: \"a\"\r\n".into(), Fails),
            (format!("If-Unmodified-Since: {THEN}\r\n"), Holds),
            (format!("If-Unmodified-Since: {BEFORE}\r\n"), Fails),
            (format!("If-Match: \"a\"\r\nIf-Unmodified-Since: {BEFORE}\r\n"), Holds),
        ] {
            assert_eq!(check_preconditions(&head(&fields), CURRENT), is, "{fields}");
        }
    }

    #[test]
    fn ranges_count_for_this_state_only() {
        for (fields, counts) in [
            (String::new(), true),
            ("If-Range: \"a\"\r\n".into(), true),
            ("If-Range: W/\"a\"\r\n".into(), false),
            ("If-Range: \"b\"\r\n".into(), false),
            (format!("If-Range: {THEN}\r\n"), true),
            (format!("If-Range: {BEFORE}\r\n"), false),
            ("If-Range: nonsense\r\n".into(), false),
        ] {
            assert_eq!(wants_range(&head(&fields), CURRENT), counts, "{fields}");
        }
    }
}
