//! In:     a directory behind `--static`.
//! Out:    its files with their types and validators; nothing else of the machine.
//! Actors: one hallway.
//! Never:  is anything outside the directory, or hidden in it, served.

use super::client::{get, request};
use super::stage::{Stage, wait_until};
use std::fs;
use std::os::unix::fs::symlink;

const APP: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app: " + environ["PATH_INFO"].encode()]
"#;

#[test]
fn files_are_served_beside_the_app() {
    let large = "0123456789abcdef".repeat(100_000);
    let stage = Stage::with_app(APP)
        .file("public/style.css", "body { color: red }")
        .file("public/sub/index.html", "<h1>index</h1>")
        .file("public/large.txt", &large)
        .file("public/.secret", "hidden")
        .file("outside.txt", "outside");
    let public = stage.dir.join("public");
    symlink(stage.dir.join("outside.txt"), public.join("out.txt")).unwrap();
    symlink("style.css", public.join("inner.css")).unwrap();
    let mapping = format!("/static={}", public.display());
    let hallway = stage.run(&["-w", "1", "--static", &mapping, "app:app"]);
    let address = hallway.address;

    let css = get(address, "/static/style.css");
    assert_eq!((css.status, css.text().as_str()), (200, "body { color: red }"));
    assert_eq!(css.header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(css.header("content-length"), Some("19"));
    let etag = css.header("etag").unwrap();
    let date = css.header("last-modified").unwrap();

    let head = request(address, "HEAD", "/static/style.css", "");
    assert_eq!((head.status, head.header("content-length"), head.header("etag")), (200, Some("19"), Some(etag)));
    for fields in [format!("If-None-Match: {etag}\r\n"), format!("If-Modified-Since: {date}\r\n")] {
        let unchanged = request(address, "GET", "/static/style.css", &fields);
        assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some(etag)));
    }
    assert_eq!(request(address, "GET", "/static/style.css", "If-None-Match: \"other\"\r\n").status, 200);
    assert_eq!(get(address, "/static/large.txt").text(), large);
    assert_eq!(get(address, "/static/inner.css").status, 200, "a symlink within the directory");
    assert_eq!(get(address, "/static/sub/").text(), "<h1>index</h1>");
    assert_eq!(get(address, "/static/sub?q=1").header("location"), Some("/static/sub/?q=1"));
    assert_eq!(get(address, "/static").header("location"), Some("/static/"));

    let post = request(address, "POST", "/static/style.css", "Content-Length: 0\r\n");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
    for path in [
        "/static/none.css",
        "/static/.secret",
        "/static/out.txt",
        "/static/%2e%2e%2foutside.txt",
        "/static/..%2foutside.txt",
        "/static/..%5coutside.txt",
        "/static/sub%2findex.html",
        "/static/",
    ] {
        let refused = get(address, path);
        assert_eq!(refused.status, 404, "{path}: {}", refused.text());
    }
    assert_eq!(get(address, "/static/../outside.txt").text(), "the app: /outside.txt", "resolved before it is matched");
    assert_eq!(get(address, "/staticx").text(), "the app: /staticx", "a prefix ends at a segment");
}

