//! In:     a directory behind `--static`.
//! Out:    its files with their types and validators; nothing else of the machine.
//! Actors: one hallway.
//! Never:  is anything outside the directory, or hidden in it, served.

use super::client::{get, request};
use super::stage::Stage;
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
    let before = get(hallway.address, "/static/a.txt");
    fs::write(public.join("a.txt"), "other").unwrap();
    let after = get(hallway.address, "/static/a.txt");
    assert_eq!(after.text(), "other");
    assert_ne!(before.header("etag"), after.header("etag"));
}
