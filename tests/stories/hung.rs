//! In:     a file system, name servers and a disk for spool files that stop answering; no thread to be had.
//! Out:    504 and 503 for what needs them, after a time; everything else as ever.
//! Actors: hallways in mount namespaces of their own, beside a file system whose server stops when it is told to.
//! Never:  does anything that hangs hold up what does not need it.

use super::client::{Connection, get, post};
use super::served::Served;
use super::stage::{Stage, wait_until};
use std::fs;
use std::io::Read;
use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

const HUNG_FS: &str = include_str!("hung_fs.py");

/// Mounts it at `far`, which `hang` beside it stops; and a mount that does not hang below `near`.
const MOUNTS: &str = r#"
mkdir -p far near/deep
python3 hung_fs.py "$PWD/far" "$PWD/hang" >/dev/null 2>&1 </dev/null &
until grep -q ' hung ' /proc/self/mountinfo; do sleep 0.05; done
mount -t tmpfs none near/deep
echo deep >near/deep/file
"#;

const WEB: &str = r#"
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(body)).encode()]
"#;

const SENDER: &str = r#"
import os
file = os.open("far/sent.bin", os.O_RDONLY)

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](os.fdopen(os.dup(file), "rb", buffering=0))
"#;

const FILE: &str = r#"
[server]
http = "HTTP"
threads = 1
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[app.sender]
wsgi = "sender:app"
python = "PYTHON"
workers = 1
[site."*"]
routes = [
  { path = "/far/*", files = "far" },
  { path = "/near/*", files = "near" },
  { path = "/sent", app = "sender" },
  { path = "/*", app = "web" },
]
"#;

fn hung_stage() -> Stage {
    Stage::with_app(WEB).file("sender.py", SENDER).file("hung_fs.py", HUNG_FS).file("near/file", "near")
}

/// Requests on connections of their own, none of which is waited for.
fn ask(served: &Served, paths: impl Iterator<Item = String>) -> Vec<Connection> {
    let ask = |path: String| {
        let mut connection = Connection::open(served.http);
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: s\r\n\r\n"));
        connection
    };
    paths.map(ask).collect()
}

/// Everything that needs nothing of what hangs.
fn is_well(served: &Served) {
    for _ in 0..3 {
        assert_eq!(post(served.http, "/", &[b'x'; 300_000]).text(), "300000", "a spooled upload");
        assert_eq!(get(served.http, "/near/file").text(), "near");
        assert_eq!(get(served.http, "/near/deep/file").text(), "deep\n", "which only a thread may open");
    }
}

#[test]
fn a_file_system_that_hangs_holds_up_only_itself() {
    let mut served = Served::start_apart(hung_stage(), FILE, MOUNTS);
    for path in ["/far/a.bin", "/far/b.bin"] {
        assert_eq!(get(served.http, path).body.len(), 300_000);
    }
    is_well(&served);
    fs::write(served.path("hang"), "").unwrap();
    // What was looked at is believed for a tenth of a second.
    std::thread::sleep(Duration::from_millis(300));
    // Names that the kernel knows, where only opening asks the file system; others; a list.
    let paths = (0..12).map(|at| match at % 3 {
        0 => "/far/a.bin".into(),
        1 => "/far/b.bin".into(),
        _ => format!("/far/new{at}.bin"),
    });
    let mut waiting = ask(&served, paths);
    is_well(&served);
    for connection in &mut waiting {
        let answer = connection.answer();
        assert_eq!((answer.status, answer.header("retry-after")), (504, Some("5")), "{}", answer.text());
    }
    served.hallway.wait_for_line(|line| line.contains("files on ") && line.contains("/far: nothing came within 10 s"));
    served.hallway.wait_for_line(|line| line.contains("GET /far/") && line.contains("did not answer in time"));
    is_well(&served);
    fs::remove_file(served.path("hang")).unwrap();
    wait_until(|| (get(served.http, "/far/a.bin").status == 200).then_some(()));
    let edge = served.hallway.children("hallway: edge");
    assert!(!served.hallway.said().contains("a new edge"), "{edge:?}");
}

#[test]
fn files_that_an_app_sends_hold_up_only_that_app() {
    let mut served = Served::start_apart(hung_stage(), FILE, MOUNTS);
    assert_eq!(get(served.http, "/sent").body.len(), 300_000);
    fs::write(served.path("hang"), "").unwrap();
    let mut waiting = ask(&served, (0..12).map(|_| "/sent".into()));
    is_well(&served);
    for connection in &mut waiting {
        assert_eq!(connection.answer().status, 504);
    }
    served.hallway.wait_for_line(|line| line.contains("sender: files that it sends: nothing came within 10 s"));
    is_well(&served);
    fs::remove_file(served.path("hang")).unwrap();
    wait_until(|| (get(served.http, "/sent").body.len() == 300_000).then_some(()));
}

const PROXY: &str = r#"
[server]
http = "HTTP"
threads = 1
forward_proxy = { listen = "OTHER", allow = ["*.example.org:443"] }
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[site."*"]
routes = [{ path = "/near/*", files = "near" }, { path = "/*", app = "web" }]
"#;