#[test]
fn what_is_no_file_is_not_opened() {
    let stage = Stage::with_app(APP).file("public/a.txt", "a");
    let public = stage.dir.join("public");
    rustix::fs::mkfifoat(rustix::fs::CWD, public.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
    let mapping = format!("/static={}", public.display());
    let hallway = stage.run(&["-w", "1", "--static", &mapping, "app:app"]);
    assert_eq!(get(hallway.address, "/static/pipe").status, 404);
}

#[test]
fn changes_are_seen_within_a_moment() {
    let large = "x".repeat(300_000);
    let stage =
        Stage::with_app(APP).file("first/a.txt", "a").file("first/large.txt", &large).file("second/a.txt", "second");
    let dir = stage.dir.clone();
    symlink("first", dir.join("current")).unwrap();
    let mapping = format!("/static={}", dir.join("current").display());
    let hallway = stage.run(&["-w", "1", "--static", &mapping, "app:app"]);
    let address = hallway.address;
    // Each event loop looks for itself, a tenth of a second after its last look at the latest.
    let shows = |path: &str, text: &str| wait_until(|| (0..4).all(|_| get(address, path).text() == text).then_some(()));
    let before = get(address, "/static/a.txt");
    assert_eq!(before.text(), "a");
    fs::write(dir.join("first/a.txt"), "written over").unwrap();
    shows("/static/a.txt", "written over");
    wait_until(|| (before.header("etag") != get(address, "/static/a.txt").header("etag")).then_some(()));
    fs::write(dir.join("first/new.txt"), "renamed over").unwrap();
    fs::rename(dir.join("first/new.txt"), dir.join("first/a.txt")).unwrap();
    shows("/static/a.txt", "renamed over");
    assert_eq!(get(address, "/static/large.txt").text(), large);
    // What is written over while it is sent would be cut.
    fs::write(dir.join("first/new.txt"), "y".repeat(200_000)).unwrap();
    fs::rename(dir.join("first/new.txt"), dir.join("first/large.txt")).unwrap();
    shows("/static/large.txt", &"y".repeat(200_000));
    // How releases are switched: a link is renamed over the other.
    symlink("second", dir.join("next")).unwrap();
    fs::rename(dir.join("next"), dir.join("current")).unwrap();
    shows("/static/a.txt", "second");
    fs::remove_file(dir.join("second/a.txt")).unwrap();
    for path in ["/static/a.txt", "/static/large.txt"] {
        wait_until(|| (0..4).all(|_| get(address, path).status == 404).then_some(()));
    }
}

#[test]
fn parts_of_files() {
    let text: String = (0..200_000u32).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    let stage = Stage::with_app(APP).file("public/small.txt", "0123456789").file("public/large.txt", &text);
    let mapping = format!("/static={}", stage.dir.join("public").display());
    let hallway = stage.run(&["-w", "1", "--static", &mapping, "app:app"]);
    let ask = |path: &str, fields: &str| request(hallway.address, "GET", path, fields);

    let part = ask("/static/small.txt", "Range: bytes=2-4\r\n");
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(ask("/static/small.txt", "Range: bytes=-3\r\n").text(), "789");
    let (etag, date) = (part.header("etag").unwrap(), part.header("last-modified").unwrap());
    for (fields, status) in [
        (format!("Range: bytes=2-4\r\nIf-Range: {etag}\r\n"), 206),
        (format!("Range: bytes=2-4\r\nIf-Range: {date}\r\n"), 206),
        ("Range: bytes=2-4\r\nIf-Range: \"other\"\r\n".to_owned(), 200),
        (format!("Range: bytes=2-4\r\nIf-None-Match: {etag}\r\n"), 304),
        ("If-Match: \"other\"\r\n".to_owned(), 412),
        (format!("If-Match: {etag}\r\n"), 200),
        ("If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n".to_owned(), 412),
        ("If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n".to_owned(), 200),
        (format!("If-Modified-Since: {date}\r\n"), 304),
        ("Range: lines=1-2\r\n".to_owned(), 200),
    ] {
        assert_eq!(ask("/static/small.txt", &fields).status, status, "{fields}");
    }
    let beyond = ask("/static/small.txt", "Range: bytes=10-\r\n");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */10")));

    let several = ask("/static/large.txt", "Range: bytes=0-9,100000-100009,-5\r\n");
    assert_eq!(several.status, 206);
    let kind = several.header("content-type").unwrap().to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let body = several.text();
    let parts: Vec<&str> = body.split(&format!("\r\n--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[4]), (5, "", "--\r\n"), "{body}");
    for (part, (range, bytes)) in parts[1..4].iter().zip([
        ("0-9", &text[..10]),
        ("100000-100009", &text[100_000..100_010]),
        ("199995-199999", &text[199_995..]),
    ]) {
        let head = format!("\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes {range}/200000");
        assert_eq!(*part, format!("{head}\r\n\r\n{bytes}"));
    }
    let tail = ask("/static/large.txt", "Range: bytes=65530-\r\n");
    assert_eq!((tail.status, tail.text().as_str()), (206, &text[65_530..]));
    let head = request(hallway.address, "HEAD", "/static/large.txt", "Range: bytes=0-1\r\n");
    assert_eq!((head.status, head.header("content-length")), (200, Some("200000")), "ranges are for GET");
}

#[test]
fn what_is_stored_in_another_coding_is_sent_in_it() {
    let stage = Stage::with_app(APP)
        .file("public/app.js", "plain")
        .file("public/app.js.gz", "as gzip")
        .file("public/app.js.br", "as brotli")
        .file("public/alone.js", "alone");
    let mapping = format!("/static={}", stage.dir.join("public").display());
    let hallway = stage.run(&["-w", "1", "--static", &mapping, "app:app"]);
    let ask = |path: &str, accept: &str| {
        let fields = if accept.is_empty() { String::new() } else { format!("Accept-Encoding: {accept}\r\n") };
        request(hallway.address, "GET", path, &fields)
    };
    let mut tags = std::collections::BTreeSet::new();
    for (accept, text, coding) in [
        ("", "plain", None),
        ("gzip, deflate, br, zstd", "as brotli", Some("br")),
        ("gzip", "as gzip", Some("gzip")),
        ("zstd", "plain", None),
    ] {
        let answer = ask("/static/app.js", accept);
        assert_eq!((answer.text().as_str(), answer.header("content-encoding")), (text, coding), "{accept}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        tags.insert(answer.header("etag").unwrap().to_owned());
    }
    assert_eq!(tags.len(), 3, "a tag for each representation: {tags:?}");
    let alone = ask("/static/alone.js", "gzip, br");
    assert_eq!((alone.text().as_str(), alone.header("vary")), ("alone", None));
}
