//! In:     a worker with several threads.
//! Out:    as many requests at a time, each with its own answer.
//! Actors: a hallway with one worker.
//! Never:  does a stuck request take those beside it along.

use super::client::{Connection, get, request};
use super::stage::{Stage, wait_until};
use std::time::{Duration, Instant};

const APP: &str = r#"
import os, sys, threading, time

MEETING = threading.Barrier(4)

def app(environ, start_response):
    kind, _, value = environ["QUERY_STRING"].partition("=")
    if kind == "exit":
        sys.exit(7)
    if kind == "stream":
        def pieces():
            for _ in range(5):
                yield value.encode() * 20000
                time.sleep(0.01)
        start_response("200 OK", [])
        return pieces()
    body = environ["wsgi.input"].read()
    if kind == "sleep":
        open("begun", "w").close()
        time.sleep(float(value))
    if kind == "meet":
        # Nobody goes on before four are here.
        MEETING.wait(50)
        time.sleep(0.4)
    start_response("200 OK", [("X-Thread", threading.current_thread().name),
                              ("X-Pid", str(os.getpid())), ("X-Multithread", str(environ["wsgi.multithread"]))])
    return [body or b"done"]
"#;

#[test]
fn as_many_at_a_time_as_there_are_threads() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "--threads", "4", "-t", "60s", "app:app"]);
    let begun = Instant::now();
    let mut many: Vec<Connection> = (0..8).map(|_| Connection::open(hallway.address)).collect();
    for connection in &mut many {
        connection.send("GET /?meet HTTP/1.1\r\nHost: s\r\n\r\n");
    }
    let mut threads = std::collections::BTreeSet::new();
    for connection in &mut many {
        let answer = connection.answer();
        assert_eq!((answer.status, answer.header("x-multithread")), (200, Some("True")));
        threads.insert(answer.header("x-thread").unwrap().to_owned());
    }
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(750), "eight in fours took {took:?}");
    assert_eq!(threads.len(), 4, "{threads:?}");
    // Bodies, streams and files of several requests at once are not mixed up.
    let asking: Vec<_> = (0..8u8)
        .map(|number| {
            let address = hallway.address;
            std::thread::spawn(move || {
                for round in 0..10 {
                    let length = if round % 3 == 0 { 200_000 } else { 30_000 };
                    let body = vec![b'a' + number; length];
                    let mut connection = Connection::open(address);
                    connection.send(format!("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: {length}\r\n\r\n"));
                    connection.send(&body);
                    assert!(connection.answer().body == body, "{number} got another's body");
                    let letter = char::from(b'a' + number);
                    let streamed = get(address, &format!("/?stream={letter}")).text();
                    assert!(streamed.len() == 100_000 && streamed.chars().all(|seen| seen == letter));
                }
            })
        })
        .collect();
    asking.into_iter().for_each(|asking| asking.join().unwrap());
}

#[test]
fn a_stuck_request_does_not_take_others_along() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--threads", "3", "-t", "4s", "app:app"]);
    let mut stuck = Connection::open(hallway.address);
    stuck.send("GET /?sleep=60 HTTP/1.1\r\nHost: s\r\n\r\n");
    let begun = hallway.stage.as_ref().unwrap().dir.join("begun");
    wait_until(|| begun.exists().then_some(()));
    std::thread::sleep(Duration::from_millis(1_500));
    let mut beside = Connection::open(hallway.address);
    beside.send("GET /?sleep=3 HTTP/1.1\r\nHost: s\r\n\r\n");
    assert_eq!(stuck.answer().status, 504);
    let fine = beside.answer();
    assert_eq!(fine.status, 200, "it was finished by the worker that is to go");
    hallway.wait_for_line(|line| line.contains("GET / was not answered within 4 s"));
    hallway.wait_for_line(|line| line.contains("in app"));
    let next = get(hallway.address, "/");
    assert_eq!(next.status, 200);
    assert_ne!(next.header("x-pid"), fine.header("x-pid"), "another worker serves now");
}

#[test]
fn an_exit_in_any_thread_ends_the_worker() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--threads", "3", "app:app"]);
    for _ in 0..3 {
        assert_eq!(get(hallway.address, "/?exit").status, 500);
        hallway.wait_for_line(|line| line.contains("ended with exit code 7"));
        assert_eq!(request(hallway.address, "GET", "/", "").status, 200);
    }
}