#[test]
fn name_servers_that_are_dead_hold_up_only_who_needs_them() {
    // It takes what it is asked, and says nothing.
    let dead = (2..250).find_map(|last| UdpSocket::bind((format!("127.0.0.{last}").as_str(), 53)).ok());
    let dead = dead.unwrap_or_else(|| UdpSocket::bind("127.0.0.1:0").unwrap());
    let stage = Stage::with_app(WEB).file("near/file", "near").file("near/keep", "");
    let script = format!(
        "mkdir -p near/deep; echo deep >near/deep/file; mount -t tmpfs none near/deep; echo deep >near/deep/file
         printf 'nameserver {}\\noptions timeout:30 attempts:5\\n' >dead.conf
         mount --bind dead.conf \"$(readlink -f /etc/resolv.conf)\"",
        dead.local_addr().unwrap().ip()
    );
    let mut served = Served::start_apart(stage, PROXY, &script);
    let ask = |at: usize| {
        let mut connection = Connection::open(served.other);
        connection.send(format!("CONNECT no{at}.example.org:443 HTTP/1.1\r\nHost: no{at}.example.org:443\r\n\r\n"));
        connection
    };
    let mut waiting: Vec<Connection> = (0..20).map(ask).collect();
    is_well(&served);
    for connection in &mut waiting {
        assert_eq!(connection.answer().status, 504);
    }
    served.hallway.wait_for_line(|line| line.contains("names of servers: nothing came within 10 s"));
    is_well(&served);
}

/// Threads of the user `games`, of whom the system lets the edge have forty.
const CROWD: &str = r#"
import threading, time
for _ in range(80):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print("up", flush=True)
time.sleep(600)
"#;
const GAMES: u32 = 5;

#[test]
fn a_limit_of_processes_ends_nothing() {
    let stage = Stage::with_app(WEB).file("near/file", "near");
    let file = one_app().replace("threads = 1", "threads = 1\nuser = \"games\"");
    let file = file.replace("[app.web]", "[app.web]\nuser = \"root\"");
    let script =
        "mkdir -p near/deep; mount -t tmpfs none near/deep; echo deep >near/deep/file; prlimit --pid $$ --nproc=40:";
    let served = Served::start_apart(stage, &file, script);
    let edge = served.hallway.children("hallway: edge");
    let mut crowd = Command::new("python3");
    let mut crowd = crowd.args(["-c", CROWD]).uid(GAMES).stdout(Stdio::piped()).spawn().unwrap();
    let mut up = [0; 2];
    crowd.stdout.take().unwrap().read_exact(&mut up).unwrap();
    is_well(&served);
    let mut many: Vec<Connection> = (0..20).map(|_| Connection::open(served.http)).collect();
    for connection in &mut many {
        connection.send("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 300000\r\n\r\n").send([b'x'; 200_000]);
    }
    for connection in &mut many {
        assert_eq!(connection.send([b'x'; 100_000]).answer().text(), "300000");
    }
    let threads = std::fs::read_dir(format!("/proc/{}/task", edge[0])).unwrap().count();
    crowd.kill().unwrap();
    crowd.wait().unwrap();
    assert_eq!(served.hallway.children("hallway: edge"), edge);
    assert!(threads < 20, "{threads} threads: it was not at its limit");
}

/// The file without the hung one.
fn one_app() -> String {
    let file = FILE.split("[app.sender]").next().unwrap().to_owned() + "[site" + FILE.split("[site").nth(1).unwrap();
    file.replace("app = \"sender\"", "app = \"web\"").replace("files = \"far\"", "files = \"near\"")
}

/// The spool is on a disk of its own, which is frozen as for a snapshot.
#[test]
fn a_frozen_disk_of_the_spool_costs_long_bodies_only() {
    let stage = Stage::with_app(WEB).file("near/file", "near");
    let script = r#"
        mkdir -p spool near/deep
        mount -t tmpfs none near/deep; echo deep >near/deep/file
        truncate -s 64M disk; mkfs.ext4 -q disk; mount -o loop disk spool
        mkfifo freeze thaw
        (cat freeze; fsfreeze -f spool; echo >frozen; cat thaw; fsfreeze -u spool) >/dev/null 2>&1 </dev/null &
        export TMPDIR="$PWD/spool""#;
    let mut served = Served::start_apart(stage, &one_app(), script);
    assert_eq!(post(served.http, "/", &[b'x'; 300_000]).text(), "300000");
    fs::write(served.path("freeze"), "stop").unwrap();
    wait_until(|| served.path("frozen").exists().then_some(()));
    let mut waiting: Vec<Connection> = (0..12).map(|_| Connection::open(served.http)).collect();
    for connection in &mut waiting {
        connection.send("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 300000\r\n\r\n").send([b'x'; 200_000]);
    }
    for _ in 0..3 {
        assert_eq!(post(served.http, "/", &[b'x'; 30_000]).text(), "30000", "it stays in memory");
        assert_eq!(get(served.http, "/near/file").text(), "near");
        assert_eq!(get(served.http, "/near/deep/file").text(), "deep\n");
    }
    for connection in &mut waiting {
        let answer = connection.answer();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{}", answer.text());
    }
    served.hallway.wait_for_line(|line| line.contains("spool files: nothing came within 10 s"));
    fs::write(served.path("thaw"), "go").unwrap();
    wait_until(|| (post(served.http, "/", &[b'x'; 300_000]).status == 200).then_some(()));
}
