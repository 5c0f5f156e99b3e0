//! In:     the preconditions of a request, the validators of what is there.
//! Out:    whether the client already has it.
//! Actors: none.
//! Never:  does a date decide where an entity tag was sent (RFC 9110, 13.2.2).

use crate::fields::{Name, list_members};
use crate::head::Head;

/// What tells one state of a resource from another.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// A strong entity tag with its quotes.
    pub etag: &'a str,
    /// The last modification as an HTTP date.
    pub last_modified: &'a str,
}

/// Whether a GET or HEAD may be answered 304 (RFC 9110, 13.1.2 and 13.1.3). A date counts only
/// when it is exactly the one that was given out, as nginx does by default.
pub fn is_unchanged(head: &Head, current: Validators<'_>) -> bool {
    let mut tags = head.fields.iter().filter(|field| field.name == Name::IfNoneMatch).peekable();
    if tags.peek().is_some() {
        let weak = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == current.etag.as_bytes();
        return tags.any(|field| field.value == b"*" || list_members(field.value).any(weak));
    }
    head.fields.get(Name::IfModifiedSince) == Some(current.last_modified.as_bytes())
}
