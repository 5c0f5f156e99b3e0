//! In:     a file with everything that is done to requests and answers on their way.
//! Out:    what is done.
//! Actors: hallway with a WSGI app; a client.
//! Never:  does one of them undo another.

use super::client::{Answer, Connection};
use super::served::Served;
use super::stage::{AT_ONCE, Stage, wait_until};
use std::io::Read;
use std::time::{Duration, Instant};

const APP: &str = r#"
import os, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.endswith("/sleep"):
        time.sleep(0.7)
    if path.endswith("/stream"):
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Accel-Buffering", "no")])
        return pieces()
    body = "words and words " * 1000 if path.endswith("/long") else "|".join(
        [environ["SCRIPT_NAME"], path, environ["QUERY_STRING"], environ["REMOTE_ADDR"]])
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Both", "app"), ("ETag", '"a"')])
    return [body.encode()]

def pieces():
    yield b"piece 0;"
    time.sleep(0.3)
    yield b"piece 1;"
    # The end comes when the story has read so far.
    while not os.path.exists(os.path.join(os.path.dirname(__file__), "go")):
        time.sleep(0.01)
    yield b"piece 2;"
"#;

/// The password is "secret"; made by htpasswd.
const FILE: &str = r#"
[server]
http = "HTTP"
threads = 1
trusted_proxies = ["127.0.0.9"]
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
threads = 4
[site."*"]
headers = { set = { X-Site = "site", X-Both = "site" }, add = { X-Added = "1" } }
merge_slashes = false
maintenance = { file = "closed", page = "closed.html", allow = ["127.0.0.3"] }
routes = [
  { path = "/*", app = "web", headers = { set = { X-Both = "route" }, add = { X-Added = "2" } } },
  { path = "/old/{id}/*", app = "web", rewrite = "/new/{id}/x/*" },
  { path = "/query", app = "web", rewrite = "/there?own=1" },
  { path = "/plain/*", files = { dir = "static", list = true }, rewrite = "/sub/*" },
  { path = "/static/*", files = { dir = "static", list = true } },
  { path = "/open/*", files = { dir = "static", fingerprints = false } },
  { path = "/auth/*", app = "web", basic_auth = { realm = "shop", users = { alice = "$2y$05$SlVdZUAc0HMRj5qEmLes.ul1wYmmkpKMebaWA0qun6qIbAvR7choG" } } },
  { path = "/cors/*", app = "web", cors = { origins = ["https://a.example"], methods = ["PUT"] } },
  { path = "/packed/*", app = "web", compress = true },
  { path = "/rate/*", app = "web", limit = { rate = "3/m", headers = true } },
  { path = "/by/*", app = "web", limit = { rate = "1/h", by = "header:X-Key" } },
  { path = "/quick/*", app = "web", timeout = "300ms" },
  { path = "/one/*", app = "web", limit = { concurrency = 1 } },
  { path = "/slow/*", files = "static", bandwidth = { rate = "100KiB", after = "20KiB" } },
]
"#;

fn start() -> Served {
    let stage = Stage::with_app(APP)
        .file("static/a.txt", "plain")
        .file("static/app.3f2a9c1b.js", "code")
        .file("static/large.bin", &"x".repeat(120 * 1024))
        .file("static/sub/<b> & c.txt", "inside")
        .file("static/.hidden", "never")
        .file("closed.html", "<h1>closed</h1>");
    Served::start(stage, FILE)
}

fn ask(served: &Served, line: &str, fields: &str) -> Answer {
    let mut connection = Connection::open(served.http);
    connection.send(format!("{line} HTTP/1.1\r\nHost: s\r\n{fields}\r\n"));
    connection.answer_to(line.split(' ').next().unwrap())
}

