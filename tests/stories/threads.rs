//! In:     a worker with several threads.
//! Out:    as many requests at a time, each with its own answer.
//! Actors: a hallway with one worker.
//! Never:  does a stuck request take those beside it along.

use super::client::{Connection, get, request};
use super::served::Served;
use super::stage::{PATIENCE, Stage, wait_until};
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const APP: &str = r#"
import os, sys, threading, time

MEETING = threading.Barrier(4)

def app(environ, start_response):
    kind, _, value = environ["QUERY_STRING"].partition("=")
    if kind == "exit":
        sys.exit(7)
    if kind == "stream":
        def pieces():
            for _ in range(5):
                yield value.encode() * 20000
                time.sleep(0.01)
        start_response("200 OK", [])
        return pieces()
    body = environ["wsgi.input"].read()
    if kind == "sleep":
        open("begun", "w").close()
        time.sleep(float(value))
    if kind == "meet":
        # Nobody goes on before four are here.
        MEETING.wait(50)
        time.sleep(0.4)
    start_response("200 OK", [("X-Thread", threading.current_thread().name),
                              ("X-Pid", str(os.getpid())), ("X-Multithread", str(environ["wsgi.multithread"]))])
    return [body or b"done"]
"#;

#[test]
fn as_many_at_a_time_as_there_are_threads() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "--threads", "4", "-t", "60s", "app:app"]);
    let begun = Instant::now();
    let mut many: Vec<Connection> = (0..8).map(|_| Connection::open(hallway.address)).collect();
    for connection in &mut many {
        connection.send("GET /?meet HTTP/1.1\r\nHost: s\r\n\r\n");
    }
    let mut threads = std::collections::BTreeSet::new();
    for connection in &mut many {
        let answer = connection.answer();
        assert_eq!((answer.status, answer.header("x-multithread")), (200, Some("True")));
        threads.insert(answer.header("x-thread").unwrap().to_owned());
    }
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(750), "eight in fours took {took:?}");
    assert_eq!(threads.len(), 4, "{threads:?}");
    // Bodies, streams and files of several requests at once are not mixed up.
    let asking: Vec<_> = (0..8u8)
        .map(|number| {
            let address = hallway.address;
            std::thread::spawn(move || {
                for round in 0..10 {
                    let length = if round % 3 == 0 { 200_000 } else { 30_000 };
                    let body = vec![b'a' + number; length];
                    let mut connection = Connection::open(address);
                    connection.send(format!("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: {length}\r\n\r\n"));
                    connection.send(&body);
                    assert!(connection.answer().body == body, "{number} got another's body");
                    let letter = char::from(b'a' + number);
                    let streamed = get(address, &format!("/?stream={letter}")).text();
                    assert!(streamed.len() == 100_000 && streamed.chars().all(|seen| seen == letter));
                }
            })
        })
        .collect();
    asking.into_iter().for_each(|asking| asking.join().unwrap());
}

#[test]
fn a_stuck_request_does_not_take_others_along() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--threads", "3", "-t", "4s", "app:app"]);
    let mut stuck = Connection::open(hallway.address);
    stuck.send("GET /?sleep=60 HTTP/1.1\r\nHost: s\r\n\r\n");
    let begun = hallway.stage.as_ref().unwrap().dir.join("begun");
    wait_until(|| begun.exists().then_some(()));
    std::thread::sleep(Duration::from_millis(1_500));
    let mut beside = Connection::open(hallway.address);
    beside.send("GET /?sleep=3 HTTP/1.1\r\nHost: s\r\n\r\n");
    assert_eq!(stuck.answer().status, 504);
    let fine = beside.answer();
    assert_eq!(fine.status, 200, "it was finished by the worker that is to go");
    hallway.wait_for_line(|line| line.contains("GET / was not answered within 4 s"));
    hallway.wait_for_line(|line| line.contains("in app"));
    let next = get(hallway.address, "/");
    assert_eq!(next.status, 200);
    assert_ne!(next.header("x-pid"), fine.header("x-pid"), "another worker serves now");
}

#[test]
fn an_exit_in_any_thread_ends_the_worker() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--threads", "3", "app:app"]);
    for _ in 0..3 {
        assert_eq!(get(hallway.address, "/?exit").status, 500);
        hallway.wait_for_line(|line| line.contains("ended with exit code 7"));
        assert_eq!(request(hallway.address, "GET", "/", "").status, 200);
    }
}

