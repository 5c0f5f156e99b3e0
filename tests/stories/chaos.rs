//! In:     a seed, four servers of which one is always alive, clients that never stop.
//! Out:    every idempotent request answered, whatever happens to the others for a minute; every retry in the log.
//! Actors: one hallway, servers in Python that are killed, stopped, slowed and started again; dnsmasq.
//! Never:  is a request that failed counted as answered, or asked again by its client.

use super::balance::Names;
use super::client::Connection;
use super::served::Served;
use super::stage::{PATIENCE, Stage, wait_until};
use super::upstream::Upstream;
use rustix::process::{Pid, Signal, kill_process};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const SECONDS: u64 = 60;
const CLIENTS: usize = 12;
const ANSWERS_MIN: usize = 20_000;
/// Written into the failure, so that the same run can be had again.
const SEED: u64 = 20_261_121;

/// SplitMix64 (Steele, Lea, Flood).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// A server to which things happen.
struct Victim {
    name: &'static str,
    at: String,
    server: Option<Upstream>,
    is_stopped: bool,
    is_named: bool,
}

impl Victim {
    fn signal(&self, signal: Signal) {
        if let Some(server) = &self.server {
            kill_process(Pid::from_raw(server.pid() as i32).unwrap(), signal).unwrap();
        }
    }

    /// Whatever it is, it is well again.
    fn heal(&mut self) {
        if self.is_stopped {
            self.signal(Signal::CONT);
            self.is_stopped = false;
        }
        if self.server.is_none() {
            self.server = Some(Upstream::start_at(self.name, &self.at));
        }
        self.is_named = true;
    }
}

fn tell(names: &Names, victims: &[Victim]) {
    let known: Vec<&str> =
        victims.iter().filter(|one| one.is_named).map(|one| one.at.split(':').next().unwrap()).collect();
    names.tell(&known);
}

fn harm(victims: &mut [Victim], names: &Names, dice: &mut Dice) {
    // The first one is left alone: somebody has to answer.
    let at = 1 + dice.roll(3) as usize;
    let victim = &mut victims[at];
    let is_well = victim.server.is_some() && !victim.is_stopped && victim.is_named;
    match dice.roll(5) {
        _ if !is_well => victim.heal(),
        0 | 1 => {
            if let Some(server) = victim.server.take() {
                server.kill();
            }
        }
        2 | 3 => {
            victim.signal(Signal::STOP);
            victim.is_stopped = true;
        }
        _ => victim.is_named = false,
    }
    tell(names, victims);
}

#[test]
fn a_minute_of_misfortune() {
    let stage = Stage::new();
    let names = Names::start(&stage);
    let first = Upstream::start("one");
    let port = first.address().port();
    let mut victims =
        vec![Victim { name: "one", at: first.at.clone(), server: Some(first), is_stopped: false, is_named: true }];
    for (name, host) in [("two", 2), ("three", 3), ("four", 4)] {
        let at = format!("127.0.0.{host}:{port}");
        let server = Some(Upstream::start_at(name, &at));
        victims.push(Victim { name, at, server, is_stopped: false, is_named: true });
    }
    tell(&names, &victims);
    let file = format!(
        r#"
        [server]
        http = "HTTP"
        threads = 2
        resolver = "{}"
        [log]
        access = {{ path = "DIR/access.log", format = "$status $upstream_addr $upstream_status" }}
        [pool.all]
        servers = ["http://app.internal:{port}"]
        answer_timeout = "300ms"
        connect_timeout = "300ms"
        retry = {{ tries = 4 }}
        health = {{ path = "/health", every = "500ms", timeout = "300ms", fall = 2, rise = 1 }}
        [site."*"]
        routes = [{{ path = "/*", pool = "all" }}]
        "#,
        names.at
    );
    let served = Served::start(stage, &file);
    wait_until(|| (super::client::get(served.http, "/who").status == 200).then_some(()));
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (is_over, answered, http) = (&is_over, &answered, served.http);
            scope.spawn(move || {
                let methods = ["GET", "PUT", "DELETE", "HEAD"];
                for turn in 0.. {
                    // As browsers do: a connection for some requests, then another one.
                    let mut connection = Connection::open(http);
                    for method in methods.iter().cycle().skip(client).take(25) {
                        if is_over.load(Ordering::Relaxed) {
                            return;
                        }
                        let path = if turn % 7 == 3 { "/slow?s=0.05" } else { "/who" };
                        connection.send(format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"));
                        let answer = connection.answer_to(method);
                        assert_eq!(answer.status, 200, "seed {SEED}: {method} {path}: {}", answer.text());
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let (begun, mut dice) = (Instant::now(), Dice(SEED));
        // A minute, and as long as it takes for so many answers here.
        while begun.elapsed() < Duration::from_secs(SECONDS) || answered.load(Ordering::Relaxed) < ANSWERS_MIN {
            assert!(begun.elapsed() < 10 * PATIENCE, "only {answered:?}");
            harm(&mut victims, &names, &mut dice);
            std::thread::sleep(Duration::from_millis(200 + dice.roll(800)));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    victims.iter_mut().for_each(Victim::heal);
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered >= ANSWERS_MIN, "only {answered}");
    // The log of errors says why of each retry that the log of requests has.
    let path = served.path("access.log");
    let said = wait_until(|| {
        let lines = std::fs::read_to_string(&path).unwrap();
        (lines.lines().count() >= answered).then_some(lines)
    });
    let retried: usize = said.lines().map(|line| line.matches(", ").count() / 2).sum();
    assert!(retried > 50, "there was not much misfortune: {retried}");
    let explained = || served.hallway.said().matches("; it goes to another one").count();
    wait_until(|| (explained() >= retried).then_some(()));
    println!("{answered} answers, {retried} retries, {} explained", explained());
}
