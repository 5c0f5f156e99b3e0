//! In:     answers that depend on who asks and on what the client can unpack; guesses, errors, redirects.
//! Out:    what caches on the way may do with them.
//! Actors: hallway with files, an app and a server; a client.
//! Never:  does a cache give somebody what is another's, in a coding that he cannot read, or for longer than it holds.

use super::client::{Answer, Connection};
use super::served::Served;
use super::stage::Stage;
use super::upstream::Canned;

const APP: &str = r#"
def app(environ, start_response):
    unchanged = "HTTP_IF_NONE_MATCH" in environ
    status = "304 Not Modified" if unchanged else "200 OK"
    start_response(status, [("ETag", '"a"')] + [] if unchanged else [("ETag", '"a"'), ("Content-Type", "text/html")])
    return [] if unchanged or environ["REQUEST_METHOD"] == "HEAD" else [b"words " * 1000]
"#;

/// The password is "secret"; made by htpasswd.
const FILE: &str = r#"
[server]
http = "HTTP"
threads = 1
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[pool.api]
servers = ["http://CANNED"]
[pool.sticky]
servers = ["http://CANNED"]
sticky = { cookie = "at" }
[site."*"]
routes = [
  { path = "/packed/*", files = "static", compress = true },
  { path = "/as-it-is/*", files = "static", compress = true, cache_control = "no-transform" },
  { path = "/static/*", files = { dir = "static", list = true } },
  { path = "/long/*", files = "static", cache_control = "public, max-age=31536000, immutable" },
  { path = "/pages/*", files = { dir = "static", fallback = "index.html" } },
  { path = "/latest/*", files = "static", rewrite = "/app.3f2a9c1b.js" },
  { path = "/users/*", files = "static", basic_auth = { users = { alice = "$2y$05$SlVdZUAc0HMRj5qEmLes.ul1wYmmkpKMebaWA0qun6qIbAvR7choG" } } },
  { path = "/near/*", files = "static", allow = "127.0.0.0/8" },
  { path = "/test/*", files = "static", header = { X-Test = true } },
  { path = "/marked/*", files = "static", headers = { add = { Set-Cookie = "a=1" } } },
  { path = "/app/*", app = "web", compress = true },
  { path = "/pool/*", pool = "api", compress = true },
  { path = "/sticky/*", pool = "sticky" },
  { path = "/open/*", files = "static", cors = true },
]
"#;

const TAGGED: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n";

fn start() -> (Served, Canned) {
    let canned = Canned::start(|head| {
        let body = "words ".repeat(1000);
        let kind = if head.contains("/sticky") { "Cache-Control: public, max-age=60\r\n" } else { "" };
        let length = body.len();
        match (head.contains("If-None-Match"), head.starts_with("HEAD")) {
            (true, _) => TAGGED.into(),
            (_, is_head) => {
                let body = if is_head { "" } else { &body };
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nETag: \"a\"\r\n{kind}\r\n{body}"
                )
            }
        }
    });
    let stage = Stage::with_app(APP)
        .file("static/a.txt", &"words ".repeat(1000))
        .file("static/a.png", &"x".repeat(6000))
        .file("static/short.txt", "short")
        .file("static/stored.js", &"code ".repeat(1000))
        .file("static/stored.js.gz", "as gzip")
        .file("static/stored.js.br", "as brotli")
        .file("static/app.3f2a9c1b.js", "code")
        .file("static/index.html", "<h1>page</h1>")
        .file("static/lib.3f2a9c1b.js/index.html", "a directory")
        .file("static/listed/x", "");
    (Served::start(stage, &FILE.replace("CANNED", &canned.at)), canned)
}

fn ask(served: &Served, line: &str, fields: &str) -> Answer {
    let mut connection = Connection::open(served.http);
    connection.send(format!("{line} HTTP/1.1\r\nHost: s\r\n{fields}\r\n"));
    connection.answer_to(line.split(' ').next().unwrap())
}

