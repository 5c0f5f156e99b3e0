//! In:     clients of HTTP/2 that have many streams open at a time, in the clear and over TLS.
//! Out:    every answer whole; those that are ready together in few records.
//! Actors: one hallway with an app, `h2_streams.py`.
//! Never:  does one stream that waits or fails hold up the others.

use super::served::Served;
use super::stage::{Stage, python};
use std::path::Path;
use std::process::Command;

const FILE: &str = r#"
[server]
http = "HTTP"
https = "HTTPS"
threads = 1
[app.web]
wsgi = "app:app"
chdir = "DIR"
python = "PYTHON"
workers = 1
[site."localhost"]
tls = "internal"
https_redirect = false
routes = [
  { path = "/*", files = "DIR/files" },
  { path = "/short", respond = { body = "SHORT" } },
  { path = "/app/*", app = "web" },
]
"#;

const APP: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"x" * 30_000
    raise RuntimeError("as it happens")
"#;

fn run(is_encrypted: bool) {
    let large: Vec<u8> = (0..3 * 1024 * 1024_usize).map(|at| (at * 7 % 251) as u8).collect();
    let stage = Stage::with_app(APP);
    std::fs::create_dir(stage.dir.join("files")).unwrap();
    std::fs::write(stage.dir.join("files/large.bin"), large).unwrap();
    let served = Served::start(stage, &FILE.replace("SHORT", &"s".repeat(1000)));
    let mut command = Command::new(python());
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/h2_streams.py"));
    let at = if is_encrypted { served.https } else { served.http };
    command.args([at.ip().to_string(), at.port().to_string(), format!("--master={}", served.hallway.pid())]);
    if is_encrypted {
        command.arg("--tls").arg(served.path("state/internal/authority.pem"));
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(said, "all well\n", "{}", served.hallway.said());
}

#[test]
fn streams_share_a_connection_in_the_clear() {
    run(false);
}

#[test]
fn streams_share_a_connection_over_tls() {
    run(true);
}
