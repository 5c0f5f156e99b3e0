//! In:     an edge that is stopped, in whole or in part, that spins, blocks, or hangs while it starts.
//! Out:    another edge on the same sockets with the same workers; none after a pause of the whole machine.
//! Actors: one hallway; a debugger (`ptrace`), which only root may be to an edge.
//! Never:  is an edge replaced that only waited with everybody else.

use super::client::{Connection, get};
use super::served::Served;
use super::stage::{Running, Stage, python, signal, wait_until};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const APP: &str = r#"
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

const FILE: &str = r#"
[server]
http = "HTTP"
threads = 2
WATCHDOG
[site."*"]
routes = [{ path = "/*", respond = { body = "here" } }]
"#;

fn edge_of(hallway: &Running) -> u32 {
    hallway.wait_for_children("hallway: edge", 1)[0]
}

/// Waits until another edge serves, with the same workers.
fn wait_for_another(hallway: &Running, old: u32) {
    hallway.wait_for_child("hallway: edge", &[old]);
    let workers = hallway.children("hallway: app");
    let answer = get(hallway.address, "/");
    assert!(answer.status == 200 && workers.contains(&answer.text().parse().unwrap()), "{answer:?}");
}

/// The threads of a process, by their names.
fn threads_of(process: u32) -> BTreeMap<String, u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let number = |task: fs::DirEntry| task.file_name().to_str().unwrap().parse::<u32>().unwrap();
    let named = |thread: u32| {
        let name = fs::read_to_string(format!("/proc/{process}/task/{thread}/comm")).unwrap();
        (if thread == process { "main".into() } else { name.trim().to_owned() }, thread)
    };
    tasks.map(number).map(named).collect()
}

/// A debugger that has stopped a thread, or changed what it does; nothing where this user may be none.
fn seize(thread: u32, how: &str) -> Option<Child> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories/seize.py");
    let mut command = Command::new(python());
    command.arg(script).arg(thread.to_string()).arg(how).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut debugger = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(debugger.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if rustix::process::geteuid().is_root() {
        assert_eq!(line.trim(), "done");
        return Some(debugger);
    }
    assert!(line.starts_with("refused: Operation not permitted"), "{line}");
    debugger.wait().unwrap();
    None
}

fn let_go(mut debugger: Child) {
    drop(debugger.stdin.take());
    debugger.wait().unwrap();
}

#[test]
fn a_stopped_edge_is_replaced() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let workers = hallway.children("hallway: app");
    for _ in 0..2 {
        let edge = edge_of(&hallway);
        signal(edge, "STOP");
        hallway.wait_for_line(|line| {
            line.contains(&format!("the edge (process {edge}) has not turned for 2 s")) && line.contains("by a signal")
        });
        wait_for_another(&hallway, edge);
    }
    assert_eq!(hallway.children("hallway: app"), workers);
}

#[test]
fn each_thread_that_stops_is_missed() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--edge-threads", "2", "app:app"]);
    for (name, told) in [
        ("main", "the edge's main thread"),
        ("edge 0", "event loop 1 of the edge"),
        ("edge 1", "event loop 2 of the edge"),
    ] {
        let edge = edge_of(&hallway);
        let thread = wait_until(|| threads_of(edge).get(name).copied());
        let Some(debugger) = seize(thread, "stop") else { return };
        let told = format!("{told} (");
        hallway.wait_for_line(|line| {
            line.contains(&told) && line.contains(&thread.to_string()) && line.contains("it was stopped by a debugger")
        });
        wait_for_another(&hallway, edge);
        let_go(debugger);
    }
}

#[test]
fn an_event_loop_that_spins_is_replaced() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--edge-threads", "2", "app:app"]);
    let edge = edge_of(&hallway);
    let Some(debugger) = seize(threads_of(edge)["edge 1"], "spin") else { return };
    hallway.wait_for_line(|line| line.contains("event loop 2 of the edge (") && line.contains("it runs without end"));
    wait_for_another(&hallway, edge);
    let_go(debugger);
    // Also where it is the only one.
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--edge-threads", "1", "app:app"]);
    let edge = edge_of(&hallway);
    let Some(debugger) = seize(threads_of(edge)["edge 0"], "spin") else { return };
    hallway.wait_for_line(|line| line.contains("event loop 1 of the edge (") && line.contains("it runs without end"));
    wait_for_another(&hallway, edge);
    let_go(debugger);
}

