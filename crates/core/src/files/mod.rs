//! In:     what follows a route's prefix in a normalised path; a file's size and time.
//! Out:    a relative path that is safe to open below a directory; media type and validators.
//! Actors: none: the edge opens, and the kernel keeps it below the directory.
//! Never:  is a dot file but `.well-known`, a path that leaves the directory, or a name with a NUL or a slash in it opened.

mod kind;
mod state;

use crate::route::percent_decode;
pub use kind::{is_utf8, media_type, own_coding};
pub use state::{State, Vouched, content_tag};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What everybody may ask a site for, the one name with a dot that is served (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// Whether a path below a directory leads to what programs ask every site for.
pub fn is_well_known(rest: &[u8]) -> bool {
    rest.split(|byte| *byte == b'/').next() == Some(WELL_KNOWN)
}

/// The file that a path names below a directory; nothing for names that are never served. A path
/// that ends with a slash names the `index.html` there. A backslash is a byte like any other here: one that was
/// not encoded has been refused before.
pub fn relative_path(rest: &[u8]) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    let mut segments = rest.split(|byte| *byte == b'/').peekable();
    if is_well_known(rest) {
        segments.next();
        path.push(".well-known");
    }
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_none() {
            path.push("index.html");
            break;
        }
        let name = percent_decode(segment);
        let never = name.is_empty() || name[0] == b'.' || name.iter().any(|byte| matches!(byte, b'/' | 0));
        if never {
            return None;
        }
        path.push(OsString::from_vec(name.into_owned()));
    }
    Some(path)
}

/// Whether a name has a fingerprint of the content in it, as build tools put it there (`app.3f2a9c1b.js`,
/// `index-BX2k3f9a.css`): under this name there will never be anything else. A part between `.` or `-`, and
/// before an ending that build tools make, of at least 8 digits and letters, of which some are digits and some are
/// not. A UUID says whose a file is, and a day when, not what is in it.
pub fn has_fingerprint(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let Some(end) = name.iter().rposition(|byte| *byte == b'.') else { return false };
    let mut parts = name[..end].split(|byte| matches!(byte, b'.' | b'-')).skip(1);
    let has_one = parts.any(|part| {
        let is_hex = part.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
        let is_plain = part.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let is_mixed = part.iter().any(u8::is_ascii_digit) && part.iter().any(u8::is_ascii_alphabetic);
        let is_scrambled = part.len() == 8 && part.iter().any(u8::is_ascii_uppercase);
        part.len() >= 8 && is_plain && is_mixed && (is_hex || is_scrambled) && !begins_with_day(part)
    });
    // Few names come as far as that.
    let is_built = || BUILT.iter().any(|ending| name[end + 1..].eq_ignore_ascii_case(ending.as_bytes()));
    has_one && is_built() && !has_uuid(&name[..end])
}

/// What build tools put fingerprints on.
const BUILT: [&str; 27] = [
    "js",
    "mjs",
    "cjs",
    "css",
    "map",
    "json",
    "wasm",
    "webmanifest",
    "woff",
    "woff2",
    "ttf",
    "otf",
    "eot",
    "svg",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "webp",
    "avif",
    "ico",
    "mp3",
    "mp4",
    "webm",
    "ogg",
    "vtt",
    "txt",
];

/// Whether a name holds a UUID (RFC 9562).
fn has_uuid(name: &[u8]) -> bool {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_uuid = |window: &[u8]| {
        let mut parts = window.split(|byte| *byte == b'-');
        let fits = |part: &[u8], length| part.len() == length && part.iter().all(u8::is_ascii_hexdigit);
        LENGTHS.iter().all(|length| parts.next().is_some_and(|part| fits(part, *length)))
    };
    name.windows(36).any(is_uuid)
}

/// Whether it begins with a day as 20240229.
fn begins_with_day(part: &[u8]) -> bool {
    let number = |from: usize, to: usize| std::str::from_utf8(part.get(from..to)?).ok()?.parse::<u32>().ok();
    let (year, month, day) = (number(0, 4), number(4, 6), number(6, 8));
    let is_in = |number: Option<u32>, from: u32, to: u32| number.is_some_and(|number| (from..=to).contains(&number));
    is_in(year, 1970, 2099) && is_in(month, 1, 12) && is_in(day, 1, 31)
}

#[cfg(test)]
mod tests;
