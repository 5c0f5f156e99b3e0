//! In:     too few descriptors, a full disk, files that may not grow.
//! Out:    words for the operator; the service goes on.
//! Actors: hallways started with limits of the shell.
//! Never:  is something lost without a word.

use super::client::{Connection, get};
use super::stage::{AT_ONCE, Running, Stage, wait_until};
use std::process::Command;
use std::time::Instant;

const APP: &str = r#"
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [str(len(body)).encode()]
"#;

/// Runs hallway behind a `ulimit` of the shell.
fn limited(limit: &str, flags: &[&str]) -> Running {
    let stage = Stage::with_app(APP);
    let plain = stage.command(flags);
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit {limit}; exec \"$0\" \"$@\""))
        .arg(plain.get_program())
        .args(plain.get_args());
    Running::start(command, Some(stage))
}

#[test]
fn idle_connections_make_room_when_descriptors_run_out() {
    let flags = ["--bind", "127.0.0.1:0", "-w", "1", "--edge-threads", "1", "app:app"];
    let mut hallway = limited("-n 140", &flags);
    hallway.wait_for_line(|line| line.contains("there are descriptors for 20 connections only; raise the limit"));
    let mut idle: Vec<Connection> = (0..20).map(|_| Connection::open(hallway.address)).collect();
    idle[0].send("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
    assert_eq!(idle[0].answer().status, 200);
    let begun = Instant::now();
    assert_eq!(get(hallway.address, "/").status, 200, "one more comes in");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    hallway.wait_for_line(|line| line.contains("20 connections are open, the most for which there are descriptors"));
}

#[test]
fn a_log_on_a_full_disk_is_told_of() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--access-log", "/dev/full", "app:app"]);
    assert_eq!(get(hallway.address, "/").status, 200);
    hallway
        .wait_for_line(|line| line.contains("the access log cannot be written") && line.contains("1 lines are lost"));
    assert_eq!(get(hallway.address, "/").status, 200);
}

#[test]
fn a_file_that_may_not_grow_ends_nothing() {
    // In blocks of 512 bytes: enough for hallway's own memory files, too little for this body's.
    let mut hallway = limited("-f 40000", &["--bind", "127.0.0.1:0", "-w", "1", "--body-max", "0", "app:app"]);
    let edge = hallway.children("hallway: edge");
    let mut connection = Connection::open(hallway.address);
    connection.send("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 60000000\r\n\r\n");
    let piece = vec![b'x'; 1_000_000];
    // The answer may come before all of it was taken.
    for _ in 0..60 {
        if connection.try_send(&piece).is_err() {
            break;
        }
    }
    assert_eq!(connection.answer().status, 500);
    assert_eq!(get(hallway.address, "/").status, 200);
    wait_until(|| (hallway.children("hallway: edge") == edge).then_some(()));
    hallway
        .wait_for_line(|line| line.contains("the spool file /") && line.contains("cannot be written: File too large"));
}