fn varies(answer: &Answer, by: &str) -> bool {
    let lines = answer.head.lines().filter_map(|line| line.strip_prefix("Vary: "));
    lines.flat_map(|line| line.split(", ")).any(|name| name.eq_ignore_ascii_case(by))
}

#[test]
fn all_that_belongs_to_a_packed_file_varies_with_it() {
    let (served, _canned) = start();
    for accept in ["", "Accept-Encoding: gzip\r\n"] {
        for path in ["/packed/a.txt", "/static/stored.js", "/packed/stored.js"] {
            let whole = ask(&served, &format!("GET {path}"), accept);
            let (tag, date) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
            for (method, fields, status) in [
                ("GET", String::new(), 200),
                ("HEAD", String::new(), 200),
                ("GET", format!("If-None-Match: {tag}\r\n"), 304),
                ("HEAD", format!("If-None-Match: {tag}\r\n"), 304),
                ("GET", format!("If-Modified-Since: {date}\r\n"), 304),
                ("GET", "Range: bytes=0-1\r\n".into(), 206),
                ("GET", "Range: bytes=0-1,3-4\r\n".into(), 206),
                ("GET", "If-Match: \"other\"\r\n".into(), 412),
                ("GET", "Range: bytes=999999-\r\n".into(), 416),
            ] {
                let answer = ask(&served, &format!("{method} {path}"), &format!("{accept}{fields}"));
                assert_eq!(answer.status, status, "{path} {accept}{fields}");
                assert!(varies(&answer, "accept-encoding"), "{path} {accept}{fields}{}", answer.head);
                if status == 304 {
                    assert_eq!(answer.header("etag"), Some(tag), "{path} {accept}{fields}");
                }
            }
        }
        for path in ["/packed/a.png", "/packed/short.txt", "/as-it-is/a.txt"] {
            let whole = ask(&served, &format!("GET {path}"), accept);
            let unchanged = format!("{accept}If-None-Match: {}\r\n", whole.header("etag").unwrap());
            for fields in [accept, &unchanged, &format!("{accept}Range: bytes=0-1\r\n")] {
                let answer = ask(&served, &format!("GET {path}"), fields);
                assert!(!varies(&answer, "accept-encoding"), "{path} {fields}{}", answer.head);
            }
        }
    }
    let seen = served.curl(&[
        "--http2-prior-knowledge",
        "-D",
        "-",
        "-o",
        "/dev/null",
        "-H",
        "If-None-Match: *",
        "http://HTTP_AT/packed/a.txt",
    ]);
    assert!(seen.contains(" 304 ") && seen.to_lowercase().contains("vary: accept-encoding"), "{seen}");
}

#[test]
fn so_does_what_apps_and_servers_say() {
    let (served, _canned) = start();
    for path in ["/app/x", "/pool/x"] {
        for accept in ["", "Accept-Encoding: gzip\r\n"] {
            for (method, fields, status) in [
                ("GET", "", 200),
                ("HEAD", "", 200),
                ("GET", "If-None-Match: W/\"a\"\r\n", 304),
                ("GET", "If-None-Match: \"a\"\r\n", 304),
            ] {
                let answer = ask(&served, &format!("{method} {path}"), &format!("{accept}{fields}"));
                assert_eq!(answer.status, status, "{path}");
                assert!(varies(&answer, "accept-encoding"), "{method} {path} {accept}{fields}{}", answer.head);
                if status == 304 {
                    let known = fields.trim_start_matches("If-None-Match: ").trim_end();
                    assert_eq!(answer.header("etag"), Some(known), "the one that the client has");
                }
            }
        }
    }
}

/// A client that has a part of the packed file, and asks for the rest by its date, must not get that of the other.
#[test]
fn parts_of_different_bytes_are_not_put_together() {
    let (served, _canned) = start();
    let gzip = "Accept-Encoding: gzip\r\n";
    let packed = ask(&served, "GET /packed/a.txt", gzip);
    let date = packed.header("last-modified").unwrap();
    let rest = format!("Range: bytes=5-\r\nIf-Range: {date}\r\n");
    let answer = ask(&served, "GET /packed/a.txt", &format!("{gzip}{rest}"));
    assert_eq!((answer.status, answer.header("content-encoding")), (200, Some("gzip")));
    assert_eq!(ask(&served, "GET /packed/a.txt", &rest).status, 206);
    assert_eq!(ask(&served, "GET /packed/a.png", &format!("{gzip}{rest}")).status, 206);
}

