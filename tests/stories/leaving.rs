//! In:     workers that are told to leave by every way there is, while they still have something to do.
//! Out:    it is done; or the log says that there was no time left for it, and what kept the worker.
//! Actors: hallways with apps that work on in threads, in pools of the interpreter, at its end.
//! Never:  does it depend on the way how much time there is.

use super::client::{Connection, get};
use super::served::Served;
use super::stage::{PATIENCE, Running, Stage, wait_until};
use std::time::Instant;

/// What is still to be done takes longer than the 3 s that a stop left to workers once.
const APP: &str = r#"
import atexit, concurrent.futures, os, sys, threading, time

pool = concurrent.futures.ThreadPoolExecutor(1)

def note(name):
    with open(name, "a") as file:
        file.write(f"{os.getpid()}\n")

def later(name, seconds):
    time.sleep(seconds)
    note(name)

def app(environ, start_response):
    path, seconds = environ["PATH_INFO"], float(environ["QUERY_STRING"] or 4)
    if path in ("/work", "/exit"):
        threading.Thread(target=later, args=("thread", seconds)).start()
        pool.submit(later, "pool", seconds + 0.3)
        atexit.register(note, "atexit")
        grown = bytearray(int(os.environ.get("GROWS", 0)))
        globals()["grown"] = grown
    if path == "/exit":
        sys.exit("enough")
    if path == "/stream":
        def pieces():
            try:
                for number in range(8):
                    yield f"{number},".encode()
                    time.sleep(seconds / 8)
            finally:
                note("generator")
        start_response("200 OK", [])
        return pieces()
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"#;

const FILE: &str = r#"
[server]
http = "HTTP"
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[site."*"]
routes = [{ path = "/*", app = "web" }]
"#;

fn has_noted(hallway: &Running, name: &str, pid: &str) -> bool {
    let noted = std::fs::read_to_string(hallway.stage.as_ref().unwrap().dir.join(name)).unwrap_or_default();
    noted.lines().any(|line| line == pid)
}

/// Waits until all that the worker had to do is done.
fn finishes(hallway: &Running, pid: &str, way: &str) {
    for name in ["thread", "pool", "atexit"] {
        let until = Instant::now() + PATIENCE;
        while !has_noted(hallway, name, pid) {
            assert!(Instant::now() < until, "{way}: {name} was cut; said:\n{}", hallway.said());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
    assert!(!hallway.said().contains("was told to leave"), "{way}: {}", hallway.said());
}

#[test]
fn what_only_the_interpreter_knows_of_is_done_by_every_way() {
    let run = |flags: &[&str]| {
        let hallway = Stage::with_app(APP).run(&[flags, &["app:app"]].concat());
        let pid = get(hallway.address, "/work").text();
        (hallway, pid)
    };
    let mut told: Vec<(&str, Running, String)> = Vec::new();
    for way in ["TERM", "INT", "QUIT", "HUP"] {
        let (hallway, pid) = run(&["-w", "1"]);
        hallway.signal(way);
        told.push((way, hallway, pid));
    }
    // One worker less: the last one leaves, whichever had the work.
    let (hallway, _) = run(&["-w", "1"]);
    hallway.signal("TTIN");
    hallway.wait_for_child("hallway: app web [2]", &[]);
    let last = hallway.children("hallway: app web [2]")[0].to_string();
    wait_until(|| (get(hallway.address, "/work").text() == last).then_some(()));
    hallway.signal("TTOU");
    told.push(("TTOU", hallway, last));
    let (hallway, pid) = run(&["-w", "1", "--max-requests", "1"]);
    told.push(("max_requests", hallway, pid));
    let (hallway, pid) = run(&["-w", "1", "--max-rss", "100MiB", "--env", "GROWS=200000000", "--threads", "2"]);
    told.push(("max_rss, threads", hallway, pid));
    let mut orders = Vec::new();
    for way in [&["reload"][..], &["reload", "web"], &["stop"]] {
        let served = Served::start(Stage::with_app(APP), FILE);
        let pid = get(served.http, "/work").text();
        let said = served.order(way);
        assert!(said.0, "{said:?}");
        orders.push((way.join(" "), served, pid));
    }
    told.iter().for_each(|(way, hallway, pid)| finishes(hallway, pid, way));
    orders.iter().for_each(|(way, served, pid)| finishes(&served.hallway, pid, way));
    for (way, mut hallway, _) in told.into_iter().take(3) {
        assert_eq!(hallway.wait_for_end().code(), Some(0), "{way}");
    }
}

#[test]
fn an_answer_that_is_being_made_is_finished() {
    for way in ["TERM", "HUP"] {
        let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
        let pid = hallway.children("hallway: app")[0].to_string();
        let mut stream = Connection::open(hallway.address);
        stream.send("GET /stream HTTP/1.1\r\nHost: s\r\n\r\n");
        assert_eq!(stream.chunk_after_head(), b"0,");
        hallway.signal(way);
        let mut rest = Vec::new();
        loop {
            let chunk = stream.chunk();
            if chunk.is_empty() {
                break;
            }
            rest.extend(chunk);
        }
        assert_eq!(rest, b"1,2,3,4,5,6,7,", "{way}");
        wait_until(|| has_noted(&hallway, "generator", &pid).then_some(()));
    }
}

#[test]
fn an_end_by_force_is_said() {
    let ways: [(&str, &[&str], &str); 6] = [
        ("TERM", &["-w", "1"], "/work"),
        ("HUP", &["-w", "1"], "/work"),
        ("", &["-w", "1", "--max-requests", "1"], "/work"),
        ("", &["-w", "1"], "/exit"),
        ("", &["-w", "1", "--threads", "2"], "/exit"),
        ("HUP", &["-w", "1", "--threads", "2"], "/stream"),
    ];
    let mut all = Vec::new();
    for (way, flags, path) in ways {
        let flags = [flags, &["--graceful-timeout", "1s", "app:app"]].concat();
        let hallway = Stage::with_app(APP).run(&flags);
        let worker = hallway.children("hallway: app")[0];
        let mut connection = Connection::open(hallway.address);
        connection.send(format!("GET {path}?60 HTTP/1.1\r\nHost: s\r\n\r\n"));
        connection.line();
        if !way.is_empty() {
            hallway.signal(way);
        }
        all.push((format!("{way} {flags:?} {path}"), hallway, worker, connection));
    }
    for (way, hallway, worker, _connection) in &mut all {
        println!("{way}");
        let said = format!(
            "worker {worker} of web was told to leave and has not ended within its graceful timeout (1 s): it shows its \
             stacks and is killed"
        );
        hallway.wait_for_line(|line| line.contains(&said));
        hallway.wait_for_line(|line| {
            line.contains("app.py\", line ") && line.contains("later") || line.contains("in pieces")
        });
        wait_until(|| (!super::stage::is_alive(*worker)).then_some(()));
        assert!(!hallway.said().contains(&format!("worker {worker} was ended by signal")), "once: {}", hallway.said());
    }
}

#[test]
fn who_leaves_by_itself_leaves_its_place() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let before = get(hallway.address, "/").text();
    get(hallway.address, "/exit?4");
    // It still works on; another one answers meanwhile.
    assert_ne!(get(hallway.address, "/").text(), before);
    assert!(!has_noted(&hallway, "thread", &before), "it is still at work");
    finishes(&hallway, &before, "sys.exit");
}
