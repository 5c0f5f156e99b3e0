//! In:     `kill -9` of the master.
//! Out:    the end of every other process, also of a busy one.
//! Actors: one hallway whose worker holds the interpreter.
//! Never:  is a process left that nobody supervises.

use super::client::{Connection, get};
use super::stage::{Stage, is_alive, signal, wait_until};

const APP: &str = r#"
import time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/busy":
        open("begun", "w").close()
        while True:
            pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
"#;

#[test]
fn nothing_outlives_the_master() {
    let hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    assert_eq!(get(hallway.address, "/").status, 200);
    let mut busy = Connection::open(hallway.address);
    busy.send("GET /busy HTTP/1.1\r\nHost: s\r\n\r\n");
    let begun = hallway.stage.as_ref().unwrap().dir.join("begun");
    wait_until(|| begun.exists().then_some(()));
    let family = hallway.children("hallway: ");
    assert_eq!(family.len(), 3);
    signal(hallway.pid(), "KILL");
    wait_until(|| family.iter().all(|pid| !is_alive(*pid)).then_some(()));
}
