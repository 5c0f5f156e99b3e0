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
    /// An entity tag with its quotes; a weak one begins with `W/`.
    pub etag: &'a str,
    /// The last modification in seconds since 1970, where `Last-Modified` says it.
    pub modified_s: Option<u64>,
    /// Since when it is what it is here, which may be later: a file that was put back has its old time.
    pub changed_s: u64,
}

impl Validators<'_> {
    /// Strong comparison: a weak tag matches nothing (RFC 9110, 8.8.3.2).
    fn is_exactly(&self, tag: &[u8]) -> bool {
        !tag.starts_with(b"W/") && tag == self.etag.as_bytes()
    }

    fn is_like(&self, tag: &[u8]) -> bool {
        opaque(tag) == opaque(self.etag.as_bytes())
    }

    /// Whether whoever had it at this time has it still.
    fn is_unchanged_since(&self, since_s: u64) -> bool {
        let is_later = |modified_s| since_s > modified_s && since_s >= self.changed_s;
        self.modified_s.is_some_and(|modified_s| since_s == modified_s || is_later(modified_s))
    }
}

/// A tag without what says that it is weak.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
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
        let strong = |tag: &[u8]| current.is_exactly(tag);
        if !tags(Name::IfMatch).any(|value| value == b"*" || list_members(value).any(strong)) {
            return Precondition::Fails;
        }
    } else if let (Some(since_s), Some(modified_s)) = (date(Name::IfUnmodifiedSince), current.modified_s)
        && modified_s > since_s
    {
        return Precondition::Fails;
    }
    let is_unchanged = if tags(Name::IfNoneMatch).next().is_some() {
        let weak = |tag: &[u8]| current.is_like(tag);
        tags(Name::IfNoneMatch).any(|value| value == b"*" || list_members(value).any(weak))
    } else {
        date(Name::IfModifiedSince).is_some_and(|since_s| current.is_unchanged_since(since_s))
    };
    if is_unchanged { Precondition::Unchanged } else { Precondition::Holds }
}

/// Whether the ranges of a request count: `If-Range` is absent, or names exactly this state (RFC
/// 9110, 13.1.5). A date cannot tell a file from the same one compressed, where the whole would be sent so.
pub fn wants_range(head: &Head, current: Validators<'_>, would_be_packed: bool) -> bool {
    match head.fields.get(Name::IfRange) {
        None => true,
        Some(tag) if tag.starts_with(b"\"") || tag.starts_with(b"W/") => current.is_exactly(tag),
        Some(date) => !would_be_packed && current.modified_s.is_some() && seconds_of(date) == current.modified_s,
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

    const CURRENT: Validators<'static> =
        Validators { etag: "\"a\"", modified_s: Some(1_000_000_000), changed_s: 1_000_000_002 };
    const THEN: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
    const BEFORE: &str = "Sun, 09 Sep 2001 01:46:39 GMT";
    const BETWEEN: &str = "Sun, 09 Sep 2001 01:46:41 GMT";
    const AFTER: &str = "Sun, 09 Sep 2001 01:46:42 GMT";

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
            // It was put back in the meantime, with its old time.
            (format!("If-Modified-Since: {BETWEEN}\r\n"), Holds),
            (format!("If-Modified-Since: {AFTER}\r\n"), Unchanged),
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
        let weak = Validators { etag: "W/\"a\"", modified_s: None, changed_s: 0 };
        for (fields, is) in [
            ("If-None-Match: \"a\"\r\n".to_owned(), Unchanged),
            ("If-None-Match: W/\"a\"\r\n".into(), Unchanged),
            ("If-Match: W/\"a\"\r\n".into(), Fails),
            ("If-Match: \"a\"\r\n".into(), Fails),
            (format!("If-Modified-Since: {AFTER}\r\n"), Holds),
            (format!("If-Unmodified-Since: {BEFORE}\r\n"), Holds),
        ] {
            assert_eq!(check_preconditions(&head(&fields), weak), is, "{fields}");
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
            assert_eq!(wants_range(&head(&fields), CURRENT, false), counts, "{fields}");
        }
        let weak = Validators { etag: "W/\"a\"", modified_s: None, changed_s: 0 };
        for fields in [format!("If-Range: {THEN}\r\n"), "If-Range: W/\"a\"\r\n".into(), "If-Range: x\r\n".into()] {
            assert!(!wants_range(&head(&fields), weak, false), "{fields}");
        }
        assert!(!wants_range(&head(&format!("If-Range: {THEN}\r\n")), CURRENT, true), "parts of other bytes");
        assert!(wants_range(&head("If-Range: \"a\"\r\n"), CURRENT, true), "only these bytes have a strong tag");
    }
}
