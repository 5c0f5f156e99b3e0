//! In:     a file that names a user, started as root and not.
//! Out:    an edge that runs as that user, or why not.
//! Actors: hallway; the system's users.
//! Never:  does the edge keep what only root may do.

use super::client::get;
use super::served::Served;
use super::stage::{Stage, wait_until};

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
