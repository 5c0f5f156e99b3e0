//! In:     what HTTP/2 splits or spells otherwise than HTTP/1.1; targets and headers that one of them may not have.
//! Out:    the same for servers and apps, whichever version the client speaks; a line in the log for what is refused.
//! Actors: one hallway, servers and apps that say what they were asked, a client with header lists of its own, Chromium.
//! Never:  does a request that is none end more than its stream.

use super::client::Connection;
use super::served::Served;
use super::stage::{Stage, python, wait_until};
use super::upstream::Upstream;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const APP: &str = r#"
import json

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    names = ["HTTP_COOKIE", "HTTP_HOST", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "HTTP_TE", "HTTP_X_MINE"]
    return [json.dumps({name: environ.get(name) for name in names}).encode()]
"#;

const CLEAR: &str = r#"
[server]
http = "HTTP"
[log]
access = { format = "$request $status $http_cookie" }
[app.one]
wsgi = "app:app"
chdir = "DIR"
python = "PYTHON"
workers = 1
[pool.one]
servers = ["http://SERVER"]
[pool.itself]
servers = ["h2c://HTTP"]
host = "inner"
[site."s"]
routes = [
  { path = "/*", pool = "one" },
  { path = "/app/*", app = "one", strip = true },
  { path = "/again/*", pool = "itself", strip = true },
]
[site."inner"]
routes = [{ path = "/*", pool = "one" }]
"#;

fn start() -> (Upstream, Served) {
    let server = Upstream::start("one");
    let file = CLEAR.replace("SERVER", &server.at);
    let served = Served::start(Stage::with_app(APP), &file);
    (server, served)
}

/// What comes of requests over HTTP/2 on one connection.
fn asked(served: &Served, requests: &[Vec<(&str, &str)>]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/h2_requests.py");
    let mut command = Command::new(python());
    command.arg("-B").arg(script).arg(served.http.to_string());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!(requests).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn request<'a>(path: &'a str, lines: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", "s"), (":path", path)];
    [&pseudo[..], lines].concat()
}

fn body(answer: &Value) -> Value {
    assert_eq!(answer[0], 200, "{answer}");
    serde_json::from_str(answer[1].as_str().unwrap()).unwrap()
}

/// The values of a header that a server was sent, by any spelling of its name.
fn sent<'v>(echo: &'v Value, name: &str) -> Vec<&'v str> {
    let lines = echo["headers"].as_array().unwrap().iter();
    let lines = lines.filter(|line| line[0].as_str().unwrap().eq_ignore_ascii_case(name));
    lines.map(|line| line[1].as_str().unwrap()).collect()
}

