//! In:     a request that takes longer than the timeout.
//! Out:    504 for its client, the Python stack for the operator, a new worker for the next request.
//! Actors: one hallway with one worker and a timeout of a second.
//! Never:  does one stuck request stop the others for good.

use super::client::get;
use super::stage::{AT_ONCE, Stage, wait_until};
use std::time::{Duration, Instant};

const APP: &str = r#"
import os, time

def deep_inside():
    open("stuck", "w").close()
    time.sleep(60)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        deep_inside()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

#[test]
fn a_stuck_worker_shows_its_stack_and_is_replaced() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--timeout", "1s", "app:app"]);
    let worker = get(hallway.address, "/").text();
    let begun = Instant::now();
    let answer = get(hallway.address, "/stuck?x=1");
    let took = begun.elapsed();
    assert_eq!(answer.status, 504);
    assert!(took >= Duration::from_secs(1) && took < AT_ONCE, "{took:?}");
    let answer = get(hallway.address, "/");
    assert_eq!(answer.status, 200);
    assert_ne!(answer.text(), worker);
    hallway.wait_for_line(|line| line.contains("GET /stuck was not answered within 1 s"));
    hallway.wait_for_line(|line| line.contains("in deep_inside"));
}

#[test]
fn a_stream_that_stops_and_a_close_that_hangs_are_ended_too() {
    let app = r#"
import time

class Hanging:
    def __iter__(self):
        return iter([b"whole"])
    def close(self):
        time.sleep(60)

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    def stops():
        yield b"first"
        time.sleep(60)
    return {"/stops": stops, "/close": Hanging}.get(environ["PATH_INFO"], lambda: [b"fine"])()
"#;
    let mut hallway = Stage::with_app(app).run(&["-w", "1", "--timeout", "1s", "app:app"]);
    let mut connection = super::client::Connection::open(hallway.address);
    connection.send("GET /stops HTTP/1.1\r\nHost: s\r\n\r\n");
    connection.head();
    assert_eq!(connection.chunk(), b"first");
    assert!(connection.is_closed(), "cut, so that nobody takes it for whole");
    assert_eq!(get(hallway.address, "/").text(), "fine");
    assert_eq!(get(hallway.address, "/close").text(), "whole", "the answer does not wait for close()");
    assert_eq!(get(hallway.address, "/").text(), "fine");
    hallway.wait_for_line(|line| line.contains("in the middle of a request"));
    assert!(!hallway.said().contains("worker 0 "), "each worker is named by its process: {}", hallway.said());
}

#[test]
fn who_waits_too_long_for_a_worker_is_told() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "--queue-max-wait", "5s", "--queue-size", "1", "app:app"]);
    let mut stuck = super::client::Connection::open(hallway.address);
    stuck.send("GET /stuck HTTP/1.1\r\nHost: s\r\n\r\n");
    let begun = hallway.stage.as_ref().unwrap().dir.join("stuck");
    wait_until(|| begun.exists().then_some(()));
    let mut waiting = super::client::Connection::open(hallway.address);
    waiting.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
    std::thread::sleep(Duration::from_millis(1_000));
    let full = get(hallway.address, "/");
    assert_eq!((full.status, full.header("retry-after")), (503, Some("1")), "the queue is full");
    assert!(full.text().contains("the queue before it is full"), "told at once: {}", full.text());
    let late = waiting.answer();
    assert_eq!((late.status, late.header("retry-after")), (503, Some("1")), "it waited too long");
    assert!(late.text().contains("busy for too long"), "{}", late.text());
}
