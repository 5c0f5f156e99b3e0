//! In:     clients that take nothing, or send much, by the dozen; a spool that is small, a disk that is full.
//! Out:    spool files within `spool_max`; the slowest answers cut, servers of pools held back, uploads answered 503.
//! Actors: one hallway with two apps; a server of a pool.
//! Never:  does what one client does not take cost another one anything, or room get lost.

use super::client::{Answer, Connection, get, post};
use super::served::Served;
use super::stage::{AT_ONCE, Stage, wait_until};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const APP: &str = r#"
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"].endswith("/large"):
        return (b"x" * 100_000 for _ in range(600))
    return [str(len(body)).encode()]
"#;

const FILE: &str = r#"
[server]
http = "HTTP"
threads = 1
spool_max = "64MiB"
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
queue = { max_wait = "5m" }
[app.other]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[site."*"]
routes = [
  { path = "/pool/*", pool = "far" },
  { path = "/other/*", app = "other" },
  { path = "/*", app = "web" },
]
[pool.far]
servers = ["http://FAR"]
"#;

const MIB: u64 = 1024 * 1024;

/// Bytes on the disk of the files without a name that the edge has open.
fn spooled(edge: u32) -> u64 {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{edge}/fd")) else { return 0 };
    let is_spool = |path: &std::path::Path| {
        std::fs::read_link(path).is_ok_and(|to| {
            let to = to.to_string_lossy().into_owned();
            to.ends_with("(deleted)") && !to.starts_with("/memfd")
        })
    };
    let files = entries.flatten().map(|entry| entry.path()).filter(|path| is_spool(path));
    files.filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.blocks() * 512).sum()
}

