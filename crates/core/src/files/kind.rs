//! In:     the name of a file, the first of its bytes.
//! Out:    its media type; whether it is UTF-8; the coding that it has by its name.
//! Actors: none.
//! Never:  is a text in another charset called UTF-8.

use std::path::Path;

/// Where the table of all types says what browsers or programs do not expect; most as nginx has them.
const OWN: [(&str, &str); 17] = [
    ("cjs", "text/javascript"),
    ("deb", "application/vnd.debian.binary-package"),
    ("jsonl", "application/x-ndjson"),
    ("m2ts", "video/mp2t"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4s", "video/iso.segment"),
    ("map", "application/json"),
    ("mjs", "text/javascript"),
    ("mts", "video/mp2t"),
    ("ndjson", "application/x-ndjson"),
    ("rpm", "application/x-redhat-package-manager"),
    ("svgz", "image/svg+xml"),
    ("tgz", "application/gzip"),
    ("ts", "video/mp2t"),
    ("usdz", "model/vnd.usdz+zip"),
    ("vcf", "text/vcard"),
    ("woff", "font/woff"),
];

/// The media type of a file by its name. Text says its charset where that is known: what a page says of it by itself
/// does not count beside that.
pub fn media_type(path: &Path, is_utf8: bool) -> String {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let own = OWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending)).map(|(_, kind)| *kind);
    // It has no ending, and is asked for by programs (Apple, "Supporting associated domains").
    let is_apples = path.file_name().is_some_and(|name| name == "apple-app-site-association");
    let by_name = is_apples.then_some("application/json");
    let guess =
        own.or(by_name).or_else(|| mime_guess::from_path(path).first_raw()).unwrap_or("application/octet-stream");
    if is_utf8 && is_text(guess) { format!("{guess}; charset=utf-8") } else { guess.to_owned() }
}

/// Whether a type has a charset.
fn is_text(kind: &str) -> bool {
    kind.starts_with("text/") || matches!(kind, "application/json" | "application/javascript")
}

/// The coding in which a file is by its name, whatever its reader can unpack: there is no other one of it.
pub fn own_coding(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?;
    ending.eq_ignore_ascii_case("svgz").then_some("gzip")
}

/// Whether a text is UTF-8, as far as its beginning tells. NUL and escape are of other charsets whose bytes would all
/// do (UTF-16, ISO-2022).
pub fn is_utf8(beginning: &[u8], is_whole: bool) -> bool {
    let is_valid = match std::str::from_utf8(beginning) {
        Ok(_) => true,
        // The last character may be cut off.
        Err(error) => !is_whole && error.error_len().is_none(),
    };
    is_valid && memchr::memchr2(0, 0x1b, beginning).is_none()
}
