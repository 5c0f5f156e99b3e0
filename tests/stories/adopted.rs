//! In:     files that are valid and that an edge cannot go by; edges that end while they are asked to.
//! Out:    what was served before goes on, the reason is told, and the next edge goes by what was served.
//! Actors: hallway; limits that the story sets on its edge.
//! Never:  does half of a change count.

use super::client::{get, request};
use super::served::Served;
use super::stage::{ANY, Stage, signal, wait_until};
use rustix::process::Pid;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

fn file(body: &str, more: &str, log: &str) -> String {
    format!(
        "[server]\nhttp = [\"HTTP\"{more}]\nthreads = 2\n[log]\naccess = {{ path = \"DIR/logs/{log}.log\" }}\n\
         [site.\"*\"]\nroutes = [{{ path = \"/*\", respond = {{ body = \"{body}\" }} }}]\n"
    )
}

fn edge(served: &Served) -> u32 {
    served.hallway.wait_for_children("hallway: edge", 1)[0]
}

/// Sets a soft limit of a process, as who it runs as: that needs nothing more than to be the same user.
fn limit(pid: u32, limit: &str) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let id = |name: &str| -> u32 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let mut command = Command::new("prlimit");
    command.args(["--pid", &pid.to_string(), limit]);
    if rustix::process::geteuid().is_root() {
        command.uid(id("Uid:")).gid(id("Gid:"));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Has a process open no further descriptor: the standard ones are there, and what it has already it keeps.
fn fill(pid: u32) {
    limit(pid, "--nofile=3:");
}

#[test]
fn an_edge_without_descriptors_refuses_and_nothing_changes() {
    let served = Served::start(Stage::new().file("logs/keep", ""), &file("old", "", "a"));
    let first = edge(&served);
    fill(first);
    served.write(&file("new", ", \"OTHER\"", "b"));
    let (code, said) = served.code_of(&["reload", "--config"]);
    assert!(code == Some(1) && said.contains("no descriptor is left"), "{code:?}: {said}");
    wait_until(|| served.hallway.said().contains("nothing was changed").then_some(()));
    limit(first, "--nofile=1000:");
    assert_eq!(get(served.http, "/").text(), "old");
    assert!(TcpStream::connect(served.other).is_err(), "its address was given back");
    // Who comes next goes by what was served, not by what was refused.
    signal(first, "KILL");
    let second = served.hallway.wait_for_child("hallway: edge", &[first]);
    assert_eq!(get(served.http, "/").text(), "old");
    assert!(TcpStream::connect(served.other).is_err());
    let (ok, said) = served.order(&["reload", "--config"]);
    assert!(ok, "{said}");
    assert_eq!((get(served.http, "/").text(), get(served.other, "/").text()), ("new".into(), "new".into()));
    assert_eq!(edge(&served), second);
    wait_until(|| std::fs::read_to_string(served.path("logs/b.log")).ok().filter(|log| log.contains("GET /")));
}

/// What of a plan fails late leaves what came before it as it was: also an app that it would have taken out.
#[test]
fn an_edge_that_may_start_no_thread_refuses_and_keeps_its_apps() {
    let app = "import os\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    return [str(os.getpid()).encode()]\n";
    // The limit of processes does not hold for root.
    let user = if rustix::process::geteuid().is_root() { "user = \"nobody\"\n" } else { "" };
    let text = |route: &str, log: &str, app: &str| {
        format!(
            "[server]\nhttp = \"HTTP\"\n{user}[log]\naccess = {{ path = \"DIR/logs/{log}.log\" }}\n\
             [site.\"*\"]\nroutes = [{{ path = \"/*\", {route} }}]\n{app}"
        )
    };
    let one = "[app.one]\nwsgi = \"app:app\"\nworkers = 1\npython = \"/usr/bin/python3\"\n";
    let stage = Stage::with_app(app).file("logs/keep", "");
    let served = Served::start_all(stage, &text("app = \"one\"", "a", one), ANY);
    let worker: u32 = get(served.http, "/").text().parse().unwrap();
    let first = edge(&served);
    limit(first, "--nproc=1:");
    served.write(&text("respond = { body = \"new\" }", "b", ""));
    let (code, said) = served.code_of(&["reload"]);
    assert!(code == Some(1) && said.contains("the edge cannot go by it"), "{code:?}: {said}");
    assert_eq!(get(served.http, "/").text(), worker.to_string());
    signal(worker, "KILL");
    let next = wait_until(|| get(served.http, "/").text().parse::<u32>().ok().filter(|pid| *pid != worker));
    assert_ne!(next, worker);
    assert_eq!(edge(&served), first, "it is the same edge that serves the next worker");
}

#[test]
fn an_edge_that_ends_while_it_is_asked_is_followed_by_one_that_is_asked_again() {
    let served = Served::start(Stage::new().file("logs/keep", ""), &file("old", "", "a"));
    let first = edge(&served);
    rustix::process::kill_process(Pid::from_raw(first as i32).unwrap(), rustix::process::Signal::STOP).unwrap();
    served.write(&file("new", ", \"OTHER\"", "a"));
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| served.order(&["reload", "--config"]));
        // The master listens there as soon as it has asked.
        wait_until(|| TcpStream::connect(served.other).ok());
        signal(first, "KILL");
        let (ok, said) = reload.join().unwrap();
        assert!(ok, "{said}");
    });
    assert_eq!((get(served.http, "/").text(), get(served.other, "/").text()), ("new".into(), "new".into()));
}