const SLOW: &str = r#"
[server]
http = "HTTP"
threads = 1
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
THREADS
[site."*"]
routes = [{ path = "/*", app = "web" }]
"#;

const ENDLESS: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/endless":
        return (b"x" * 50_000 for _ in range(100_000))
    return [b"small"]
"#;

/// One that takes little, but steadily, of an answer without an end: there is next to no file for what it does not take, so
/// that the answer waits for it, and with it a thread. The others of that worker do not.
#[test]
fn a_slow_client_holds_up_no_other_answer_of_its_worker() {
    let script = "mkdir -p spool; mount -t tmpfs -o size=1m,mode=1777 none spool; export TMPDIR=\"$PWD/spool\"";
    let file = SLOW.replace("THREADS", "threads = 3");
    let mut served = Served::start_apart(Stage::with_app(ENDLESS), &file, script);
    let (taken, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let mut slow = Connection::open(served.http);
        slow.send("GET /endless HTTP/1.1\r\nHost: s\r\n\r\n");
        let (taken, done) = (&taken, &done);
        scope.spawn(move || {
            let mut room = vec![0; 16 * 1024];
            let begun = Instant::now();
            while !done.load(Ordering::Acquire) && begun.elapsed() < 4 * PATIENCE {
                taken.fetch_add(slow.reader().read(&mut room).unwrap_or(0), Ordering::AcqRel);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        served.hallway.wait_for_line(|line| line.contains("cannot be written: No space left on device"));
        let before = taken.load(Ordering::Acquire);
        for _ in 0..40 {
            assert_eq!(get(served.http, "/small").text(), "small");
        }
        // Behind the frames of the slow one each of them would wait until it has taken half a MiB.
        let meanwhile = taken.load(Ordering::Acquire) - before;
        done.store(true, Ordering::Release);
        assert!(meanwhile < 8 << 20, "it took {meanwhile} bytes while 40 answers of others came");
    });
}

/// Whoever calls it holds the interpreter's lock until there is a file.
const HOLDER: &str = r#"
import ctypes, sys

LIBC = ctypes.PyDLL(None)
sys.setswitchinterval(1000)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/hold":
        open("held", "w").close()
        while LIBC.access(b"go", 0):
            LIBC.usleep(10_000)
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % len(body)]
"#;

#[test]
fn more_requests_at_a_time_than_the_lane_holds_wait_and_end_nobody() {
    let many = ["-w", "1", "--threads", "256", "--edge-threads", "1", "-t", "60s", "--queue-max-wait", "60s"];
    let hallway = Stage::with_app(HOLDER).run(&[&many[..], &["app:app"]].concat());
    let worker = hallway.children("hallway: app")[0];
    let lanes_bytes = || -> u64 {
        let maps = std::fs::read_to_string(format!("/proc/{worker}/maps")).unwrap();
        let bytes_of = |line: &str| {
            let (start, end) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
            u64::from_str_radix(end, 16).unwrap() - u64::from_str_radix(start, 16).unwrap()
        };
        maps.lines().filter(|line| line.contains("hallway lanes")).map(bytes_of).sum()
    };
    // It gets them once it is ready. Each ring is mapped twice.
    let bytes = wait_until(|| Some(lanes_bytes()).filter(|bytes| *bytes > 0));
    assert!(bytes <= 10 << 20, "{bytes} bytes of lanes for 256 threads");
    let dir = &hallway.stage.as_ref().unwrap().dir;
    let mut holder = Connection::open(hallway.address);
    holder.send("GET /hold HTTP/1.1\r\nHost: s\r\n\r\n");
    wait_until(|| dir.join("held").exists().then_some(()));
    // Each has a free slot, and hardly half of them room in the lane; some have their bodies in files.
    let mut waiting: Vec<(usize, Connection)> = (0..160).map(|at| (at, Connection::open(hallway.address))).collect();
    let length = |at: usize| if at.is_multiple_of(20) { 100_000 } else { 60_000 + at };
    for (at, connection) in &mut waiting {
        let bytes = length(*at);
        connection.send(format!("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: {bytes}\r\n\r\n"));
        connection.send(vec![b'u'; bytes]);
    }
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(dir.join("go"), "").unwrap();
    for (at, connection) in &mut waiting {
        let answer = connection.answer();
        assert_eq!((answer.status, answer.text()), (200, length(*at).to_string()));
    }
    assert_eq!(holder.answer().text(), "0");
    assert_eq!(hallway.children("hallway: app"), [worker], "nobody was ended for it: {}", hallway.said());
}