#[test]
fn a_cookie_in_parts_is_one_again() {
    let (_server, served) = start();
    let parts = [("cookie", "session=a1"), ("x-mine", "1"), ("cookie", "theme=dark"), ("cookie", "n=3")];
    let many: Vec<(&str, &str)> = (0..300).map(|_| ("cookie", "part=12345")).collect();
    let long: String = "x".repeat(4_000);
    let too_long = vec![("cookie", long.as_str()); 3];
    let told = asked(
        &served,
        &[
            request("/echo", &parts),
            request("/app/x", &parts),
            request("/again/echo", &parts),
            request("/app/x", &many),
            request("/app/x", &too_long),
        ],
    );
    let whole = "session=a1; theme=dark; n=3";
    for at in [0, 2] {
        let echo = body(&told[at]);
        assert_eq!(sent(&echo, "cookie"), [whole], "{echo}");
    }
    assert_eq!(sent(&body(&told[0]), "host"), ["s"]);
    assert_eq!(body(&told[0])["headers"][0][0], "Host", "a server of HTTP/1.1 expects it first");
    assert_eq!(body(&told[1])["HTTP_COOKIE"], whole);
    let far_too_long = vec![("x-long", long.as_str()); 30];
    let told_more = asked(&served, &[request("/far", &far_too_long), request("/who", &[])]);
    assert_eq!((&told_more[0][0], &told_more[1][0]), (&json!(431), &json!(200)), "{told_more:?}");
    assert!(told_more[0][1].as_str().unwrap().contains("head_max"), "{told_more:?}");
    wait_until(|| served.hallway.written().contains("GET /far HTTP/2.0 431").then_some(()));
    // Limits count lines as they are once they are whole.
    assert_eq!(body(&told[3])["HTTP_COOKIE"].as_str().unwrap().matches("part=").count(), 300);
    assert_eq!(told[4][0], 431, "{}", told[4]);
    wait_until(|| served.hallway.written().contains(&format!("GET /echo HTTP/2.0 200 {whole}")).then_some(()));
    // The same in HTTP/1.1, where a client may not split it, and some do.
    let mut connection = Connection::open(served.http);
    connection.send("GET /app/x HTTP/1.1\r\nHost: s\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n");
    assert!(connection.answer().text().contains(r#""HTTP_COOKIE": "a=1; b=2""#));
    connection.send("GET /again/echo HTTP/1.1\r\nHost: s\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n");
    let echo: Value = serde_json::from_str(&connection.answer().text()).unwrap();
    assert_eq!(sent(&echo, "cookie"), ["a=1; b=2"]);
}

#[test]
fn targets_are_the_same_in_both_versions() {
    let (_server, served) = start();
    // As it is written (UTF-8), the path that HTTP/1.1 servers see, the query.
    let cases = [
        (r#"/echo?f={"a":1}"#, r#"/echo?f={"a":1}"#),
        ("/echo?<a>=`b`", "/echo?<a>=`b`"),
        ("/x/../echo?a|b^c", "/echo?a|b^c"),
        ("/echo?q=caf\u{e9}", "/echo?q=caf%C3%A9"),
    ];
    for (raw, path) in cases {
        let latin1: String = raw.bytes().map(char::from).collect();
        let told = asked(&served, &[request(&latin1, &[]), request(&format!("/again{latin1}"), &[])]);
        assert_eq!(body(&told[0])["path"], path, "{raw} over HTTP/2");
        assert_eq!(told[1][0], 200, "{raw} over HTTP/2 on both sides: {}", told[1]);
        let mut connection = Connection::open(served.http);
        connection.send(format!("GET {raw} HTTP/1.1\r\nHost: s\r\n\r\n"));
        let echo: Value = serde_json::from_str(&connection.answer().text()).unwrap();
        assert_eq!(echo["path"], path, "{raw} over HTTP/1.1");
        connection.send(format!("GET /again{raw} HTTP/1.1\r\nHost: s\r\n\r\n"));
        assert_eq!(connection.answer().status, 200, "{raw} on to HTTP/2");
    }
    for raw in ["/app/<b>`", "/app/caf\u{e9}"] {
        let latin1: String = raw.bytes().map(char::from).collect();
        let told = body(&asked(&served, &[request(&latin1, &[])])[0]);
        let mut connection = Connection::open(served.http);
        connection.send(format!("GET {raw} HTTP/1.1\r\nHost: s\r\n\r\n"));
        let other: Value = serde_json::from_str(&connection.answer().text()).unwrap();
        assert_eq!(told, other, "{raw}");
        assert_eq!(told["PATH_INFO"], latin1["/app".len()..], "{raw}");
    }
}

#[test]
fn what_is_no_request_ends_its_stream_only_and_has_its_line() {
    let (_server, served) = start();
    let fine = request("/who", &[]);
    let mut requests = Vec::new();
    for path in ["/a b", "/a\r\nb", "/a\0b", "/a\u{7f}", "/a#b", "a", "/caf\u{e9}"] {
        requests.extend([request(path, &[]), fine.clone()]);
    }
    let odd = [
        vec![(":method", "GET"), (":scheme", ""), (":authority", "s"), (":path", "/empty-scheme")],
        vec![(":method", "GET"), (":authority", "s"), (":path", "/no-scheme")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "a@b c"), (":path", "/authority")],
        vec![(":method", "G ET"), (":scheme", "http"), (":authority", "s"), (":path", "/method")],
        request("/value", &[("x-mine", "a\r\nx-other: b")]),
        request("/nul", &[("x-mine", "a\0")]),
        request("/name", &[("x mine", "a")]),
        request("/upper", &[("X-Mine", "a")]),
        request("/connection", &[("connection", "close")]),
        request("/te", &[("te", "gzip")]),
        request("/pseudo", &[(":pseudo", "1")]),
        request("/status", &[(":status", "200"), ("X-Mine", "a")]),
        request("/interim", &[(":status", "103"), ("X-Mine", "a")]),
        request("/empty-name", &[("", "a")]),
        // The name was told once, with a value that none may have.
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "s\0"), (":path", "/table")],
        request("/table", &[("x-told-once", "a\0")]),
    ];
    let fine_by_table = request("/who", &[("x-told-once", "a")]);
    for one in odd {
        requests.extend([one, fine_by_table.clone()]);
    }
    let told = asked(&served, &requests);
    for (at, pair) in told.chunks(2).enumerate() {
        let is_refused = pair[0][0] == 400 || pair[0] == "reset 1";
        assert!(is_refused, "{:?}: {}", requests[2 * at], pair[0]);
        assert_eq!(pair[1][0], 200, "behind {:?}: {}", requests[2 * at], pair[1]);
    }
    let refused = requests.len() / 2;
    wait_until(|| (served.hallway.written().matches(" 400 ").count() == refused).then_some(()));
    // HTTP/1.1 decides as HTTP/2 does.
    for target in ["/a#b", "a", "/a\u{7f}"] {
        let mut connection = Connection::open(served.http);
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: s\r\n\r\n"));
        assert_eq!(connection.answer().status, 400, "{target:?}");
    }
    let mut connection = Connection::open(served.http);
    connection.send(b"GET /caf\xe9 HTTP/1.1\r\nHost: s\r\n\r\n");
    assert_eq!(connection.answer().status, 400);
}