#[test]
fn a_log_whose_directory_has_gone_keeps_no_edge_from_starting() {
    let served = Served::start(Stage::new().file("logs/keep", ""), &file("old", "", "a"));
    let first = edge(&served);
    std::fs::remove_dir_all(served.path("logs")).unwrap();
    signal(first, "KILL");
    served.hallway.wait_for_child("hallway: edge", &[first]);
    assert_eq!(get(served.http, "/").text(), "old");
    served.hallway.signal("USR1");
    wait_until(|| served.hallway.said().contains("the access log could not be opened anew").then_some(()));
    // A change that needs nothing of it is gone by all the same.
    std::fs::create_dir(served.path("logs")).unwrap();
    served.write(&file("new", "", "a"));
    let (ok, said) = served.order(&["reload", "--config"]);
    assert!(ok, "{said}");
    served.hallway.signal("USR1");
    wait_until(|| {
        get(served.http, "/");
        std::fs::read_to_string(served.path("logs/a.log")).ok().filter(|log| log.contains("GET /"))
    });
}

/// Changes that come faster than they can be gone by: the last one counts, and everybody is told.
#[test]
fn changes_wait_for_one_another() {
    let served = Served::start(Stage::new().file("logs/keep", ""), &file("0", "", "a"));
    std::thread::scope(|scope| {
        let reloads: Vec<_> = (1..=6)
            .map(|round| {
                // As a whole, as careful tools do: it is read at any moment.
                let text = file(&round.to_string(), "", "a").replace("HTTP", &served.http.to_string());
                let text = text.replace("DIR", &served.path("").display().to_string());
                std::fs::write(served.path("next"), text).unwrap();
                std::fs::rename(served.path("next"), served.path("hallway.toml")).unwrap();
                served.hallway.signal(if round % 2 == 0 { "HUP" } else { "USR1" });
                scope.spawn(|| served.order(&["reload", "--config"]))
            })
            .collect();
        for reload in reloads {
            let (ok, said) = reload.join().unwrap();
            assert!(ok, "{said}");
        }
    });
    wait_until(|| (get(served.http, "/").text() == "6").then_some(()));
}

/// What keeps an edge from being started may pass: it is tried again, at a pace.
#[test]
fn an_edge_that_cannot_be_started_is_tried_again_and_not_without_a_pause() {
    let mut served = Served::start(Stage::new().file("logs/keep", ""), &file("old", "", "a"));
    let (first, master) = (edge(&served), served.hallway.pid());
    // What the edge's channel was is free again when it has ended, and that is not enough for another one. Fewer than the
    // master waits for (poll(2)) would end it. Only root may look how many there are.
    let open = std::fs::read_dir(format!("/proc/{master}/fd")).into_iter().flatten().flatten();
    let open: Vec<u32> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let free = (0..).find(|number| !open.contains(number)).filter(|free| *free > 0).unwrap_or(16);
    limit(master, &format!("--nofile={free}:"));
    let tries = |served: &Served| served.hallway.said().matches("the edge could not be started").count();
    signal(first, "KILL");
    wait_until(|| (tries(&served) > 0).then_some(()));
    let begun = Instant::now();
    wait_until(|| (tries(&served) > 3).then_some(()));
    assert!(begun.elapsed() >= Duration::from_millis(600), "pauses of 100, 200, 400 ms and more");
    limit(master, "--nofile=1000:");
    assert_eq!(get(served.http, "/").text(), "old");
    served.hallway.signal("TERM");
    assert_eq!(served.hallway.wait_for_end().code(), Some(0));
}

/// Passwords that could not be gone by are not forgotten.
#[test]
fn passwords_that_an_edge_refuses_are_looked_at_again() {
    let text = "[server]\nhttp = \"HTTP\"\nthreads = 1\n[site.\"*\"]\nroutes = [{ path = \"/*\", respond = {}, basic_auth = { file = \"staff\" } }]\n";
    let users = "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";
    let served = Served::start(Stage::new().file("staff", users), text);
    let first = edge(&served);
    fill(first);
    std::fs::write(served.path("staff"), users.replace("alice", "bob")).unwrap();
    wait_until(|| served.hallway.said().contains("nothing was changed").then_some(()));
    limit(first, "--nofile=1000:");
    let bob = "Authorization: Basic Ym9iOnNlY3JldA==\r\n";
    wait_until(|| (request(served.http, "GET", "/", bob).status == 200).then_some(()));
    assert_eq!(edge(&served), first);
}
