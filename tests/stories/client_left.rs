//! In:     clients that leave while they wait, in the queue or at the app.
//! Out:    499 in the log; what still waited never reaches a worker; the worker is free for others.
//! Actors: one hallway with one worker.
//! Never:  is a slot lost with a client.

use super::client::{Connection, get};
use super::stage::{Stage, wait_until};
use std::time::Duration;

const APP: &str = r#"
import os, time

def app(environ, start_response):
    with open("seen", "a") as seen:
        seen.write(environ["PATH_INFO"] + "\n")
    if environ["PATH_INFO"] == "/at-work":
        while not os.path.exists("left"):
            time.sleep(0.01)
    time.sleep(float(environ["QUERY_STRING"] or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"#;

#[test]
fn who_left_is_not_worked_for() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "--access-log", "-", "app:app"]);
    let seen = hallway.stage.as_ref().unwrap().dir.join("seen");
    let mut at_work = Connection::open(hallway.address);
    at_work.send("GET /at-work HTTP/1.1\r\nHost: s\r\n\r\n");
    wait_until(|| seen.exists().then_some(()));
    let mut waiting: Vec<Connection> = (0..20).map(|_| Connection::open(hallway.address)).collect();
    for connection in &mut waiting {
        connection.send("GET /waiting HTTP/1.1\r\nHost: s\r\n\r\n");
    }
    // They have to be read before they are reset, or they were never there.
    std::thread::sleep(Duration::from_millis(1_000));
    // Who only closes its sending side may still read; a reset is what says that a client has left.
    waiting.push(at_work);
    waiting.into_iter().for_each(Connection::reset);
    wait_until(|| (hallway.written().matches(" 499 0 ").count() >= 21).then_some(()));
    std::fs::write(seen.with_file_name("left"), "").unwrap();
    assert_eq!(get(hallway.address, "/after").text(), "done");
    assert_eq!(std::fs::read_to_string(&seen).unwrap(), "/at-work\n/after\n");
    let gone = wait_until(|| Some(hallway.written().matches(" 499 0 ").count()).filter(|count| *count >= 21));
    assert_eq!(gone, 21, "{}", hallway.written());
}

#[test]
fn a_stream_that_nobody_reads_is_ended() {
    let app = r#"
import time

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] != "/endless":
        return [b"free"]
    def pieces():
        try:
            while True:
                yield b"x" * 1000
                time.sleep(0.01)
        finally:
            open("closed", "w").close()
    return pieces()
"#;
    let hallway = Stage::with_app(app).run(&["-w", "1", "--queue-max-wait", "5s", "app:app"]);
    for method in ["GET", "HEAD"] {
        let mut connection = Connection::open(hallway.address);
        connection.send(format!("{method} /endless HTTP/1.1\r\nHost: s\r\n\r\n"));
        connection.head();
        drop(connection);
        assert_eq!(get(hallway.address, "/").text(), "free", "the worker of an abandoned {method} is free again");
    }
    let closed = hallway.stage.as_ref().unwrap().dir.join("closed");
    wait_until(|| closed.exists().then_some(()));
    assert_eq!(hallway.children("hallway: app").len(), 1);
    assert!(!hallway.said().contains("failed"), "{}", hallway.said());
}

#[test]
fn what_is_sent_ahead_is_no_leaving() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    connection.send("GET /one?0.3 HTTP/1.1\r\nHost: s\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    connection.send("GET /two HTTP/1.1\r\nHost: s\r\n\r\n");
    assert_eq!(connection.answer().text(), "done");
    assert_eq!(connection.answer().text(), "done");
}
