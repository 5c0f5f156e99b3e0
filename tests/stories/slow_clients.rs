//! In:     clients that send or read slowly, or not at all.
//! Out:    fast clients served by the only worker as if nobody else were there.
//! Actors: one hallway with one worker.
//! Never:  does a worker wait for a client.

use super::client::{Connection, get};
use super::stage::{AT_ONCE, Stage};
use std::time::{Duration, Instant};

const APP: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/large":
        return [b"x" * 200_000]
    return [str(len(environ["wsgi.input"].read())).encode()]
"#;

/// Bytes of an answer that no socket buffer takes at once.
const HUGE: usize = 30_000_000;

#[test]
fn huge_answers_wait_for_their_clients_without_a_worker() {
    let app = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/small":
        return [b"small"]
    if environ["PATH_INFO"] == "/stream":
        return (bytes([n % 251]) * 100_000 for n in range(300))
    return [b"".join(bytes([n % 251]) * 100_000 for n in range(300))]
"#;
    let hallway = Stage::with_app(app).run(&["-w", "2", "--queue-max-wait", "50s", "app:app"]);
    let mut unread: Vec<Connection> = (0..6).map(|_| Connection::open(hallway.address)).collect();
    for (at, connection) in unread.iter_mut().enumerate() {
        let path = if at % 2 == 0 { "/stream" } else { "/whole" };
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: s\r\n\r\n"));
    }
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..20 {
        assert_eq!(get(hallway.address, "/small").text(), "small");
    }
    let edge = hallway.children("hallway: edge")[0];
    let status = std::fs::read_to_string(format!("/proc/{edge}/status")).unwrap();
    // Without the program itself, which is large in this build.
    let resident = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap().to_owned();
    let kib: usize = resident.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 56 * 1024, "six answers of 30 MB are in files, not in memory: {resident}");
    for (at, connection) in unread.iter_mut().enumerate() {
        let body = connection.answer().body;
        assert_eq!(body.len(), HUGE, "answer {at}");
        let right =
            body.chunks(100_000).enumerate().all(|(n, piece)| piece.iter().all(|byte| *byte == (n % 251) as u8));
        assert!(right, "the bytes of answer {at} are in their order");
    }
}

#[test]
fn a_worker_never_waits_for_a_client() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut half_heads: Vec<Connection> = (0..50).map(|_| Connection::open(hallway.address)).collect();
    let mut half_bodies: Vec<Connection> = (0..50).map(|_| Connection::open(hallway.address)).collect();
    let mut unread: Vec<Connection> = (0..50).map(|_| Connection::open(hallway.address)).collect();
    for connection in &mut half_heads {
        connection.send("GET / HTTP/1.1\r\nHost: s\r\nX-Slow: ");
    }
    for connection in &mut half_bodies {
        connection.send("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 100000\r\n\r\nthe rest comes later");
    }
    for connection in &mut unread {
        connection.send("GET /large HTTP/1.1\r\nHost: s\r\n\r\n");
    }
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(get(hallway.address, "/").text(), "0");
    }
    let took = begun.elapsed();
    assert!(took < AT_ONCE, "100 requests took {took:?}");
    for connection in &mut half_heads {
        assert_eq!(connection.send("done\r\n\r\n").answer().text(), "0");
    }
    for connection in &mut half_bodies {
        assert_eq!(connection.send(vec![b'y'; 100_000 - 20]).answer().text(), "100000");
    }
    for connection in &mut unread {
        assert_eq!(connection.answer().body.len(), 200_000);
    }
}