fn status(served: &Served, key: &str) -> u64 {
    let (_, said) = served.order(&["status", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&said).unwrap();
    value["spool"][key].as_u64().unwrap_or_else(|| panic!("no spool.{key} in {said}"))
}

/// What twelve megabytes are answered, which may come before all of them were taken.
fn upload(served: &Served, path: &str) -> Answer {
    let mut connection = Connection::open(served.http);
    connection.send(format!("POST {path} HTTP/1.1\r\nHost: s\r\nContent-Length: 12000000\r\n\r\n"));
    for _ in 0..120 {
        if connection.try_send(&[b'x'; 100_000]).is_err() {
            break;
        }
    }
    connection.answer()
}

fn ask(served: &Served, path: &str) -> Connection {
    let mut connection = Connection::open(served.http);
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: s\r\n\r\n"));
    connection
}

#[test]
fn twelve_readers_that_take_nothing_share_the_spool() {
    let mut served = Served::start(Stage::with_app(APP), &FILE.replace("FAR", "127.0.0.1:9"));
    let edge = served.hallway.children("hallway: edge")[0];
    let waiting: Vec<Connection> = (0..12).map(|_| ask(&served, "/large")).collect();
    // The last of them has come to the worker, and all its answer has been made.
    let mut most = 0;
    wait_until(|| {
        most = spooled(edge).max(most);
        let begun = Instant::now();
        assert_eq!(get(served.http, "/other/").text(), "0");
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        (status(&served, "responses_cut") >= 11).then_some(())
    });
    assert!(most <= 65 * MIB, "{most} bytes of spool files");
    assert!(most > 30 * MIB, "{most} bytes of spool files: the check itself sees none");
    assert_eq!(get(served.http, "/").text(), "0", "their worker is free");
    served.hallway.wait_for_line(|line| line.contains("the spool is full: ") && line.contains("are cut"));
    let refused = upload(&served, "/other/");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")), "{}", refused.text());
    assert!(refused.text().contains("spool_max"), "{}", refused.text());
    assert!(status(&served, "uploads_refused") >= 1);
    assert_eq!(post(served.http, "/other/", &[b'x'; 60_000]).text(), "60000", "it stays in memory");
    let (_, said) = served.order(&["status"]);
    assert!(said.contains("spool ") && said.contains("responses were cut"), "{said}");
    drop(waiting);
    wait_until(|| (status(&served, "bytes") == 0 && spooled(edge) == 0).then_some(()));
    assert_eq!(post(served.http, "/other/", &vec![b'x'; 12_000_000]).text(), "12000000");
    wait_until(|| (status(&served, "bytes") == 0 && status(&served, "responses") == 0).then_some(()));
}

/// Each way in which a body or an answer ends gives its room back.
#[test]
fn no_room_is_lost_by_any_end() {
    let served = Served::start(Stage::with_app(APP), &FILE.replace("FAR", "127.0.0.1:9"));
    for round in 0..3 {
        let mut half = Connection::open(served.http);
        half.send("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 3000000\r\n\r\n").send(vec![b'x'; 2_000_000]);
        let mut over = Connection::open(served.http);
        over.send("POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n");
        over.send(vec![b'x'; 0x20_0000]).send("\r\nno length\r\n");
        assert_eq!(over.answer().status, 400);
        let unread = ask(&served, "/large");
        let mut read = ask(&served, "/other/large");
        wait_until(|| (status(&served, "bytes") > 20 * MIB).then_some(()));
        assert_eq!(read.answer().body.len(), 60_000_000);
        if round == 0 {
            unread.reset();
            half.reset();
        } else {
            drop((unread, half));
        }
        assert_eq!(post(served.http, "/pool/", &vec![b'x'; 1_000_000]).status, 502, "nobody listens there");
        wait_until(|| (status(&served, "bytes") == 0 && status(&served, "responses") == 0).then_some(()));
    }
}

/// An answer that is taken as it comes, but never all of it, has no end by its file.
#[test]
fn what_was_taken_is_given_back_while_the_answer_goes_on() {
    let app = APP.replace("range(600)", "range(2000)");
    let file = FILE.replace("64MiB", "16MiB").replace("FAR", "127.0.0.1:9");
    let served = Served::start(Stage::with_app(&app), &file);
    let mut connection = ask(&served, "/large");
    let answer = connection.answer();
    assert_eq!((answer.status, answer.body.len()), (200, 200_000_000), "a client that takes its answer is not cut");
    assert_eq!(status(&served, "responses_cut"), 0);
}

#[test]
fn servers_of_pools_wait_where_the_spool_is_full() {
    let far = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = far.local_addr().unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    std::thread::spawn(move || {
        for stream in far.incoming() {
            let (mut stream, sent) = (stream.unwrap(), counted.clone());
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n");
                for _ in 0..600 {
                    if stream.write_all(&[b'y'; 100_000]).is_err() {
                        return;
                    }
                    sent.fetch_add(100_000, Ordering::Relaxed);
                }
            });
        }
    });
    let file = FILE.replace("64MiB", "16MiB").replace("FAR", &at.to_string());
    let served = Served::start(Stage::with_app(APP), &file);
    let edge = served.hallway.children("hallway: edge")[0];
    let mut waiting: Vec<Connection> = (0..3).map(|_| ask(&served, "/pool/x")).collect();
    wait_until(|| (status(&served, "bytes") > 15 * MIB).then_some(()));
    assert!(spooled(edge) <= 17 * MIB);
    for connection in &mut waiting {
        let answer = connection.answer();
        assert_eq!((answer.status, answer.body.len()), (200, 60_000_000));
        assert!(answer.body.iter().all(|byte| *byte == b'y'));
    }
    assert_eq!((status(&served, "responses_cut"), sent.load(Ordering::Relaxed)), (0, 180_000_000));
    wait_until(|| (status(&served, "bytes") == 0).then_some(()));
}

#[test]
fn a_full_disk_costs_only_what_needs_it() {
    let script = "mkdir -p spool; mount -t tmpfs -o size=4m,mode=1777 none spool; export TMPDIR=\"$PWD/spool\"";
    let file = FILE.replace("FAR", "127.0.0.1:9");
    let mut served = Served::start_apart(Stage::with_app(APP), &file, script);
    let refused = upload(&served, "/");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")), "{}", refused.text());
    served.hallway.wait_for_line(|line| line.contains("cannot be written: No space left on device"));
    assert_eq!(post(served.http, "/", &vec![b'x'; 1_000_000]).text(), "1000000");
    // Nobody takes it, and there is no place for it: their worker is free all the same.
    let waiting: Vec<Connection> = (0..3).map(|_| ask(&served, "/large")).collect();
    wait_until(|| (status(&served, "responses_cut") == 3).then_some(()));
    assert_eq!(get(served.http, "/").text(), "0");
    drop(waiting);
    wait_until(|| (status(&served, "bytes") == 0).then_some(()));
    assert_eq!(ask(&served, "/large").answer().body.len(), 60_000_000, "a client that takes it has all of it");
}
