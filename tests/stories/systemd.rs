//! What a service manager hears.
//!
//! In:     the variables that systemd sets for a service of `Type=notify` or `Type=notify-reload`.
//! Out:    what it is told, in the order of sd_notify(3).
//! Actors: hallway; a socket of the story's in the place of systemd's.
//! Never:  does a service manager that does not listen hold anything up.

use super::client::get;
use super::served::{Served, as_starter, free_address};
use super::stage::{PATIENCE, Running, Stage, python, wait_until};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::{Duration, Instant};

const APP: &str = r#"
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [",".join(name for name in os.environ if "NOTIFY" in name or "WATCHDOG" in name).encode()]
"#;

const FILE: &str = r#"
[server]
http = "HTTP"
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 2
[site."*"]
routes = [{ path = "/*", app = "web" }]
"#;

/// In the place of systemd.
struct Manager(UnixDatagram);

impl Manager {
    /// What it is told next, but for signs of life.
    fn hears(&self) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let word = self.any().filter(|word| word != "WATCHDOG=1");
            if let Some(word) = word {
                return word;
            }
            assert!(Instant::now() < until, "nothing is told");
        }
    }

    /// What it is told within a short time, whatever it is.
    fn any(&self) -> Option<String> {
        let mut bytes = [0; 4096];
        self.0.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        let length = self.0.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }
}

/// A hallway that serves a file, with these variables, and the socket that it tells.
fn start(file: &str, variables: &[(&str, &str)]) -> (Running, Manager, std::net::SocketAddr) {
    let address = free_address();
    let file = file.replace("HTTP", &address.to_string()).replace("PYTHON", &python().display().to_string());
    let stage = Stage::with_app(APP).file("hallway.toml", &as_starter(&file));
    let manager = Manager(UnixDatagram::bind(stage.dir.join("notify")).unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
    command.arg("serve").arg("-c").arg(stage.dir.join("hallway.toml"));
    command.env("STATE_DIRECTORY", stage.dir.join("state")).env("RUNTIME_DIRECTORY", stage.dir.join("run"));
    command.env("NOTIFY_SOCKET", stage.dir.join("notify")).envs(variables.iter().copied());
    (Running::launch(command, Some(stage)), manager, address)
}

#[test]
fn systemd_is_told_of_start_reload_and_stop() {
    let (mut hallway, manager, address) = start(FILE, &[]);
    let word = manager.hears();
    let serving = format!("READY=1\nSTATUS=serving app:app at http://{address}");
    assert_eq!(word, serving);
    assert_eq!(get(address, "/").text(), "", "an app speaks to nobody in its place");
    for (broken, expected) in [(false, "every worker is replaced"), (true, "nothing was changed")] {
        let file = hallway.stage.as_ref().unwrap().dir.join("hallway.toml");
        if broken {
            std::fs::write(&file, "[server]\nnonsense = 1\n").unwrap();
        }
        let before_us = hallway_edge::monotonic_us();
        hallway.signal("HUP");
        let word = manager.hears();
        let began = word.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").map(|time| time.parse::<u64>().unwrap());
        assert!(began.is_some_and(|time| time >= before_us), "{word}");
        assert_eq!(manager.hears(), serving);
        // It is over when that is said, which takes a moment to be heard here.
        hallway.wait_for_line(|line| line.contains(expected));
    }
    hallway.signal("TERM");
    assert_eq!(manager.hears(), "STOPPING=1\nSTATUS=finishing what was begun");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
    assert_eq!(manager.any(), None);
}

#[test]
fn reloads_by_order_are_told_of_too() {
    let stage = Stage::with_app(APP);
    let manager = Manager(UnixDatagram::bind(stage.dir.join("notify")).unwrap());
    let served = Served::start_all(stage, FILE, 2);
    assert_eq!(manager.any(), None, "nobody asked");
    drop(served);
    let (hallway, manager, _) = start(FILE, &[]);
    manager.hears();
    let stage = hallway.stage.as_ref().unwrap();
    for words in [&["reload"][..], &["reload", "web"], &["reload", "--config"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
        command.args(words).arg("-c").arg(stage.dir.join("hallway.toml"));
        let output = command.env("RUNTIME_DIRECTORY", stage.dir.join("run")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(manager.hears().starts_with("RELOADING=1\nMONOTONIC_USEC="), "{words:?}");
        assert!(manager.hears().starts_with("READY=1\n"), "{words:?}");
    }
}

#[test]
fn signs_of_life_come_from_the_loop_of_the_master() {
    let (hallway, manager, _) = start(FILE, &[("WATCHDOG_USEC", "400000")]);
    manager.hears();
    let alive = || wait_until(|| manager.any().filter(|word| word == "WATCHDOG=1"));
    (0..5).for_each(|_| drop(alive()));
    hallway.signal("STOP");
    while manager.any().is_some() {}
    assert_eq!(manager.any(), None, "who is stopped does not live");
    hallway.signal("CONT");
    alive();
    drop(hallway);
    // Of another process, or with a word that is none, it is not asked for.
    for variables in [[("WATCHDOG_USEC", "400000"), ("WATCHDOG_PID", "1")], [("WATCHDOG_USEC", "soon"), ("TZ", "UTC")]]
    {
        let (_hallway, manager, _) = start(FILE, &variables);
        manager.hears();
        assert_eq!(manager.any(), None);
    }
}

#[test]
fn a_service_manager_that_does_not_listen_holds_nothing_up() {
    let (hallway, manager, address) = start(FILE, &[("WATCHDOG_USEC", "4000")]);
    wait_until(|| hallway.said().contains("serving app:app").then_some(()));
    // Its queue is long full.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(get(address, "/").status, 200);
    hallway.signal("HUP");
    wait_until(|| hallway.said().contains("every worker is replaced").then_some(()));
    assert!(manager.hears().starts_with("READY=1\n"));
    assert!(manager.hears().starts_with("RELOADING=1\n"), "what was not heard is said again");
    assert!(manager.hears().starts_with("READY=1\n"));
}

#[test]
fn an_abstract_socket_is_told_by_run() {
    let stage = Stage::with_app(APP);
    let name = format!("hallway-story-{}", std::process::id());
    let manager = Manager(UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap());
    let mut command = stage.command(&["-w", "1", "--bind", "127.0.0.1:0", "app:app"]);
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let mut hallway = Running::start(command, Some(stage));
    assert!(manager.hears().starts_with("READY=1\nSTATUS=serving app:app at http://127.0.0.1:"));
    assert_eq!(get(hallway.address, "/").text(), "");
    hallway.signal("HUP");
    assert!(manager.hears().starts_with("RELOADING=1\n"));
    assert!(manager.hears().starts_with("READY=1\n"));
    hallway.signal("TERM");
    assert!(manager.hears().starts_with("STOPPING=1\n"));
    assert_eq!(hallway.wait_for_end().code(), Some(0));
    // Nobody is there any more: that is nobody's loss.
    drop(manager);
    let stage = hallway.stage.take().unwrap();
    let mut command = stage.command(&["-w", "1", "--bind", "127.0.0.1:0", "app:app"]);
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    assert_eq!(get(Running::start(command, Some(stage)).address, "/").status, 200);
}