#[test]
fn paths_and_headers_are_changed() {
    let served = start();
    let answer = ask(&served, "GET //a///b", "");
    assert_eq!(answer.text(), "|//a///b||127.0.0.1", "every slash is kept");
    assert_eq!((answer.header("x-site"), answer.header("x-both")), (Some("site"), Some("route")));
    assert_eq!(answer.head.matches("X-Added: ").count(), 2, "{}", answer.head);
    assert_eq!(ask(&served, "GET /old/7/y/z?q=1", "").text(), "|/new/7/x/y/z|q=1|127.0.0.1");
    assert_eq!(ask(&served, "GET /query?q=1", "").text(), "|/there|own=1|127.0.0.1");
    assert_eq!(ask(&served, "GET /old/7/..%2f..", "").text(), "|/new/7/x/../..||127.0.0.1", "never a way up");
}

#[test]
fn files_are_listed_and_never_change_under_a_fingerprint() {
    let served = start();
    let page = ask(&served, "GET /static/sub/", "").text();
    assert!(page.contains("<a href=\"./%3Cb%3E%20%26%20c.txt\">&lt;b&gt; &amp; c.txt</a>"), "{page}");
    let page = ask(&served, "GET /static/", "").text();
    assert!(page.contains("./sub/") && !page.contains("hidden"), "{page}");
    assert_eq!(ask(&served, "GET /open/sub/", "").status, 404, "only where it was asked for");
    assert_eq!(ask(&served, "GET /plain/%3Cb%3E%20%26%20c.txt", "").text(), "inside");
    let immutable = Some("public, max-age=31536000, immutable");
    assert_eq!(ask(&served, "GET /static/app.3f2a9c1b.js", "").header("cache-control"), immutable);
    assert_eq!(ask(&served, "GET /static/a.txt", "").header("cache-control"), None);
    assert_eq!(ask(&served, "GET /open/app.3f2a9c1b.js", "").header("cache-control"), None);
}

#[test]
fn passwords_open_what_they_are_for() {
    let served = start();
    let stranger = ask(&served, "GET /auth/x", "");
    assert_eq!(stranger.status, 401);
    assert_eq!(stranger.header("www-authenticate"), Some("Basic realm=\"shop\", charset=\"UTF-8\""));
    for (pair, status) in [
        ("YWxpY2U6c2VjcmV0", 200),
        ("YWxpY2U6c2VjcmV0", 200),
        ("YWxpY2U6d3Jvbmc=", 401),
        ("Ym9iOnNlY3JldA==", 401),
        ("bm9uc2Vuc2U=", 401),
        ("%%%", 401),
    ] {
        assert_eq!(ask(&served, "GET /auth/x", &format!("Authorization: Basic {pair}\r\n")).status, status, "{pair}");
    }
}

#[test]
fn pages_of_other_origins_may_do_what_they_may() {
    let served = start();
    let asks = "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n";
    let answer = ask(&served, "OPTIONS /cors/x", asks);
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, Some("PUT")));
    let answer = ask(&served, "GET /cors/x", "Origin: https://a.example\r\n");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.example"));
    let answer = ask(&served, "GET /cors/x", "Origin: https://b.example\r\n");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
}

#[test]
fn text_is_packed_and_streams_stay_streams() {
    let served = start();
    let plain = "words and words ".repeat(1000);
    for coding in ["gzip", "br", "zstd"] {
        let answer = ask(&served, "GET /packed/long", &format!("Accept-Encoding: {coding}\r\n"));
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert_eq!((answer.header("vary"), answer.header("etag")), (Some("Accept-Encoding"), Some("W/\"a\"")));
        assert!(answer.body.len() < 1000, "{coding}: {}", answer.body.len());
    }
    // As somebody else unpacks it.
    let unpacked = served.curl(&["--compressed", "http://HTTP_AT/packed/long"]);
    assert!(unpacked == plain);
    assert_eq!(ask(&served, "GET /packed/long", "").text(), plain);
    assert_eq!(ask(&served, "GET /packed/short", "Accept-Encoding: gzip\r\n").header("content-encoding"), None);
    assert_eq!(ask(&served, "HEAD /packed/long", "Accept-Encoding: gzip\r\n").header("content-encoding"), Some("gzip"));
    let mut stream = Connection::open(served.http);
    stream.send("GET /packed/stream HTTP/1.1\r\nHost: s\r\nAccept-Encoding: gzip\r\n\r\n").head();
    // Nothing waits for the end, which only this story brings about.
    stream.chunk();
    stream.chunk();
    std::fs::write(served.path("go"), "").unwrap();
    while !stream.chunk().is_empty() {}
}

