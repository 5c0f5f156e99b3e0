//! In:     servers and apps whose head comes long before their body, or whose body never comes; clients that have said all.
//! Out:    the head at its client while the body is waited for; a failure that looks like one; an answer for who listens.
//! Actors: one hallway, a server of the story's own, php-fpm's and gRPC's servers, curl, raw clients.
//! Never:  is a head held back for its body, or a client made to ask again for what may not be repeated.

use super::client::Connection;
use super::served::Served;
use super::stage::{Stage, wait_until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server whose requests were counted by their paths, and which waits with each body until it may go on.
struct Server {
    at: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    may_go_on: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let server = Server { at, heard: Arc::default(), may_go_on: Arc::default(), open: Arc::default() };
        let (heard, may_go_on, open) = (server.heard.clone(), server.may_go_on.clone(), server.open.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heard, may_go_on, open) = (heard.clone(), may_go_on.clone(), open.clone());
                thread::spawn(move || {
                    open.fetch_add(1, Ordering::SeqCst);
                    serve(&stream, &heard, &may_go_on);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    fn go_on(&self) {
        self.may_go_on.store(true, Ordering::SeqCst);
    }

    /// How often a path was asked for.
    fn count(&self, path: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|one| *one == path).count()
    }
}

fn serve(stream: &TcpStream, heard: &Mutex<Vec<String>>, may_go_on: &AtomicBool) {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(reader.read_line(&mut head), Ok(bytes) if bytes > 0) {
                return;
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        heard.lock().unwrap().push(path.clone());
        let (start, rest) = match path.as_str() {
            "/length" => ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", Some("body")),
            "/chunked" => ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Some("4\r\nbody\r\n0\r\n\r\n")),
            "/until-close" => ("HTTP/1.1 200 OK\r\n\r\n", Some("body")),
            "/dies-chunked" => ("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", None),
            "/dies-length" => ("HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\n", None),
            "/dies-later" => ("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", Some("")),
            "/lies" => ("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n", None),
            _ => ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Some("")),
        };
        writer.write_all(start.as_bytes()).unwrap();
        if path == "/plain" {
            continue;
        }
        let Some(rest) = rest else { return };
        wait_until(|| may_go_on.load(Ordering::SeqCst).then_some(()));
        let _ = writer.write_all(rest.as_bytes());
        if path == "/until-close" || path == "/dies-later" {
            return;
        }
    }
}

const APP: &str = r#"
import os
import time

def wait():
    until = time.monotonic() + 20
    while not os.path.exists("go") and time.monotonic() < until:
        time.sleep(0.002)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    with open("asked", "a") as asked:
        asked.write(path + "\n")
    if path == "/app/fails":
        def failing():
            start_response("201 Created", [("Content-Type", "text/plain")])
            yield b""
            raise RuntimeError("as it happens")
        return failing()
    write = start_response("200 OK", [("Content-Type", "text/event-stream")])
    if path == "/app/write":
        write(b"")
        wait()
        return [b"body"]
    def pieces():
        yield b""
        wait()
        yield b"body"
    if path == "/app/wait":
        wait()
        return [b"body"]
    return pieces()
"#;

fn file(server: &Server) -> String {
    format!(
        r#"
        [server]
        http = "HTTP"
        https = "HTTPS"
        [log]
        access = {{ format = "$request $status" }}
        [app.one]
        wsgi = "app:app"
        chdir = "DIR"
        python = "PYTHON"
        workers = 1
        [pool.one]
        servers = ["http://{}"]
        [site."shop.example"]
        aliases = ["s", "localhost"]
        tls = "internal"
        https_redirect = false
        routes = [
          {{ path = "/*", pool = "one" }},
          {{ path = "/packed/*", pool = "one", strip = true, compress = true }},
          {{ path = "/app/*", app = "one" }},
        ]
        "#,
        server.at
    )
}

fn start() -> (Server, Served) {
    let server = Server::start();
    let served = Served::start(Stage::with_app(APP), &file(&server));
    (server, served)
}

/// Curl, which writes each header line as it comes; what it has written so far.
struct Curl {
    child: std::process::Child,
    written: Arc<Mutex<String>>,
}