#[test]
fn a_flood_of_what_is_no_request_ends_its_connection() {
    let (_server, served) = start();
    let (broken, fine) = (request("/upper", &[("X-Mine", "a")]), request("/who", &[]));
    let told = asked(&served, &[vec![broken.clone(); 150], vec![fine.clone(); 2]].concat());
    assert_eq!((&told[149], &told[151][0]), (&json!("reset 1"), &json!(200)), "as many as a proxy may have by chance");
    let told = asked(&served, &vec![broken; 400]);
    assert_eq!((&told[0], &told[399]), (&json!("reset 1"), &json!("lost")), "{told:?}");
    assert_eq!(asked(&served, &[fine])[0][0], 200);
}

#[test]
fn a_browser_keeps_its_session_in_front_of_a_server_of_http1() {
    let server = Upstream::start("one");
    let page = r#"
import json

def app(environ, start_response):
    if environ["PATH_INFO"] == "/login":
        cookies = [("Set-Cookie", f"part{n}=value{n}; Path=/") for n in range(40)]
        start_response("302 Found", [("Location", "/echo?f={\"a\":1}"), *cookies])
        return [b""]
    start_response("404 Not Found", [])
    return [b""]
"#;
    let file = r#"
        [server]
        http = "127.0.0.1:0"
        https = "HTTPS"
        [log]
        access = { format = "$request $status" }
        [app.one]
        wsgi = "app:app"
        chdir = "DIR"
        python = "PYTHON"
        workers = 1
        [pool.one]
        servers = ["http://SERVER"]
        [site."localhost"]
        tls = "internal"
        routes = [{ path = "/*", pool = "one" }, { path = "/login", app = "one" }]
        "#;
    let served = Served::start(Stage::with_app(page), &file.replace("SERVER", &server.at));
    let profile = served.path("profile");
    let output = Command::new("/usr/bin/chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--ignore-certificate-errors"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("https://localhost:{}/login", served.https.port()))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let whole: Vec<String> = (0..40).map(|n| format!("part{n}=value{n}")).collect();
    assert!(shown.contains(&whole.join("; ")), "{shown}");
    super::stage::wait_until(|| served.hallway.written().contains("HTTP/2.0 200").then_some(()));
}