#[test]
fn who_comes_too_often_waits() {
    let served = start();
    for left in [2, 1, 0] {
        let answer = ask(&served, "GET /rate/x", "");
        assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=3"));
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"default\";r={left};t=")));
    }
    let refused = ask(&served, "GET /rate/x", "");
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(refused.status == 429 && (1..=20).contains(&wait), "{wait}");
    assert_eq!(ask(&served, "GET /rate/x", "X-Forwarded-For: 8.8.8.8\r\n").status, 429, "no forger gets more");
    for (key, status) in [("a", 200), ("a", 429), ("b", 200)] {
        assert_eq!(ask(&served, "GET /by/x", &format!("X-Key: {key}\r\n")).status, status);
    }
    let mut first = Connection::open(served.http);
    first.send("GET /one/sleep HTTP/1.1\r\nHost: s\r\n\r\n");
    let refused = wait_until(|| Some(ask(&served, "GET /one/x", "")).filter(|answer| answer.status == 503));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(first.answer().status, 200);
    assert_eq!(ask(&served, "GET /one/x", "").status, 200, "there is room again");
}

#[test]
fn a_route_has_its_own_patience() {
    let mut served = start();
    assert_eq!(ask(&served, "GET /quick/x", "").status, 200);
    assert_eq!(ask(&served, "GET /quick/sleep", "").status, 504);
    served.hallway.wait_for_line(|line| line.contains("GET /quick/sleep was not answered within 0.3 s"));
}

#[test]
fn answers_are_not_faster_than_they_may_be() {
    let served = start();
    let begun = Instant::now();
    assert_eq!(ask(&served, "GET /slow/large.bin", "").body.len(), 120 * 1024);
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(800) && took < AT_ONCE, "100 KiB at 100 KiB/s: {took:?}");
    ask(&served, "GET /slow/a.txt", "");
}

#[test]
fn a_site_is_closed_while_a_file_is_there() {
    let served = start();
    std::fs::write(served.path("closed"), "").unwrap();
    let answer = wait_until(|| Some(ask(&served, "GET /x", "")).filter(|answer| answer.status == 503));
    assert_eq!((answer.text().as_str(), answer.header("retry-after")), ("<h1>closed</h1>", Some("60")));
    std::fs::remove_file(served.path("closed")).unwrap();
    wait_until(|| (ask(&served, "GET /x", "").status == 200).then_some(()));
}

#[test]
fn a_proxy_says_who_is_behind_it() {
    let served = start();
    let from = |source: &str, preface: &[u8]| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&format!("{source}:0").parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        socket.connect(&served.http.into()).unwrap();
        let mut stream = std::net::TcpStream::from(socket);
        use std::io::Write;
        stream.write_all(preface).unwrap();
        stream.write_all(b"GET /x HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(from("127.0.0.9", b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n"), "|/x||192.0.2.7");
    let binary = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[192, 0, 2, 8, 1, 1, 1, 1, 0, 9, 0, 80]].concat();
    assert_eq!(from("127.0.0.9", &binary), "|/x||192.0.2.8");
    assert_eq!(from("127.0.0.9", b""), "|/x||127.0.0.9", "it need not");
    assert_eq!(from("127.0.0.9", b"PROXY nonsense\r\n"), "");
    let forger = from("127.0.0.8", b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n");
    assert!(!forger.contains("192.0.2.7"), "{forger}");
}
