//! In:     clients that send or read slowly, or not at all.
//! Out:    fast clients served by the only worker as if nobody else were there.
//! Actors: one hallway with one worker.
//! Never:  does a worker wait for a client.

use super::client::{Connection, get};
use super::stage::Stage;
use std::time::{Duration, Instant};

const APP: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/large":
        return [b"x" * 200_000]
    return [str(len(environ["wsgi.input"].read())).encode()]
"#;

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
    assert!(took < Duration::from_secs(2), "100 requests took {took:?}");
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