#[test]
fn an_event_loop_that_blocks_is_replaced() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--edge-threads", "2", "app:app"]);
    let edge = edge_of(&hallway);
    let Some(debugger) = seize(threads_of(edge)["edge 0"], "block") else { return };
    hallway.wait_for_line(|line| {
        line.contains("event loop 1 of the edge (") && line.contains("it waits for something that does not come")
    });
    // Where it is: below the runtime of the event loop.
    hallway.wait_for_line(|line| line.contains("event loop 1 is here, innermost first:"));
    hallway.wait_for_line(|line| line.starts_with("    ") && line.contains("mio::sys::unix::selector"));
    hallway.wait_for_line(|line| line.starts_with("    ") && line.contains("hallway_edge::server::run::run_loop"));
    wait_for_another(&hallway, edge);
    let_go(debugger);
}

/// The edge is stopped as soon as it is there, until one is that was not ready yet.
#[test]
fn an_edge_that_hangs_while_it_starts_is_replaced() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let is_edge = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.windows(13).any(|word| word == b"hallway: edge")
    };
    let children = format!("/proc/{0}/task/{0}/children", hallway.pid());
    for _ in 0..20 {
        let old = edge_of(&hallway);
        signal(old, "KILL");
        let until = Instant::now() + super::stage::PATIENCE;
        let new = loop {
            let all = fs::read_to_string(&children).unwrap();
            let mut all = all.split_ascii_whitespace().map(|pid| pid.parse().unwrap());
            if let Some(new) = all.find(|pid: &u32| *pid != old && is_edge(pid)) {
                break new;
            }
            assert!(Instant::now() < until);
        };
        signal(new, "STOP");
        let line = hallway.wait_for_line(|line| line.contains(&format!("the edge (process {new})")));
        wait_for_another(&hallway, new);
        if line.contains("which is not ready yet, has not turned for 2 s") {
            return;
        }
    }
    panic!("none was stopped in time");
}

#[test]
fn a_pause_of_everything_ends_nothing() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let edge = edge_of(&hallway);
    let mut connection = Connection::open(hallway.address);
    // Whoever is stopped first, and whoever goes on first.
    for (first, then, pause_ms) in [
        (hallway.pid(), edge, 10_000),
        (edge, hallway.pid(), 3_000),
        (hallway.pid(), edge, 1_700),
        (edge, hallway.pid(), 1_200),
        (hallway.pid(), edge, 900),
    ] {
        connection.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
        assert_eq!(connection.answer().status, 200);
        connection.send("GET / HTTP/1.1\r\n");
        signal(first, "STOP");
        signal(then, "STOP");
        std::thread::sleep(Duration::from_millis(pause_ms));
        signal(first, "CONT");
        signal(then, "CONT");
        std::thread::sleep(Duration::from_millis(2_500));
        connection.send("Host: s\r\n\r\n");
        assert_eq!(connection.answer().status, 200);
    }
    assert_eq!((hallway.children("hallway: edge"), hallway.said().contains("not turned")), (vec![edge], false));
}

