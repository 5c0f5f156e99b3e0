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
    fn text_says_its_charset() {
        assert_eq!(media_type(Path::new("a.css")), "text/css; charset=utf-8");
        assert_eq!(media_type(Path::new("a.png")), "image/png");
        assert_eq!(media_type(Path::new("a")), "application/octet-stream");
    }
}
