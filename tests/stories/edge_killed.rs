//! In:     `kill -9` of the edge.
//! Out:    another edge on the same sockets with the same workers; no connection refused.
//! Actors: one hallway; clients that connect all the time.
//! Never:  does a worker restart because the edge did.

use super::client::{Connection, get};
use super::stage::{Stage, signal, wait_until};
use std::net::TcpStream;

const APP: &str = r#"
import os, time

def app(environ, start_response):
    if environ["QUERY_STRING"]:
        open("begun", "w").close()
        time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

#[test]
fn another_edge_takes_over() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    let workers = hallway.children("hallway: app");
    assert_eq!(get(hallway.address, "/").status, 200);
    for _ in 0..3 {
        let edge = hallway.children("hallway: edge")[0];
        signal(edge, "KILL");
        // Nothing is refused, from the first moment on.
        let mut waiting: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(hallway.address).unwrap()).collect();
        let answer = get(hallway.address, "/");
        assert_eq!(answer.status, 200);
        assert!(workers.contains(&answer.text().parse().unwrap()), "the same workers serve");
        waiting.clear();
    }
    assert_eq!(hallway.children("hallway: app"), workers);
    hallway.wait_for_line(|line| line.contains("the edge has ended; another one takes over"));
    let mut connection = Connection::open(hallway.address);
    connection.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
    assert_eq!(connection.answer().status, 200);
    hallway.signal("TERM");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
}

#[test]
fn what_was_too_slow_for_the_old_edge_is_too_slow_for_the_new_one() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "-t", "1s", "app:app"]);
    let worker = hallway.children("hallway: app")[0];
    let mut slow = Connection::open(hallway.address);
    slow.send("GET /?600 HTTP/1.1\r\nHost: s\r\n\r\n");
    let begun = hallway.stage.as_ref().unwrap().dir.join("begun");
    wait_until(|| begun.exists().then_some(()));
    signal(hallway.children("hallway: edge")[0], "KILL");
    hallway.wait_for_line(|line| line.contains(&format!("worker {worker} has not come to the new edge for 1 s")));
    hallway.wait_for_line(|line| line.contains("in app"));
    let answer = get(hallway.address, "/");
    assert!(answer.status == 200 && answer.text() != worker.to_string(), "{answer:?}");
}
