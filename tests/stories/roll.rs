//! In:     HUP, TTIN, TTOU, USR1; workers that have served enough or grown too large; apps from a factory.
//! Out:    workers replaced one by one, ready first; no request that fails; logs in a new file.
//! Actors: hallways under a steady load of one client that opens a connection for each request.
//! Never:  does a roll to an app that does not load take away one that does.

use super::client::{Connection, get};
use super::stage::{Running, Stage, wait_until};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const APP: &str = r#"
import os

grown = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/grow":
        grown.append(b"x" * 300_000_000)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"one {os.getpid()}".encode()]

def make():
    return app
"#;

/// Asks all the time; its result is every answer that was given.
fn ask_steadily(hallway: &Running) -> (Arc<AtomicBool>, JoinHandle<Vec<String>>) {
    let (address, enough) = (hallway.address, Arc::new(AtomicBool::new(false)));
    let stop = enough.clone();
    let asking = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut kept = Connection::open(address);
        while !stop.load(Ordering::Relaxed) {
            let answer = get(address, "/");
            assert_eq!(answer.status, 200, "{}", answer.text());
            seen.push(answer.text());
            let answer = kept.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n").answer();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        seen
    });
    (enough, asking)
}

#[test]
fn hup_replaces_every_worker_and_fails_no_request() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    let path = hallway.stage.as_ref().unwrap().dir.join("app.py");
    let first = hallway.children("hallway: app");
    let (enough, asking) = ask_steadily(&hallway);
    // Of another length: Python takes what is as long and of the same second for the same.
    std::fs::write(&path, APP.replace("one ", "other ")).unwrap();
    hallway.signal("HUP");
    let second = wait_until(|| {
        let now = hallway.children("hallway: app");
        (now.len() == 2 && now.iter().all(|pid| !first.contains(pid))).then_some(now)
    });
    assert!(get(hallway.address, "/").text().starts_with("other "), "the new code serves");
    hallway.wait_for_line(|line| line.contains("every worker is replaced"));
    // What does not load is not taken.
    std::fs::write(&path, "import no_such_package\n").unwrap();
    hallway.signal("HUP");
    hallway.wait_for_line(|line| line.contains("the app failed to load"));
    hallway.wait_for_line(|line| line.contains("the old workers go on serving"));
    wait_until(|| (hallway.children("hallway: app") == second).then_some(()));
    enough.store(true, Ordering::Relaxed);
    let seen = asking.join().unwrap();
    assert!(seen.len() > 20 && seen[0].starts_with("one "), "{} answers", seen.len());
    hallway.signal("TERM");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
}

#[test]
fn one_worker_more_and_one_less() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let first = hallway.children("hallway: app");
    hallway.signal("TTIN");
    hallway.wait_for_child("hallway: app web [2]", &[]);
    hallway.signal("TTOU");
    wait_until(|| (hallway.children("hallway: app") == first).then_some(()));
    hallway.signal("TTOU");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(hallway.children("hallway: app"), first, "the last one stays");
    assert_eq!(get(hallway.address, "/").status, 200);
}

#[test]
fn a_worker_that_has_served_enough_is_replaced_before_it_leaves() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--max-requests", "20", "app:app"]);
    let (enough, asking) = ask_steadily(&hallway);
    for _ in 0..3 {
        let worker = hallway.children("hallway: app")[0];
        hallway.wait_for_child("hallway: app", &[worker]);
        wait_until(|| (!hallway.children("hallway: app").contains(&worker)).then_some(()));
    }
    enough.store(true, Ordering::Relaxed);
    let seen: BTreeSet<String> = asking.join().unwrap().into_iter().collect();
    assert!(seen.len() >= 3, "{seen:?}");
    hallway.wait_for_line(|line| line.contains("has served enough (--max-requests); another one takes its place"));
}

#[test]
fn a_worker_that_has_grown_too_large_is_replaced() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "--max-rss", "200MiB", "app:app"]);
    let worker = hallway.children("hallway: app")[0];
    assert_eq!(get(hallway.address, "/grow").status, 200);
    wait_until(|| (!hallway.children("hallway: app").contains(&worker)).then_some(()));
    assert_eq!(get(hallway.address, "/").status, 200);
}

#[test]
fn a_factory_makes_the_app() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "--factory", "app:make"]);
    assert!(get(hallway.address, "/").text().starts_with("one "));
    let stage = Stage::with_app("def make(): return 7\n");
    let (code, said) = stage.run_to_end(&["--bind", "127.0.0.1:0", "--factory", "app:make"]);
    assert!(code == Some(4) && said.contains("returned what is not callable: 7"), "{said}");
}

#[test]
fn usr1_opens_the_log_anew() {
    let stage = Stage::with_app(APP);
    let (log, moved) = (stage.dir.join("access.log"), stage.dir.join("access.log.1"));
    let path = log.to_str().unwrap().to_owned();
    let mut hallway = stage.run(&["-w", "1", "--access-log", &path, "app:app"]);
    get(hallway.address, "/before");
    wait_until(|| std::fs::read_to_string(&log).ok().filter(|text| text.contains("/before")));
    std::fs::rename(&log, &moved).unwrap();
    hallway.signal("USR1");
    wait_until(|| log.exists().then_some(()));
    get(hallway.address, "/after");
    hallway.signal("TERM");
    hallway.wait_for_end();
    let (old, new) = (std::fs::read_to_string(&moved).unwrap(), std::fs::read_to_string(&log).unwrap());
    assert!(old.contains("/before") && !old.contains("/after"), "{old}");
    assert!(new.contains("/after") && !new.contains("/before"), "{new}");
}

#[test]
fn an_upgrade_is_not_built_yet_and_harms_nothing() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    hallway.signal("USR2");
    hallway.wait_for_line(|line| line.contains("USR2 (upgrade) is not built yet"));
    assert_eq!(get(hallway.address, "/").status, 200);
}
