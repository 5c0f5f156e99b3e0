//! In:     clients and servers of a pool that hand sockets over beside their bytes, whose close waits for minutes.
//! Out:    others, who are served by the same edge meanwhile.
//! Actors: one hallway at a unix socket, and with a pool behind one; `tests/apps/hander.py`.
//! Never:  does an event loop close what somebody has sent it.

use super::client::get;
use super::served::Served;
use super::stage::{Stage, python};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const FILE: &str = r#"
[server]
http = ["HTTP", "unix:DIR/in.sock"]
threads = 1
[pool.hander]
servers = ["unix:DIR/out.sock"]
eject = { after = 1000 }
[site."*"]
routes = [
  { path = "/pool/*", pool = "hander" },
  { path = "/*", files = "public" },
]
"#;

/// Somebody who hands things over until the story is done with him.
struct Hander(Child);

impl Hander {
    fn start(mode: &str, path: &Path) -> Hander {
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/apps/hander.py");
        let mut command = Command::new(python());
        command.arg("-B").arg(program).arg(mode).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut begun = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut begun).unwrap();
        assert!(!begun.is_empty(), "he has not begun");
        Hander(child)
    }
}

impl Drop for Hander {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn start() -> (Served, u32) {
    let served = Served::start(Stage::new().file("public/small", "small"), FILE);
    let edge = served.hallway.wait_for_child("hallway: edge", &[]);
    (served, edge)
}

#[test]
fn a_client_that_hands_over_what_lingers_holds_up_nobody() {
    let (served, edge) = start();
    for _ in 0..3 {
        let _hander = Hander::start("ask", &served.path("in.sock"));
        assert_eq!(get(served.http, "/small").text(), "small");
        let path = served.path("in.sock").display().to_string();
        assert_eq!(served.curl(&["--unix-socket", &path, "http://story/small"]), "small");
    }
    assert_eq!(served.hallway.children("hallway: edge"), [edge], "the edge is the same");
}

#[test]
fn a_server_that_hands_over_what_lingers_holds_up_nobody() {
    let (served, edge) = start();
    let _hander = Hander::start("answer", &served.path("out.sock"));
    for _ in 0..5 {
        assert_eq!(get(served.http, "/pool/x").status, 502);
        assert_eq!(get(served.http, "/small").text(), "small");
    }
    assert_eq!(served.hallway.children("hallway: edge"), [edge], "the edge is the same");
}
