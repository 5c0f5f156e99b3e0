//! In:     `kill -9` of a worker, idle or at work.
//! Out:    the next request is answered; one in flight goes to another worker where its method allows it.
//! Actors: hallways with one and two workers.
//! Never:  does a POST reach the app twice.

use super::client::{Connection, get};
use super::stage::{AT_ONCE, Stage, signal};
use std::fs;
use std::time::Duration;

const APP: &str = r#"
import os, time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/note":
        with open("notes", "a") as notes:
            notes.write(f"{environ['REQUEST_METHOD']} {os.getpid()}\n")
        first = open("notes").read().count(environ["REQUEST_METHOD"]) == 1
        if first:
            time.sleep(30)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

#[test]
fn the_next_request_is_answered() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let first: u32 = get(hallway.address, "/").text().parse().unwrap();
    for _ in 0..3 {
        let worker: u32 = get(hallway.address, "/").text().parse().unwrap();
        signal(worker, "KILL");
        let answer = get(hallway.address, "/");
        assert_eq!(answer.status, 200);
        assert_ne!(answer.text().parse::<u32>().unwrap(), worker);
    }
    assert_eq!(hallway.children("hallway: app web [1]").len(), 1, "it takes the place of the first, {first}");
}

#[test]
fn a_get_in_flight_goes_to_another_worker() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    connection.send("GET /note HTTP/1.1\r\nHost: s\r\n\r\n");
    let worker = noted(&hallway, 1)[0].1;
    signal(worker, "KILL");
    let answer = connection.answer();
    assert_eq!(answer.status, 200);
    let notes = noted(&hallway, 2);
    assert_eq!(answer.text(), notes[1].1.to_string());
    assert_ne!(notes[1].1, worker);
    hallway.wait_for_line(|line| line.contains(&format!("worker {worker} was ended by signal 9")));
    let told = format!("worker {worker} ended while it had GET /note; it goes to another one");
    hallway.wait_for_line(|line| line.contains(&told));
}

#[test]
fn a_post_in_flight_is_answered_502() {
    let hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    connection.send("POST /note HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\n\r\n");
    signal(noted(&hallway, 1)[0].1, "KILL");
    assert_eq!(connection.answer().status, 502);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(noted(&hallway, 1).len(), 1, "the app saw it once");
    // The connection lives on.
    assert_eq!(connection.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n").answer().status, 200);
}

#[test]
fn a_worker_that_ends_in_any_other_way_is_replaced() {
    let app = r#"
import os, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/close":
        os.closerange(3, 1000)
    if path == "/fork":
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        os.kill(os.getpid(), 9)
    if path == "/child":
        os.fork()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"fine"]
"#;
    let hallway = Stage::with_app(app).run(&["-w", "1", "--timeout", "50s", "app:app"]);
    for path in ["/close", "/fork", "/child"] {
        // Whatever becomes of this request, the next ones are answered in time.
        let mut connection = Connection::open(hallway.address);
        connection.send(format!("POST {path} HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\n\r\n"));
        std::thread::sleep(Duration::from_millis(300));
        for _ in 0..3 {
            let begun = std::time::Instant::now();
            assert_eq!(get(hallway.address, "/").text(), "fine", "after {path}");
            assert!(begun.elapsed() < AT_ONCE, "after {path}: {:?}", begun.elapsed());
        }
    }
}

fn noted(hallway: &super::stage::Running, at_least: usize) -> Vec<(String, u32)> {
    let path = hallway.stage.as_ref().unwrap().dir.join("notes");
    super::stage::wait_until(|| {
        let notes = fs::read_to_string(&path).unwrap_or_default();
        let notes: Vec<_> = notes
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(method, pid)| (method.to_owned(), pid.parse().unwrap()))
            .collect();
        (notes.len() >= at_least).then_some(notes)
    })
}
