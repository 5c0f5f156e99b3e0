//! In:     requests behind one that takes long, in the lane of the same worker.
//! Out:    their answers, at once, from another worker.
//! Actors: a hallway with two workers, of which one sleeps.
//! Never:  does a request wait behind a slow one while a worker is free.

use super::client::{Connection, get};
use super::stage::{Stage, signal, wait_until};
use std::time::Duration;

const APP: &str = r#"
import os, time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/sleep":
        open("asleep", "w").write(str(os.getpid()))
        for _ in range(2500):
            if os.path.exists("awake"):
                break
            time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

#[test]
fn who_waits_behind_a_slow_request_is_served_by_another_worker() {
    let hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    // Quick ones first, so that several may wait in a lane.
    for _ in 0..50 {
        assert_eq!(get(hallway.address, "/").status, 200);
    }
    let mut many: Vec<Connection> = (0..40).map(|_| Connection::open(hallway.address)).collect();
    for round in 0..20 {
        for (at, connection) in many.iter_mut().enumerate() {
            let path = if round == 10 && at == 5 { "/sleep" } else { "/" };
            connection.send(format!("GET {path} HTTP/1.1\r\nHost: s\r\n\r\n"));
        }
        for (at, connection) in many.iter_mut().enumerate() {
            if round == 10 && at == 5 {
                continue;
            }
            assert_eq!(connection.answer().status, 200);
        }
        if round == 10 {
            // Not before the quick ones have their answers does the slow one get its own.
            std::fs::write(hallway.stage.as_ref().unwrap().dir.join("awake"), "").unwrap();
            assert_eq!(many[5].answer().status, 200);
        }
    }
}

#[test]
fn what_a_lost_worker_had_not_begun_is_answered_whatever_its_method() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    for _ in 0..50 {
        assert_eq!(get(hallway.address, "/").status, 200);
    }
    let mut many: Vec<Connection> = (0..20).map(|_| Connection::open(hallway.address)).collect();
    for (at, connection) in many.iter_mut().enumerate() {
        let path = if at == 0 { "/sleep" } else { "/" };
        connection.send(format!("POST {path} HTTP/1.1\r\nHost: s\r\nContent-Length: 3\r\n\r\nabc"));
    }
    let asleep = hallway.stage.as_ref().unwrap().dir.join("asleep");
    let pid = wait_until(|| std::fs::read_to_string(&asleep).ok().filter(|pid| !pid.is_empty()));
    std::thread::sleep(Duration::from_millis(50));
    signal(pid.parse().unwrap(), "KILL");
    assert_eq!(many[0].answer().status, 502, "it was begun, and a POST is not sent twice");
    let mut by_another = 0;
    for (at, connection) in many.iter_mut().enumerate().skip(1) {
        let answer = connection.answer();
        assert_eq!(answer.status, 200, "{at}: {}", answer.text());
        by_another += usize::from(answer.text() != pid);
    }
    assert!(by_another > 0, "the first worker answered all of them before it slept");
    hallway.wait_for_line(|line| line.contains("ended while it had POST /sleep; it is answered 502"));
}
