//! In:     a file that names a user, started as root and not.
//! Out:    an edge that runs as that user, or why not.
//! Actors: hallway; the system's users.
//! Never:  does the edge keep what only root may do.

use super::client::get;
use super::served::Served;
use super::stage::{ANY, Stage, wait_until};
use std::os::unix::fs::PermissionsExt;

const FILE: &str = r#"
[server]
http = "HTTP"
user = "nobody"
[log]
access = { path = "DIR/logs/access.log" }
[site."*"]
routes = [{ path = "/*", files = "." }]
"#;

#[test]
fn the_edge_runs_as_the_user_that_is_named() {
    let stage = Stage::new().file("a.txt", "seen").file("logs/keep", "");
    if !rustix::process::geteuid().is_root() {
        std::fs::write(stage.dir.join("hallway.toml"), FILE.replace("HTTP", "127.0.0.1:0")).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallway"));
        let output = command.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        return assert!(said.contains("only root can start something as 'nobody'"), "{said}");
    }
    let served = Served::start(stage, FILE);
    assert_eq!(get(served.http, "/a.txt").text(), "seen");
    let edge = served.hallway.children("hallway: edge")[0];
    let status = std::fs::read_to_string(format!("/proc/{edge}/status")).unwrap();
    let field = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    for ids in [field("Uid:"), field("Gid:")] {
        assert!(!ids.split_ascii_whitespace().skip(1).any(|id| id == "0"), "{ids}");
    }
    assert_eq!(field("CapEff:").split_ascii_whitespace().nth(1), Some("0000000000000000"));
    let log = served.path("logs/access.log");
    wait_until(|| std::fs::read_to_string(&log).ok().filter(|log| log.contains("GET /a.txt")));
    std::fs::rename(&log, served.path("logs/old.log")).unwrap();
    served.hallway.signal("USR1");
    wait_until(|| {
        get(served.http, "/a.txt");
        std::fs::read_to_string(&log).ok().filter(|log| log.contains("GET /a.txt"))
    });
}

/// An app that may not be what it is to be, or may not read what it is to read, is its own affair.
#[test]
fn an_app_whose_user_may_not_read_it_is_told_of() {
    let file = r#"
[server]
http = "HTTP"
[app.closed]
wsgi = "app:app"
chdir = "closed"
user = "nobody"
python = "/usr/bin/python3"
[app.interpreter]
wsgi = "app:app"
user = "nobody"
python = "closed/python"
[site."*"]
routes = [{ path = "/closed", app = "closed" }, { path = "/interpreter", app = "interpreter" }, { path = "/*", files = "." }]
"#;
    let app = "def app(environ, start_response): start_response('200 OK', []); return []\n";
    let stage = Stage::new().file("a.txt", "seen").file("closed/app.py", app).file("closed/python", "#!/bin/sh\n");
    for name in ["closed/python", "closed"] {
        std::fs::set_permissions(stage.dir.join(name), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let served = Served::start_all(stage, file, ANY);
    assert_eq!(get(served.http, "/a.txt").text(), "seen");
    let reasons = if rustix::process::geteuid().is_root() {
        ["cannot be entered: the user 'nobody'", "is not for the user 'nobody'"]
    } else {
        ["only root can start something as 'nobody'"; 2]
    };
    for (path, reason) in ["/closed", "/interpreter"].into_iter().zip(reasons) {
        wait_until(|| (get(served.http, path).status == 503).then_some(()));
        wait_until(|| served.order(&["status"]).1.contains(reason).then_some(()));
    }
}
