//! In:     clients that break every rule of HTTP/2, scanners of TLS, slow clients by the hundred.
//! Out:    the reaction that the standards ask for; nothing that others would feel.
//! Actors: hallway with a WSGI app; programs of `tests/apps`, testssl, sslyze, slowhttptest.
//! Never:  does one of them cost another client its answer, or the edge its memory.

use super::served::Served;
use super::stage::{Stage, python};
use std::path::Path;
use std::process::Command;

const FILE: &str = r#"
[server]
http = "HTTP"
https = "HTTPS"
threads = 1
client_connections = 0
write_timeout = "2s"
head_timeout = "2s"
body_timeout = "2s"
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[site."*"]
tls = "internal"
https_redirect = false
routes = [
  { path = "/*", files = "." },
  { path = "/ok", respond = { body = "ok" } },
  { path = "/app/*", app = "web" },
]
"#;

fn start() -> Served {
    let app = std::fs::read_to_string(program("hostile_app.py")).unwrap();
    let stage = Stage::with_app(&app).file("large.bin", &"x".repeat(10 << 20)).file("medium.bin", &"y".repeat(60_000));
    Served::start(stage, FILE)
}

fn program(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps").join(name)
}

/// Runs a program of the tests to its end.
fn run(served: &Served, name: &str, arguments: &[&str]) {
    let authority = served.path("state/internal/authority.pem").display().to_string();
    let edge = served.hallway.children("hallway: edge")[0].to_string();
    let filled = |word: &&str| match *word {
        "AUTHORITY" => authority.clone(),
        "EDGE" => edge.clone(),
        word => {
            word.replace("HTTPS", &served.https.port().to_string()).replace("HTTP", &served.http.port().to_string())
        }
    };
    let mut command = Command::new(python());
    command.arg("-B").arg(program(name)).args(arguments.iter().map(filled));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn a_hostile_client_of_http2_in_the_clear() {
    run(&start(), "hostile_h2.py", &["HTTP", "--edge-pid", "EDGE"]);
}

#[test]
fn a_hostile_client_of_http2_over_tls() {
    run(&start(), "hostile_h2.py", &["HTTPS", "--tls", "AUTHORITY", "--edge-pid", "EDGE"]);
}

#[test]
fn scanners_of_tls_find_nothing() {
    run(&start(), "scan_tls.py", &["localhost:HTTPS", "--authority", "AUTHORITY"]);
}

#[test]
fn slow_clients_by_the_hundred_harm_nobody() {
    let served = start();
    run(&served, "slow_clients.py", &["http://127.0.0.1:HTTP/", "--edge-pid", "EDGE"]);
    run(&served, "slow_clients.py", &["https://localhost:HTTPS/", "--authority", "AUTHORITY", "--edge-pid", "EDGE"]);
}