#[test]
fn without_a_watchdog_nobody_is_replaced() {
    let mut served = Served::start(Stage::new(), &FILE.replace("WATCHDOG", "watchdog = 0"));
    let edge = edge_of(&served.hallway);
    let mut connection = Connection::open(served.http);
    let pause = |stops: bool| {
        signal(edge, if stops { "STOP" } else { "CONT" });
        std::thread::sleep(Duration::from_millis(1_000));
    };
    (0..4).for_each(|_| pause(true));
    pause(false);
    // Each reload changes how often its loops show that they turn; the master must not be ahead of them.
    for watchdog in ["\"1h\"", "\"500ms\"", "0", "\"500ms\"", "\"1h\"", "\"2s\""] {
        served.change(&FILE.replace("WATCHDOG", &format!("watchdog = {watchdog}")));
        std::thread::sleep(Duration::from_millis(1_200));
    }
    connection.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
    assert_eq!(connection.answer().status, 200);
    assert_eq!(served.hallway.children("hallway: edge"), [edge], "{}", served.hallway.said());
    pause(true);
    served.hallway.wait_for_line(|line| line.contains("has not turned for 2 s (watchdog)"));
    served.hallway.wait_for_child("hallway: edge", &[edge]);
}

/// One request on a connection of its own.
fn is_served(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(super::stage::PATIENCE)).unwrap();
    let mut answer = String::new();
    let request = b"GET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n";
    stream.write_all(request).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// Who comes while the edge hangs waits for the next one; only what was in flight at the end of the old one is lost.
#[test]
fn who_comes_meanwhile_is_served() {
    let hallway = Stage::with_app(APP).run(&["-w", "2", "--edge-threads", "2", "app:app"]);
    for how in ["whole", "block", "spin"] {
        let (edge, is_over) = (edge_of(&hallway), AtomicBool::new(false));
        let all: Vec<(Instant, bool)> = std::thread::scope(|scope| {
            let client = || {
                let mut all = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    all.push((began, is_served(hallway.address)));
                }
                all
            };
            let clients: Vec<_> = (0..6).map(|_| scope.spawn(client)).collect();
            std::thread::sleep(Duration::from_millis(300));
            let debugger = if how == "whole" { None } else { seize(threads_of(edge)["edge 1"], how) };
            if debugger.is_none() {
                signal(edge, "STOP");
            }
            let hung = Instant::now();
            wait_for_another(&hallway, edge);
            let served = Instant::now();
            debugger.into_iter().for_each(let_go);
            std::thread::sleep(Duration::from_millis(500));
            is_over.store(true, Ordering::Relaxed);
            let all: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
            let lost = all.iter().filter(|(began, is_ok)| !is_ok && (*began < hung || *began > served)).count();
            assert!(all.iter().filter(|(began, _)| *began > served).count() > 10, "nobody came behind it");
            // One that began before may still have been with the old edge.
            let before = all.iter().filter(|(began, is_ok)| !is_ok && *began < hung).count();
            assert!(lost == before && before <= 6, "{how}: {lost} lost, {before} of them from before");
            all
        });
        let lost = all.iter().filter(|(_, is_ok)| !is_ok).count();
        // Six clients have six requests in flight.
        assert!(lost <= 6, "{how}: {lost} of {} lost", all.len());
    }
}

/// How often threads of a process went to sleep.
fn sleeps(process: u32) -> u64 {
    let count = |thread: &u32| {
        let status = fs::read_to_string(format!("/proc/{process}/task/{thread}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches:")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    threads_of(process).values().map(count).sum()
}

#[test]
fn who_has_nothing_to_do_sleeps() {
    let served = Served::start(Stage::new(), &FILE.replace("WATCHDOG", ""));
    assert_eq!(get(served.http, "/").status, 200);
    let edge = edge_of(&served.hallway);
    std::thread::sleep(Duration::from_millis(1_000));
    let (edge_before, master_before, began) = (sleeps(edge), sleeps(served.hallway.pid()), Instant::now());
    std::thread::sleep(Duration::from_millis(5_000));
    let (edge_sleeps, master_sleeps) = (sleeps(edge) - edge_before, sleeps(served.hallway.pid()) - master_before);
    let seconds = began.elapsed().as_secs() + 1;
    // Two event loops (whose timer wakes twice for a second) and the main thread, each once a second; the master twice.
    assert!(edge_sleeps >= 3 && edge_sleeps <= 5 * seconds + 3, "{edge_sleeps} in {seconds} s");
    assert!(master_sleeps <= 3 * seconds, "{master_sleeps} in {seconds} s");
}
