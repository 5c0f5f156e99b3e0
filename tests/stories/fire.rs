//! In:     load, while workers are killed and the app is rolled again and again.
//! Out:    every request answered.
//! Actors: a hallway with four workers; clients that open connections as browsers do and never ask twice.
//! Never:  does a request fail that may be sent again.

use super::client::{Connection, get};
use super::stage::{PATIENCE, Running, Stage, signal, wait_until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const APP: &str = r#"
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

/// Clients that ask without a pause, each on one connection for some requests, then on a new one.
pub struct Load {
    enough: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    pub fn start(hallway: &Running, clients: usize, path: &'static str) -> Load {
        let (enough, answered): (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
        let address = hallway.address;
        let client = |_| {
            let (enough, answered) = (enough.clone(), answered.clone());
            std::thread::spawn(move || {
                let mut failures = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    let mut connection = Connection::open(address);
                    for _ in 0..100 {
                        connection.send(format!("GET {path} HTTP/1.1\r\nHost: s\r\n\r\n"));
                        let answer = connection.answer();
                        if answer.status == 200 {
                            answered.fetch_add(1, Ordering::Relaxed);
                        } else {
                            failures.push(format!("{} {}", answer.status, answer.text()));
                        }
                        if enough.load(Ordering::Relaxed) || answer.header("connection") == Some("close") {
                            break;
                        }
                    }
                }
                failures
            })
        };
        let clients = (0..clients).map(client).collect();
        Load { enough, answered, clients }
    }

    /// How many requests were answered so far.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends the load; how many requests were answered.
    pub fn end(self) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        let failures: Vec<String> = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        assert!(failures.is_empty(), "{} failed: {:?}", failures.len(), &failures[..failures.len().min(5)]);
        self.answered.load(Ordering::Relaxed)
    }
}

#[test]
fn a_worker_killed_every_300_ms_fails_no_request() {
    let hallway = Stage::with_app(APP).run(&["-w", "4", "app:app"]);
    let load = Load::start(&hallway, 6, "/");
    let (begun, mut chance, mut killed, mut seen) = (Instant::now(), 7u64, 0, 0);
    // As much as befits half a minute, however long that takes here.
    while killed <= 60 || load.answered() < 20_000 {
        assert!(begun.elapsed() < 10 * PATIENCE, "{killed} were killed, {} answered", load.answered());
        std::thread::sleep(Duration::from_millis(300));
        // On a busy machine a worker may take longer to start: killed faster than they start, none would be left.
        if load.answered() < seen + 50 {
            continue;
        }
        seen = load.answered();
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let workers = hallway.children("hallway: app");
        if let Some(worker) = workers.get((chance >> 33) as usize % workers.len().max(1)) {
            signal(*worker, "KILL");
            killed += 1;
        }
    }
    assert!(load.end() >= 20_000);
}

#[test]
fn fifty_rolls_fail_no_request() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    let load = Load::start(&hallway, 3, "/");
    for roll in 1..=50 {
        let before = hallway.wait_for_children("hallway: app", 2);
        hallway.signal("HUP");
        wait_until(|| hallway.children("hallway: app").iter().all(|pid| !before.contains(pid)).then_some(()));
        wait_until(|| (hallway.said().matches("every worker is replaced").count() == roll).then_some(()));
    }
    assert!(load.end() > 1_000);
    hallway.signal("TERM");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
}

#[test]
fn a_thousand_slow_clients_cost_little_memory() {
    const APP: &str = r#"
def app(environ, start_response):
    length = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"x" * 1048576] if environ["PATH_INFO"] == "/large" else [str(length).encode()]
"#;
    let flags = ["-w", "1", "--edge-threads", "1", "--client-connections", "0", "app:app"];
    let hallway = Stage::with_app(APP).run(&flags);
    let mut slow: Vec<Connection> = (0..1000).map(|_| Connection::open(hallway.address)).collect();
    for (at, connection) in slow.iter_mut().enumerate() {
        if at % 2 == 0 {
            connection.send("GET /large HTTP/1.1\r\nHost: s\r\n\r\n");
        } else {
            connection.send("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 1048576\r\n\r\n");
        }
    }
    for _ in 0..3 {
        std::thread::sleep(Duration::from_secs(1));
        for (at, connection) in slow.iter_mut().enumerate() {
            if at % 2 == 0 {
                let _ = std::io::Read::read(connection.reader(), &mut [0; 1]).unwrap();
            } else {
                connection.send("u");
            }
        }
        for _ in 0..20 {
            assert_eq!(get(hallway.address, "/").text(), "0");
        }
    }
    let edge = hallway.children("hallway: edge")[0];
    let status = std::fs::read_to_string(format!("/proc/{edge}/status")).unwrap();
    // Without the program itself, which is large in this build.
    let resident = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let kib: usize = resident.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 88 * 1024, "{resident}");
}