impl Curl {
    fn start(served: &Served, flags: &[&str]) -> Curl {
        let port = served.https.port();
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--no-buffer",
            "--dump-header",
            "-",
            "--max-time",
            "60",
            "--insecure",
        ]);
        command.arg("--resolve").arg(format!("shop.example:{port}:127.0.0.1")).args(flags);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let written = Arc::new(Mutex::new(String::new()));
        let (mut out, into) = (child.stdout.take().unwrap(), written.clone());
        thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok(bytes) = out.read(&mut room).map_err(drop)
                && bytes > 0
            {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&room[..bytes]));
            }
        });
        Curl { child, written }
    }

    fn wait_for(&self, text: &str) {
        wait_until(|| self.written.lock().unwrap().contains(text).then_some(()));
    }
}

#[test]
fn a_head_does_not_wait_for_its_body() {
    let (server, served) = start();
    let https = format!("https://shop.example:{}", served.https.port());
    let mut plain = Vec::new();
    for path in ["/length", "/chunked", "/until-close", "/packed/chunked"] {
        let mut connection = Connection::open(served.http);
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: s\r\nAccept-Encoding: gzip\r\n\r\n"));
        let head = connection.head();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        plain.push((path, connection));
    }
    let mut all = Vec::new();
    for version in ["--http1.1", "--http2"] {
        for path in ["/length", "/chunked", "/until-close"] {
            all.push(Curl::start(&served, &[version, &format!("{https}{path}")]));
        }
    }
    // The app has one worker: one after the other.
    for curl in &all {
        curl.wait_for("\r\n\r\n");
        assert!(!curl.written.lock().unwrap().contains("body"));
    }
    server.go_on();
    for curl in &mut all {
        curl.wait_for("body");
        assert!(curl.child.wait().unwrap().success());
    }
    for (path, connection) in &mut plain {
        if *path == "/length" {
            let mut body = [0; 4];
            connection.reader().read_exact(&mut body).unwrap();
            assert_eq!(&body, b"body");
        } else {
            assert!(!connection.chunk().is_empty(), "{path}");
        }
    }
}

#[test]
fn a_head_of_an_app_does_not_wait_for_its_body() {
    let (_server, served) = start();
    let https = format!("https://shop.example:{}", served.https.port());
    for (version, path) in [("--http1.1", "/app/write"), ("--http2", "/app/write"), ("--http2", "/app/pieces")] {
        let mut curl = Curl::start(&served, &[version, &format!("{https}{path}")]);
        curl.wait_for("\r\n\r\n");
        assert!(!curl.written.lock().unwrap().contains("body"));
        std::fs::write(served.path("go"), "").unwrap();
        curl.wait_for("body");
        assert!(curl.child.wait().unwrap().success());
        std::fs::remove_file(served.path("go")).unwrap();
    }
}

#[test]
fn what_fails_behind_its_head_is_not_asked_for_again() {
    let (server, served) = start();
    let https = format!("https://shop.example:{}", served.https.port());
    // On a connection that was used before, where a client may think that it was too old.
    for (version, path, status) in [
        ("--http1.1", "/dies-chunked", "502"),
        ("--http1.1", "/dies-length", "502"),
        ("--http1.1", "/lies", "502"),
        ("--http2", "/dies-chunked", "502"),
        ("--http2", "/dies-length", "502"),
        ("--http1.1", "/app/fails", "500"),
    ] {
        let before = server.count(path);
        let (plain, url) = (format!("{https}/plain"), format!("{https}{path}"));
        let told = served.curl(&[
            "--insecure",
            version,
            &plain,
            "--next",
            "--insecure",
            version,
            "--data",
            "x=1",
            "--write-out",
            " %{http_code}",
            &url,
        ]);
        // Where the end comes after the head, however soon, that has gone: then what follows it is seen to be cut.
        let is_told = told.contains(&format!(" {status}"));
        let is_cut = told.contains(" 201") && told.contains("curl: (");
        assert!(is_told || is_cut, "{path} {version}: {told}");
        if !path.starts_with("/app") {
            assert_eq!(server.count(path), before + 1, "{path} {version}: {told}");
        }
        let status = if is_told { status } else { "201" };
        let line = format!("POST {path} HTTP/{} {status}", if version == "--http2" { "2.0" } else { "1.1" });
        wait_until(|| served.hallway.written().contains(&line).then_some(()));
    }
    let asked = std::fs::read_to_string(served.path("asked")).unwrap();
    assert_eq!(asked, "/app/fails\n");
}

