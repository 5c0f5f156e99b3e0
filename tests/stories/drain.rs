//! In:     TERM and INT while requests are in flight.
//! Out:    those requests answered, then the end of every process; at once for a second signal.
//! Actors: hallways with workers that take their time.
//! Never:  is a connection reset that had a request in it.

use super::client::{Connection, get};
use super::stage::{AT_ONCE, Stage, is_alive, wait_until};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const APP: &str = r#"
import time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/stream":
        def pieces():
            for n in range(5):
                yield f"{n},".encode()
                time.sleep(0.2)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return pieces()
    open("slow" if environ["QUERY_STRING"] else "begun", "w").close()
    time.sleep(float(environ["QUERY_STRING"] or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"finished"]
"#;

#[test]
fn term_finishes_the_request_in_flight() {
    for name in ["TERM", "INT", "QUIT"] {
        let mut hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
        // An edge and two workers.
        let family: Vec<u32> = hallway.wait_for_children("hallway: ", 3);
        let mut idle = Connection::open(hallway.address);
        assert_eq!(idle.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n").answer().status, 200);
        let mut slow = Connection::open(hallway.address);
        slow.send("GET /?1 HTTP/1.1\r\nHost: s\r\n\r\n");
        let mut stream = Connection::open(hallway.address);
        stream.send("GET /stream HTTP/1.1\r\nHost: s\r\n\r\n");
        assert_eq!(stream.head().split(' ').nth(1), Some("200"));
        let begun = hallway.stage.as_ref().unwrap().dir.join("slow");
        wait_until(|| begun.exists().then_some(()));
        hallway.signal(name);
        assert!(idle.is_closed(), "an idle connection is let go at once");
        let answer = slow.answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, "finished"), "{name}");
        assert_eq!(answer.header("connection"), Some("close"));
        let mut streamed = Vec::new();
        loop {
            let chunk = stream.chunk();
            if chunk.is_empty() {
                break;
            }
            streamed.extend(chunk);
        }
        assert_eq!(streamed, b"0,1,2,3,4,");
        assert_eq!(hallway.wait_for_end().code(), Some(0), "{name}: {}", hallway.said());
        assert!(family.iter().all(|pid| !is_alive(*pid)), "nothing is left of {family:?}");
        assert!(TcpStream::connect(hallway.address).is_err(), "nobody listens any more");
    }
}

#[test]
fn a_connection_that_has_just_come_is_still_answered() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut slow = Connection::open(hallway.address);
    slow.send("GET /?2 HTTP/1.1\r\nHost: s\r\n\r\n");
    let mut fresh = Connection::open(hallway.address);
    let begun = hallway.stage.as_ref().unwrap().dir.join("slow");
    wait_until(|| begun.exists().then_some(()));
    hallway.signal("TERM");
    wait_until(|| TcpStream::connect(hallway.address).err());
    fresh.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
    assert_eq!(fresh.answer().text(), "finished");
    assert_eq!(slow.answer().text(), "finished");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
}

#[test]
fn a_signal_to_every_process_cuts_nothing() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut slow = Connection::open(hallway.address);
    slow.send("GET /?0.7 HTTP/1.1\r\nHost: s\r\n\r\n");
    let begun = hallway.stage.as_ref().unwrap().dir.join("slow");
    wait_until(|| begun.exists().then_some(()));
    for pid in hallway.children("hallway: ") {
        super::stage::signal(pid, "TERM");
    }
    hallway.signal("TERM");
    assert_eq!(slow.answer().text(), "finished");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
}

#[test]
fn who_comes_after_the_stop_is_refused() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut slow = Connection::open(hallway.address);
    slow.send("GET /?1 HTTP/1.1\r\nHost: s\r\n\r\n");
    let begun = hallway.stage.as_ref().unwrap().dir.join("slow");
    wait_until(|| begun.exists().then_some(()));
    hallway.signal("TERM");
    wait_until(|| TcpStream::connect(hallway.address).err());
    assert_eq!(slow.answer().text(), "finished");
}

#[test]
fn an_unused_connection_does_not_hold_up_the_end() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut unused = Connection::open(hallway.address);
    assert_eq!(get(hallway.address, "/").status, 200);
    let begun = Instant::now();
    hallway.signal("TERM");
    assert!(unused.is_closed());
    assert_eq!(hallway.wait_for_end().code(), Some(0));
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut slow = Connection::open(hallway.address);
    slow.send("GET /?20 HTTP/1.1\r\nHost: s\r\n\r\n");
    let begun = hallway.stage.as_ref().unwrap().dir.join("slow");
    wait_until(|| begun.exists().then_some(()));
    hallway.signal("TERM");
    std::thread::sleep(Duration::from_millis(700));
    let second = Instant::now();
    hallway.signal("TERM");
    hallway.wait_for_end();
    assert!(second.elapsed() < AT_ONCE, "{:?}", second.elapsed());
    assert!(hallway.said().contains("stopping at once"), "{}", hallway.said());
}

#[test]
fn a_drain_has_an_end() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--graceful-timeout", "1s", "app:app"]);
    let mut slow = Connection::open(hallway.address);
    slow.send("GET /?20 HTTP/1.1\r\nHost: s\r\n\r\n");
    let begun = hallway.stage.as_ref().unwrap().dir.join("slow");
    wait_until(|| begun.exists().then_some(()));
    let stop = Instant::now();
    hallway.signal("TERM");
    hallway.wait_for_end();
    let took = stop.elapsed();
    assert!(took > Duration::from_millis(900) && took < AT_ONCE, "{took:?}");
    assert!(
        hallway.said().contains("1 request that was not answered within the graceful timeout is cut"),
        "{}",
        hallway.said()
    );
}