#[test]
fn guesses_are_as_private_as_what_they_are_of() {
    let (served, _canned) = start();
    let alice = "Authorization: Basic YWxpY2U6c2VjcmV0\r\n";
    let (public, private) = ("public, max-age=31536000, immutable", "private, max-age=31536000, immutable");
    for (path, fields, said) in [
        ("/static/app.3f2a9c1b.js", "", Some(public)),
        ("/users/app.3f2a9c1b.js", alice, Some(private)),
        ("/near/app.3f2a9c1b.js", "", Some(private)),
        ("/test/app.3f2a9c1b.js", "X-Test: 1\r\n", Some(private)),
        ("/marked/app.3f2a9c1b.js", "", Some(private)),
        ("/users/a.txt", alice, Some("private")),
        ("/near/a.txt", "", Some("private")),
        ("/static/a.txt", "", None),
        // The name that is asked for has no fingerprint.
        ("/latest/x", "", None),
        ("/static/listed/", "", Some("no-cache")),
        ("/pages/no/such/page", "", Some("no-cache")),
        ("/pages/app.3f2a9c1b.js", "", Some(public)),
    ] {
        let answer = ask(&served, &format!("GET {path}"), fields);
        assert_eq!((answer.status, answer.header("cache-control")), (200, said), "{path}");
        let tag = answer.header("etag").unwrap_or("none");
        let unchanged = ask(&served, &format!("GET {path}"), &format!("{fields}If-None-Match: {tag}\r\n"));
        assert_eq!(unchanged.header("cache-control"), said, "{path}: {}", unchanged.status);
    }
    let page = ask(&served, "GET /pages/a.gone", "Accept: text/html\r\n");
    assert!(page.status == 200 && varies(&page, "accept"), "{}", page.head);
    assert_eq!(ask(&served, "GET /pages/a.gone", "").status, 404);
}

#[test]
fn errors_and_redirects_by_guess_are_not_kept() {
    let (served, _canned) = start();
    for path in ["/static/listed", "/long/listed", "/static/lib.3f2a9c1b.js", "/users/listed"] {
        let answer = ask(&served, &format!("GET {path}"), "Authorization: Basic YWxpY2U6c2VjcmV0\r\n");
        assert_eq!((answer.status, answer.header("cache-control")), (301, Some("no-cache")), "{path}");
    }
    for (line, fields, status) in [
        ("GET /static/none", "", 404),
        ("GET /static/gone.3f2a9c1b.js", "", 404),
        ("GET /long/none", "", 404),
        ("POST /static/a.txt", "Content-Length: 0\r\n", 405),
        ("GET /users/a.txt", "", 401),
        ("GET /static/a.txt", "Range: bytes=999999-\r\n", 416),
        ("GET /a\\b", "", 400),
    ] {
        let answer = ask(&served, line, fields);
        assert_eq!((answer.status, answer.header("cache-control")), (status, Some("no-store")), "{line}");
    }
}

#[test]
fn a_cookie_of_hallways_is_for_one_client() {
    let (served, _canned) = start();
    let first = ask(&served, "GET /sticky/x", "");
    assert_eq!(first.header("cache-control"), Some("private, max-age=60"), "{}", first.head);
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap();
    let second = ask(&served, "GET /sticky/x", &format!("Cookie: {cookie}\r\n"));
    assert_eq!((second.header("set-cookie"), second.header("cache-control")), (None, Some("public, max-age=60")));
}

#[test]
fn what_is_open_to_all_origins_says_so_to_all() {
    let (served, _canned) = start();
    for fields in ["", "Origin: https://a.example\r\n"] {
        let answer = ask(&served, "GET /open/a.txt", fields);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{fields}");
        assert!(!varies(&answer, "origin"));
    }
}
