//! In:     floods of requests whose bodies never end, over HTTP/2 and HTTP/1.1.
//! Out:    the memory that they took, back with the system once they are gone.
//! Actors: one hallway for each; a client that stays, where the event loop is not to be idle.
//! Never:  does the worst minute of a server decide how much memory it takes from then on.

use super::client::{Connection, get};
use super::stage::{Running, Stage, wait_until};

const APP: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(environ["wsgi.input"].read())).encode()]
"#;

/// KiB that the edge may keep, and that a flood takes at least.
const KEPT_KIB: usize = 40 * 1024;
const FLOOD_KIB: usize = 120 * 1024;
/// A body that stays in memory, as long as it is not whole.
const HALF: usize = 60_000;

fn start() -> Running {
    Stage::with_app(APP).run(&["-w", "1", "--client-connections", "0", "--edge-threads", "1", "app:app"])
}

/// Memory of the edge without that of its program.
fn resident_kib(hallway: &Running) -> usize {
    let edge = hallway.children("hallway: edge")[0];
    let status = std::fs::read_to_string(format!("/proc/{edge}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A frame (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A connection with a hundred requests whose bodies do not end.
fn half_streams(hallway: &Running) -> Connection {
    let mut connection = Connection::open(hallway.address);
    connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").send(frame(4, 0, 0, b""));
    for at in 0..100 {
        let stream = 2 * at + 1;
        // :method POST, :scheme http, :path /, :authority s (RFC 7541, 6).
        connection.send(frame(1, 4, stream, b"\x83\x86\x84\x41\x01s"));
        // What it has of the window for all its streams comes back as the bodies are taken.
        for part in vec![b'x'; HALF].chunks(10_000) {
            connection.send(frame(0, 0, stream, part));
        }
    }
    connection
}

fn half_bodies(hallway: &Running) -> Vec<Connection> {
    let half = |_| {
        let mut connection = Connection::open(hallway.address);
        connection.send("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 64000\r\n\r\n").send([b'x'; HALF]);
        connection
    };
    (0..3_000).map(half).collect()
}

fn goes_back<T>(flood: impl Fn(&Running) -> T, stays: bool) {
    let hallway = start();
    let mut kept = Connection::open(hallway.address);
    if stays {
        kept.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
        assert_eq!(kept.answer().text(), "0");
    } else {
        drop(std::mem::replace(&mut kept, Connection::open(hallway.address)));
        kept.shutdown();
    }
    assert!(resident_kib(&hallway) < KEPT_KIB, "before: {} KiB", resident_kib(&hallway));
    let flooding = flood(&hallway);
    wait_until(|| (resident_kib(&hallway) > FLOOD_KIB).then_some(()));
    assert_eq!(get(hallway.address, "/").text(), "0");
    drop(flooding);
    wait_until(|| (resident_kib(&hallway) < KEPT_KIB).then_some(()));
    if stays {
        kept.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
        assert_eq!(kept.answer().text(), "0");
    }
    assert_eq!(get(hallway.address, "/").text(), "0");
}

#[test]
fn what_streams_took_goes_back() {
    goes_back(|hallway| (0..30).map(|_| half_streams(hallway)).collect::<Vec<_>>(), false);
}

#[test]
fn what_streams_took_goes_back_while_somebody_is_there() {
    goes_back(|hallway| (0..30).map(|_| half_streams(hallway)).collect::<Vec<_>>(), true);
}

#[test]
fn what_bodies_took_goes_back() {
    goes_back(half_bodies, true);
}

/// What an edge takes that has nothing to do: most of it are pages of its program, which are the page cache's.
#[test]
fn an_edge_with_nothing_to_do_takes_little() {
    let hallway = start();
    let limit_kib = 5 * 1024;
    wait_until(|| (resident_kib(&hallway) < limit_kib).then_some(()));
    assert_eq!(get(hallway.address, "/").text(), "0");
    wait_until(|| (resident_kib(&hallway) < limit_kib).then_some(()));
}
