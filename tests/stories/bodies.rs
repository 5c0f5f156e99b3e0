//! In:     bodies of many sizes, by length and chunked.
//! Out:    every byte of them at the app, and back.
//! Actors: one hallway with one worker.
//! Never:  is a body larger than the limit read.

use super::client::{Connection, get, post};
use super::stage::Stage;
use std::io::Write;
use std::process::{Command, Stdio};

const APP: &str = r#"
import hashlib

def app(environ, start_response):
    body = environ["wsgi.input"]
    if environ["PATH_INFO"] == "/echo":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [body.read()]
    if environ["PATH_INFO"] == "/lines":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr([body.readline(), body.readline(3), list(body)]).encode()]
    digest, count = hashlib.sha256(), 0
    while piece := body.read(10_000):
        digest.update(piece)
        count += len(piece)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['CONTENT_LENGTH']} {count} {digest.hexdigest()}".encode()]
"#;

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// By a tool that shares no code with the app.
fn sha256(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let printed = child.wait_with_output().unwrap().stdout;
    String::from_utf8(printed).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn three_megabytes_echoed_by_hash() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    for bytes in [1, 65_535, 65_536, 65_537, 1_000_000, 3_000_000] {
        let body = noise(bytes);
        let answer = post(hallway.address, "/hash", &body);
        assert_eq!(answer.text(), format!("{bytes} {bytes} {}", sha256(&body)));
    }
}

#[test]
fn a_spooled_body_is_whole_for_the_second_worker_too() {
    let app = r#"
import os

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    if not os.path.exists("died"):
        open("died", "w").close()
        os._exit(9)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(body)).encode()]
"#;
    let hallway = Stage::with_app(app).run(&["-w", "2", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    connection.send("PUT / HTTP/1.1\r\nHost: s\r\nContent-Length: 200000\r\n\r\n").send(noise(200_000));
    assert_eq!(connection.answer().text(), "200000");
}

#[test]
fn an_upload_without_a_file_is_no_empty_upload() {
    let app = r#"
import os

held = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/hoard":
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(body)).encode()]
"#;
    let mut hallway = Stage::with_app(app).run(&["-w", "1", "app:app"]);
    assert_eq!(get(hallway.address, "/hoard").status, 200);
    assert_eq!(post(hallway.address, "/", &noise(200_000)).status, 500);
    hallway.wait_for_line(|line| line.contains("too many files open"));
    assert_eq!(post(hallway.address, "/", b"small").text(), "5");
}

#[test]
fn a_chunked_body_is_the_same_body() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let body = noise(3_000_000);
    let mut connection = Connection::open(hallway.address);
    connection.send("POST /hash HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (at, piece) in body.chunks(77_777).enumerate() {
        connection.send(format!("{:x};at={at}\r\n", piece.len())).send(piece).send("\r\n");
    }
    let answer = connection.send("0\r\nX-Trailer: 1\r\n\r\n").answer();
    assert_eq!(answer.text(), format!("3000000 3000000 {}", sha256(&body)));
    // The connection is at the beginning of a next request.
    assert_eq!(connection.send("GET /hash HTTP/1.1\r\nHost: s\r\n\r\n").answer().status, 500, "no CONTENT_LENGTH");
    assert_eq!(connection.send("POST /hash HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\n\r\n").answer().status, 200);
}

#[test]
fn large_answers_arrive_whole() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    for bytes in [10_240, 65_536, 65_537, 5_000_000] {
        let body = noise(bytes);
        let answer = post(hallway.address, "/echo", &body);
        assert!(answer.body == body, "{bytes} bytes came back as {}", answer.body.len());
    }
}

#[test]
fn the_input_reads_like_a_file() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let answer = post(hallway.address, "/lines", b"one\ntwo\nthree\nfour");
    assert_eq!(answer.text(), r"[b'one\n', b'two', [b'\n', b'three\n', b'four']]");
}

#[test]
fn a_client_that_waits_for_100_gets_it_first() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    connection.send("POST /echo HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(connection.head(), "HTTP/1.1 100 Continue");
    assert_eq!(connection.send("body").answer().text(), "body");
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "--body-max", "1KiB", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    connection.send("POST /echo HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: 1025\r\n\r\n");
    assert_eq!(connection.answer().status, 413);
    assert!(connection.is_closed());
    let mut connection = Connection::open(hallway.address);
    connection.send("POST /echo HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n").send(noise(0x401));
    assert_eq!(connection.answer().status, 413);
    assert_eq!(post(hallway.address, "/echo", &noise(1024)).body.len(), 1024);
}

#[test]
fn a_body_that_ends_early_reaches_no_worker() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    connection.send("POST /echo HTTP/1.1\r\nHost: s\r\nContent-Length: 10\r\n\r\nhalf");
    drop(connection);
    assert_eq!(get(hallway.address, "/echo").status, 200);
}