#[test]
fn what_fails_later_is_cut_and_not_asked_for_again() {
    let (server, served) = start();
    let https = format!("https://shop.example:{}", served.https.port());
    let mut all = Vec::new();
    for version in ["--http1.1", "--http2"] {
        let (plain, url) = (format!("{https}/plain"), format!("{https}/dies-later"));
        all.push(Curl::start(
            &served,
            &[
                version,
                &plain,
                "--next",
                "--insecure",
                "--dump-header",
                "-",
                "--no-buffer",
                version,
                "--data",
                "x=1",
                &url,
            ],
        ));
    }
    for curl in &all {
        wait_until(|| curl.written.lock().unwrap().contains(" 201").then_some(()));
    }
    server.go_on();
    for curl in &mut all {
        assert!(!curl.child.wait().unwrap().success());
    }
    assert_eq!(server.count("/dies-later"), 2);
}

#[test]
fn who_has_said_all_is_answered() {
    let (server, served) = start();
    server.go_on();
    std::fs::write(served.path("go"), "").unwrap();
    for path in ["/length", "/chunked", "/app/pieces", "/app/wait", "/plain"] {
        let mut connection = Connection::open(served.http);
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: s\r\n\r\n"));
        connection.shutdown();
        assert_eq!(connection.answer().status, 200, "{path}");
        assert!(connection.is_closed());
    }
}

#[test]
fn who_has_said_all_waits_in_the_queue_too() {
    let (_server, served) = start();
    let mut first = Connection::open(served.http);
    first.send("GET /app/wait HTTP/1.1\r\nHost: s\r\n\r\n");
    first.shutdown();
    wait_until(|| served.path("asked").exists().then_some(()));
    let mut second = Connection::open(served.http);
    second.send("POST /app/second HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\n\r\nx");
    second.shutdown();
    // A client that resets its connection has left.
    let mut third = Connection::open(served.http);
    third.send("GET /app/third HTTP/1.1\r\nHost: s\r\n\r\n");
    // It has to be read before it is reset, or it was never there.
    thread::sleep(std::time::Duration::from_millis(1_000));
    third.reset();
    wait_until(|| served.hallway.written().contains("GET /app/third HTTP/1.1 499").then_some(()));
    std::fs::write(served.path("go"), "").unwrap();
    for connection in [&mut first, &mut second] {
        assert_eq!(connection.answer().text(), "body");
    }
    assert!(!std::fs::read_to_string(served.path("asked")).unwrap().contains("third"));
}

/// Whoever uploads reads why nobody wants it, also clients that drop what comes together with the reset behind it (curl 7.88).
#[test]
fn uploads_by_http2_are_told_why_they_are_not_taken() {
    let stage = Stage::new().file("files/a.txt", "a");
    let stage = stage.file("small", &"x".repeat(100_000)).file("long", &"x".repeat(3_000_000));
    let file = r#"
        [server]
        http = "HTTP"
        [site."*"]
        routes = [
          { path = "/files/*", files = "files" },
          { path = "/limit/*", respond = { body = "ok" }, body_max = "1KiB" },
          { path = "/closed/*", respond = { body = "ok" }, deny = "127.0.0.0/8" },
        ]
    "#;
    let served = Served::start(stage, file);
    for (path, status) in [("files/a.txt", "405"), ("limit/x", "413"), ("closed/x", "403"), ("none", "404")] {
        for body in ["small", "long"] {
            let body = format!("@{}", served.path(body).display());
            let url = format!("http://HTTP_AT/{path}");
            let told = served.curl(&["--http2-prior-knowledge", "--include", "--data-binary", &body, &url]);
            assert!(told.starts_with(&format!("HTTP/2 {status}")), "{path}: {told:?}");
            assert!(told.ends_with("}\n"), "{path}: {told:?}");
        }
    }
}
