//! In:     an address that another process holds.
//! Out:    who holds it and what to do, and nothing left running.
//! Actors: a stranger's socket, with and without SO_REUSEPORT.
//! Never:  is a stranger's port joined.

use super::stage::{Stage, python};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

const APP: &str = "def app(environ, start_response): start_response('200 OK', []); return []";

#[test]
fn a_taken_port_is_explained() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let (code, said) = Stage::with_app(APP).run_to_end(&["--bind", &address, "app:app"]);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("cannot listen at {address}: it is in use by ")), "{said}");
    assert!(said.contains(&format!("(pid {})", std::process::id())), "{said}");
    assert!(said.contains("choose another address, as 127.0.0.1:"), "{said}");
}

#[test]
fn a_stranger_with_reuseport_is_not_joined() {
    let script = "import socket, sys, time\ns = socket.socket()\ns.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n\
        s.bind(('127.0.0.1', 0))\ns.listen()\nprint(s.getsockname()[1], flush=True)\nsys.stdin.read()";
    let mut stranger =
        Command::new(python()).args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(stranger.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let address = format!("127.0.0.1:{}", port.trim());
    let (code, said) = Stage::with_app(APP).run_to_end(&["--bind", &address, "app:app"]);
    drop(stranger.stdin.take());
    stranger.wait().unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("(pid {})", stranger.id())), "{said}");
}

#[test]
fn addresses_that_cannot_be_are_explained() {
    let (code, said) = Stage::with_app(APP).run_to_end(&["--bind", "203.0.113.7:8000", "app:app"]);
    assert!(code == Some(1) && said.contains("this machine has no such address"), "{said}");
    let (code, said) = Stage::with_app(APP).run_to_end(&["--bind", "nowhere", "app:app"]);
    assert!(code == Some(2) && said.contains("--bind nowhere: write host:port"), "{said}");
    assert!(said.contains("the host 'nowhere' is not known"), "{said}");
}
