//! In:     the path of a request target, still percent-encoded.
//! Out:    the one spelling of it that is matched and forwarded.
//! Actors: none.
//! Never:  does a normalised path hold `..`, `//`, `%00` or an encoded unreserved byte.

use crate::fault::Fault;
use std::borrow::Cow;

/// One spelling for every equivalent path (RFC 3986, 6.2.2): unreserved %XX decoded, other %XX in
/// upper case, dot segments resolved, `//` merged. `%2F` stays, it is never a separator.
///
/// # Errors
/// 400 for a bad %XX, %00, a backslash, or `..` above the root.
pub fn normalise(path: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    if is_normal(path) { Ok(Cow::Borrowed(path)) } else { respelled(path, true).map(Cow::Owned) }
}

/// The same, with every slash kept.
///
/// # Errors
/// As above.
pub(super) fn normalise_segments(path: &[u8]) -> Result<Vec<u8>, Fault> {
    respelled(path, false)
}

fn respelled(path: &[u8], merges_slashes: bool) -> Result<Vec<u8>, Fault> {
    let spelled = respell(path)?;
    let mut out: Vec<u8> = Vec::with_capacity(spelled.len());
    let mut segments = spelled.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b".." => {
                let parent = out.iter().rposition(|byte| *byte == b'/');
                out.truncate(parent.ok_or(Fault::BadRequest("The path goes above the root."))?);
            }
            b"." => {}
            b"" if merges_slashes || is_last => {}
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
                continue;
            }
        }
        if is_last {
            out.push(b'/');
        }
    }
    Ok(out)
}

/// Whether nothing has to be rewritten or refused; true for nearly every request.
fn is_normal(path: &[u8]) -> bool {
    let mut previous = 0;
    for byte in path {
        match byte {
            b'%' | b'\\' => return false,
            b'/' | b'.' if previous == b'/' => return false,
            _ => previous = *byte,
        }
    }
    true
}

/// Decodes %XX of unreserved bytes and writes the others in upper case.
fn respell(path: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'\\' => return Err(Fault::BadRequest("The path has a backslash.")),
            b'%' => {
                let Some((pair, tail)) = rest.split_at_checked(2) else {
                    return Err(Fault::BadRequest("The path has a percent sign without two hexadecimal digits."));
                };
                rest = tail;
                match hex_pair(pair) {
                    None => {
                        return Err(Fault::BadRequest("The path has a percent sign without two hexadecimal digits."));
                    }
                    Some(0) => return Err(Fault::BadRequest("The path has a NUL.")),
                    Some(plain) if plain.is_ascii_alphanumeric() || b"-._~".contains(&plain) => out.push(plain),
                    Some(_) => out.extend([b'%', pair[0].to_ascii_uppercase(), pair[1].to_ascii_uppercase()]),
                }
            }
            _ => out.push(*byte),
        }
    }
    Ok(out)
}

/// Every %XX of a normalised path as its byte. What is no %XX stays as it is.
pub fn percent_decode(path: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'%', path) else {
        return Cow::Borrowed(path);
    };
    let mut out = path[..first].to_vec();
    let mut rest = &path[first..];
    while let Some((byte, tail)) = rest.split_first() {
        match tail.get(..2).filter(|_| *byte == b'%').and_then(hex_pair) {
            Some(plain) => {
                out.push(plain);
                rest = &tail[2..];
            }
            None => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    Cow::Owned(out)
}

/// Whether a target has segments that lead elsewhere (`.` and `..`, also encoded), before it is spelled in one way.
pub fn has_dot_segments(target: &[u8]) -> bool {
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    path.split(|byte| *byte == b'/').any(|segment| matches!(&*percent_decode(segment), b"." | b".."))
}

/// Appends `%XX`.
pub(crate) fn put_escaped(out: &mut Vec<u8>, byte: u8) {
    let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble & 15)];
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    let (high, low) = (digit(*pair.first()?)?, digit(*pair.get(1)?)?);
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table stands in `cases/paths.txt`: `in -> out`, or `in -> 400`.
    #[test]
    fn the_case_table_holds() {
        let table = include_str!("../../cases/paths.txt");
        let mut rows = 0;
        for row in table.lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
            let (raw, expected) = row.split_once(" -> ").unwrap();
            let seen = match normalise(raw.as_bytes()) {
                Ok(path) => String::from_utf8_lossy(&path).into_owned(),
                Err(fault) => fault.status().to_string(),
            };
            assert_eq!(seen, expected, "{raw}");
            rows += 1;
        }
        assert!(rows > 30, "the table was not read: {rows} rows");
    }

    #[test]
    fn slashes_may_be_kept() {
        for (raw, path) in
            [("//a///b/", "//a///b/"), ("/a//../b", "/a/b"), ("/a/./b/.", "/a/b/"), ("/", "/"), ("//", "//")]
        {
            assert_eq!(String::from_utf8(normalise_segments(raw.as_bytes()).unwrap()).unwrap(), path, "{raw}");
        }
    }

    #[test]
    fn segments_that_lead_elsewhere_are_found() {
        for (target, expected) in [
            ("/a/../b", true),
            ("/a/%2e%2E", true),
            ("/./", true),
            ("/.%2e?x", true),
            ("/a/...", false),
            ("/.a/b.?x=/../", false),
            ("/%2e%2fa", false),
            ("", false),
        ] {
            assert_eq!(has_dot_segments(target.as_bytes()), expected, "{target}");
        }
    }

    #[test]
    fn decoding_leaves_what_is_not_encoded() {
        assert_eq!(&*percent_decode(b"/a%20b%2Fc%zz%4"), b"/a b/c%zz%4");
    }
}
