//! In:     a standard error whose reader is gone, or never reads.
//! Out:    a server that goes on as if nothing were, and ends when it is told to.
//! Actors: one hallway for each kind of reader; an app that raises all the time.
//! Never:  does a log decide whether requests are answered.

use super::client::{get, request};
use super::stage::{Stage, is_alive, python, signal, wait_until};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const APP: &str = r#"
import sys

def app(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        sys.stderr = open("/dev/null", "w")
        raise ValueError("x" * 1000)
    if environ["PATH_INFO"] == "/short":
        start_response("200 OK", [("Content-Length", "10")])
        return [b"short"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"fine"]
"#;

/// Starts with a pipe as standard error whose reader stops after the first lines; with `closes`,
/// it closes its end.
fn survives(closes: bool) {
    let stage = Stage::with_app(APP);
    let mut child = Command::new(env!("CARGO_BIN_EXE_hallway"))
        .args(["run", "--bind", "127.0.0.1:0", "-w", "1", "--python"])
        .arg(python())
        .arg("--chdir")
        .arg(&stage.dir)
        .arg("app:app")
        .stderr(Stdio::piped())
        .env_remove("PORT")
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("stop with Ctrl-C") {
        assert!(reader.read_line(&mut line).unwrap() > 0, "{line}");
    }
    let address = line.split("http://").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    let _kept = (!closes).then_some(reader);
    for _ in 0..1_000 {
        // Each of these has the edge complain; a thousand lines fill a pipe.
        assert_eq!(get(address, "/short").status, 502);
    }
    assert_eq!(request(address, "GET", "/raise", "").status, 500);
    assert_eq!(get(address, "/").text(), "fine");
    signal(child.id(), "TERM");
    wait_until(|| child.try_wait().unwrap());
    std::thread::sleep(Duration::from_millis(50));
    assert!(!is_alive(child.id()));
}

#[test]
fn a_reader_that_is_gone_ends_nothing() {
    survives(true);
}

#[test]
fn a_reader_that_never_reads_holds_up_nothing() {
    survives(false);
}
