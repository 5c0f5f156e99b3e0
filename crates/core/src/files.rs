//! In:     what follows a route's prefix in a normalised path; a file's size and time.
//! Out:    a relative path that is safe to open below a directory; media type and validators.
//! Actors: none: the edge opens, and the kernel keeps it below the directory.
//! Never:  is a dot file, a path that leaves the directory, or a name with a NUL or a slash in it opened.

use crate::route::percent_decode;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The file that a path names below a directory; nothing for names that are never served. A path
/// that ends with a slash names the `index.html` there.
pub fn relative_path(rest: &[u8]) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    let mut segments = rest.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_none() {
            path.push("index.html");
            break;
        }
        let name = percent_decode(segment);
        let never = name.is_empty() || name[0] == b'.' || name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0));
        if never {
            return None;
        }
        path.push(OsString::from_vec(name.into_owned()));
    }
    Some(path)
}

/// Whether a name has a fingerprint of the content in it, as build tools put it there (`app.3f2a9c1b.js`,
/// `index-BX2k3f9a.css`): under this name there will never be anything else. A part between `.` or `-`, and
/// before the ending, of at least 8 digits and letters, of which some are digits and some are not.
pub fn has_fingerprint(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let Some(end) = name.iter().rposition(|byte| *byte == b'.') else { return false };
    let mut parts = name[..end].split(|byte| matches!(byte, b'.' | b'-')).skip(1);
    parts.any(|part| {
        let is_hex = part.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
        let is_plain = part.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let is_mixed = part.iter().any(u8::is_ascii_digit) && part.iter().any(u8::is_ascii_alphabetic);
        let is_scrambled = part.len() == 8 && part.iter().any(u8::is_ascii_uppercase);
        part.len() >= 8 && is_plain && is_mixed && (is_hex || is_scrambled)
    })
}

/// The media type of a file by its name; text is UTF-8.
pub fn media_type(path: &std::path::Path) -> String {
    let guess = mime_guess::from_path(path).first_raw().unwrap_or("application/octet-stream");
    let is_text = guess.starts_with("text/") || matches!(guess, "application/json" | "application/javascript");
    if is_text { format!("{guess}; charset=utf-8") } else { guess.to_owned() }
}

/// A strong entity tag from time (nanoseconds since 1970) and size.
pub fn entity_tag(modified_ns: u64, bytes: u64) -> String {
    format!("\"{modified_ns:x}-{bytes:x}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn only_plain_names_below_the_directory() {
        for (rest, path) in [
            ("a.css", Some("a.css")),
            ("x/y%20z.js", Some("x/y z.js")),
            ("x/", Some("x/index.html")),
            ("", Some("index.html")),
            (".git/config", None),
            ("%2e%2e/etc/passwd", None),
            ("..", None),
            ("a%2Fb", None),
            ("a%5Cb", None),
            ("a%00.css", None),
            ("x//y", None),
        ] {
            assert_eq!(relative_path(rest.as_bytes()), path.map(PathBuf::from), "{rest}");
        }
    }

    #[test]
    fn fingerprints_of_build_tools() {
        for name in ["/a/app.3f2a9c1b.js", "/main-BX2k3f9a.css", "base.27e20196a850.css", "chunk-4f5e6a7b.min.js"] {
            assert!(has_fingerprint(name.as_bytes()), "{name}");
        }
        for name in
            ["app.js", "jquery-3.6.0.min.js", "report-20240101.pdf", "my-document1.pdf", "3f2a9c1b.js", "a.deadbeef"]
        {
            assert!(!has_fingerprint(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn text_says_its_charset() {
        assert_eq!(media_type(Path::new("a.css")), "text/css; charset=utf-8");
        assert_eq!(media_type(Path::new("a.png")), "image/png");
        assert_eq!(media_type(Path::new("a")), "application/octet-stream");
    }
}
