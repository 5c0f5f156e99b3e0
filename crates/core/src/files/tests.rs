//! In:     names, contents and times of files.
//! Out:    what is served of them, and what is said of it.
//! Actors: none.
//! Never:  -

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
        ("a%5Cb", Some("a\\b")),
        ("..%5Ca", None),
        ("a%00.css", None),
        ("x//y", None),
        (".well-known/security.txt", Some(".well-known/security.txt")),
        (".well-known/", Some(".well-known/index.html")),
        (".well-known", Some(".well-known")),
        (".well-known/.htpasswd", None),
        (".well-known/../.git", None),
        ("x/.well-known/a", None),
        (".well-knownx/a", None),
    ] {
        assert_eq!(relative_path(rest.as_bytes()), path.map(PathBuf::from), "{rest}");
    }
}

#[test]
fn fingerprints_of_build_tools() {
    for name in ["/a/app.3f2a9c1b.js", "/main-BX2k3f9a.css", "base.27e20196a850.css", "chunk-4f5e6a7b.min.js"] {
        assert!(has_fingerprint(name.as_bytes()), "{name}");
    }
    for name in [
        "app.js",
        "jquery-3.6.0.min.js",
        "report-20240101.pdf",
        "my-document1.pdf",
        "3f2a9c1b.js",
        "a.deadbeef",
        // Whose, not which.
        "avatar-550e8400-e29b-41d4-a716-4466554400ab.png",
        "550e8400-e29b-41d4-a716-4466554400ab.jpg",
        "photo-20240101a.jpg",
        "backup-3f2a9c1b.tar",
        "letter-3f2a9c1b.pdf",
    ] {
        assert!(!has_fingerprint(name.as_bytes()), "{name}");
    }
}

#[test]
fn types_as_browsers_and_programs_want_them() {
    for (name, kind) in [
        ("a.css", "text/css; charset=utf-8"),
        ("a.png", "image/png"),
        ("a", "application/octet-stream"),
        ("a.rpm", "application/x-redhat-package-manager"),
        ("a.ts", "video/mp2t"),
        ("A.TS", "video/mp2t"),
        ("a.svgz", "image/svg+xml"),
        ("a.m3u8", "application/vnd.apple.mpegurl"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.woff", "font/woff"),
        ("a.js.map", "application/json; charset=utf-8"),
        (".well-known/apple-app-site-association", "application/json; charset=utf-8"),
    ] {
        assert_eq!(media_type(Path::new(name), true), kind, "{name}");
    }
    assert_eq!(media_type(Path::new("a.html"), false), "text/html");
    assert_eq!((own_coding(Path::new("a.svgz")), own_coding(Path::new("a.svg"))), (Some("gzip"), None));
}

#[test]
fn only_utf8_is_called_that() {
    for (text, is_whole, is) in [
        (&b"plain"[..], true, true),
        ("gr\u{fc}n".as_bytes(), true, true),
        (b"gr\xfcn", true, false),
        (b"gr\xc3", true, false),
        (b"gr\xc3", false, true),
        (b"\xff\xfea\0", true, false),
        (b"a\0b\0", true, false),
        (b"\x1b$B", true, false),
        (b"", true, true),
    ] {
        assert_eq!(is_utf8(text, is_whole), is, "{text:?}");
    }
}

#[test]
fn times_vouch_for_what_they_can() {
    const S: u64 = 1_000_000_000;
    let now_ns = 1_700_000_000 * S + S / 2;
    let state = |modified_ns, changed_ns| State { number: 3, bytes: 7, modified_ns, changed_ns };
    let old = 1_600_000_000 * S + 5;
    for (what, state, is_settled, modified_s) in [
        ("old", state(old, old), true, Some(1_600_000_000)),
        ("put there now, with its old time", state(old, now_ns - 5), false, Some(1_600_000_000)),
        ("written now", state(now_ns - 5, now_ns - 5), false, Some(1_699_999_999)),
        ("written a second ago", state(now_ns - S - 5, now_ns - S - 5), true, Some(1_699_999_999)),
        ("whole seconds", state(old, 1_699_999_999 * S), false, Some(1_600_000_000)),
        ("set to the beginning", state(0, old), true, None),
        ("set to the second after it", state(S, old), true, None),
        ("set to what is to come", state(now_ns + 9 * S, old), true, None),
        ("beyond all times", state(u64::MAX, old), true, None),
    ] {
        assert_eq!(state.vouch(now_ns), Vouched { is_settled, modified_s }, "{what}");
    }
    let (one, other) = (state(old, old), state(old, old + 1));
    assert!(one.tag(true) != other.tag(true), "the same time of the last write, and length");
    assert!(one.tag(false).starts_with("W/") && !one.tag(false).contains(&one.tag(true)[1..]));
    assert!(content_tag(b"a") != content_tag(b"b") && content_tag(b"a") == content_tag(b"a"));
}
