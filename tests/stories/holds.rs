//! In:     what was tried on hallway from outside and did not break it: odd spellings, extreme numbers, many keys, many signals.
//! Out:    that it still does not.
//! Actors: hallway; raw sockets; signals.
//! Never:  is an attack left out because it failed once.

use super::client::{Connection, get, request};
use super::served::Served;
use super::stage::{Stage, signal, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;

const PROXY: &str = r#"
[server]
http = "HTTP"
forward_proxy = { listen = "OTHER", allow = ["allowed.invalid:80"] }
[site."*"]
routes = [{ path = "/*", respond = { body = "reached" } }]
"#;

#[test]
fn no_spelling_of_an_address_leads_through_the_forward_proxy() {
    let served = Served::start(Stage::new(), PROXY);
    let port = served.http.port();
    let hosts = [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "localhost",
        "localhost.",
        "allowed.invalid@127.0.0.1",
        "allowed.invalid%40127.0.0.1",
        "allowed.invalid#@127.0.0.1",
        "allowed.invalid.127.0.0.1.nip.io",
        "127.0.0.1%00.allowed.invalid",
    ];
    for host in hosts {
        for ask in [
            format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: allowed.invalid\r\nConnection: close\r\n\r\n"),
            format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: allowed.invalid:80\r\nConnection: close\r\n\r\n"),
        ] {
            let answer = Connection::open(served.other).send(&ask).answer();
            assert!(matches!(answer.status, 400 | 403), "{ask:?}: {}", answer.head);
            assert_ne!(answer.text(), "reached", "{ask:?}");
        }
    }
}

#[test]
fn extreme_ranges_are_answered_by_their_rules() {
    const FILE: &str = "[server]\nhttp = \"HTTP\"\n[site.\"*\"]\nroutes = [{ path = \"/*\", files = \"DIR/files\" }]\n";
    let served = Served::start(Stage::new().file("files/a.txt", "0123456789"), FILE);
    let (max, beyond) = (u64::MAX, "18446744073709551616");
    let many: Vec<String> = (0..2_000).map(|at| format!("{}-{}", at % 10, at % 10)).collect();
    for (range, wanted) in [
        (format!("bytes=0-{max}"), &[206][..]),
        (format!("bytes=0-{beyond}"), &[200, 206]),
        (format!("bytes=-{max}"), &[200, 206]),
        (format!("bytes=-{beyond}"), &[200, 206]),
        (format!("bytes={max}-"), &[416]),
        (format!("bytes={beyond}-"), &[200, 416]),
        (format!("bytes={max}-{max}"), &[416]),
        (format!("bytes={}-{max}", i64::MAX), &[416]),
        ("bytes=5-4".to_owned(), &[200, 416]),
        ("bytes=-0".to_owned(), &[200, 416]),
        ("bytes=--1".to_owned(), &[200]),
        ("bytes=0x0-0x1".to_owned(), &[200]),
        (format!("bytes={}", many.join(",")[..7_000].trim_end_matches([',', '-'])), &[200, 206, 416]),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = request(served.http, method, "/a.txt", &format!("Range: {range}\r\n"));
            // A range is one of GET only (RFC 9110, 14.2).
            let is_right = if method == "GET" { wanted.contains(&answer.status) } else { answer.status == 200 };
            assert!(is_right, "{method} {range:.60}: {}", answer.head);
            assert!(answer.body.len() < 1_000, "{range:.60}: {} bytes of a file of 10", answer.body.len());
        }
    }
}

#[test]
fn keys_of_a_limit_are_bounded_whoever_makes_them() {
    const FILE: &str = r#"
[server]
http = "HTTP"
threads = 1
trusted_proxies = ["127.0.0.1"]
[site."*"]
routes = [{ path = "/*", respond = { body = "x" }, limit = { rate = "1/m", burst = 1 } }]
"#;
    let served = Served::start(Stage::new(), FILE);
    let edge = served.hallway.children("hallway: edge")[0];
    let mut connection = Connection::open(served.http);
    let mut before = 0;
    for block in 0..60 {
        let ask = |at: u32| {
            let [_, a, b, c] = (block * 1_000 + at).to_be_bytes();
            format!("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.{a}.{b}.{c}\r\n\r\n")
        };
        let asks: String = (0..1_000).map(ask).collect();
        connection.send(asks);
        for _ in 0..1_000 {
            assert_eq!(connection.answer().status, 200, "each is a client of its own");
        }
        if block == 39 {
            before = resident_kib(edge);
        }
    }
    let grown = resident_kib(edge).saturating_sub(before);
    assert!(grown < 2_048, "20,000 keys more than are kept took {grown} KiB");
    let known = "X-Forwarded-For: 192.0.2.1\r\n";
    let statuses = [(); 3].map(|()| request(served.http, "GET", "/", known).status);
    assert_eq!(statuses, [200, 429, 429], "who comes next is limited as ever");
}

fn resident_kib(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

const PLAIN: &str =
    "[server]\nhttp = \"HTTP\"\n[site.\"*\"]\nroutes = [{ path = \"/*\", respond = { body = \"x\" } }]\n";

#[test]
fn a_thousand_reloads_asked_for_at_once_leave_nothing_behind() {
    let mut served = Served::start(Stage::new(), PLAIN);
    served.change(&PLAIN.replace("\"x\"", "\"y\""));
    served.change(PLAIN);
    let descriptors = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let pids = [served.hallway.pid(), served.hallway.children("hallway: edge")[0]];
    let before = pids.map(descriptors);
    for _ in 0..1_000 {
        served.hallway.signal("HUP");
    }
    let (went_well, said) = served.order(&["reload"]);
    assert!(went_well, "{said}");
    assert_eq!(get(served.http, "/").text(), "x");
    wait_until(|| (pids.map(descriptors) == before).then_some(()));
    assert_eq!(served.hallway.children("hallway: edge")[0], pids[1], "the same edge");
}

#[test]
fn certificates_that_are_none_change_nothing() {
    const FILE: &str = r#"
[server]
http = "HTTP"
https = "HTTPS"
[site."shop.example"]
tls = "internal"
routes = [{ path = "/*", respond = { body = "x" } }]
"#;
    let served = Served::start(Stage::new(), FILE);
    let ask = || served.curl(&["https://shop.example:PORT/"]);
    assert_eq!(ask(), "x");
    let pem = fs::read_to_string(served.path("state/internal/authority.pem")).unwrap();
    let half = &pem[..pem.len() / 2];
    let garbage = String::from_utf8_lossy(&[0xff; 4_096]).into_owned();
    for (certificate, key) in [
        ("", ""),
        (&*garbage, &*garbage),
        (half, half),
        (&*pem, ""),
        (&*pem, &*pem),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ),
    ] {
        fs::write(served.path("a.pem"), certificate).unwrap();
        fs::write(served.path("a.key"), key).unwrap();
        let named = FILE.replace("\"internal\"", "{ cert = \"DIR/a.pem\", key = \"DIR/a.key\" }");
        served.write(&named);
        let (went_well, said) = served.order(&["check"]);
        assert!(!went_well && (said.contains("a.pem") || said.contains("a.key")), "{said}");
        let (went_well, said) = served.order(&["reload"]);
        assert!(!went_well, "{said}");
        assert_eq!(ask(), "x", "{certificate:.40}");
    }
}

#[test]
fn what_dies_within_a_reload_comes_back() {
    const FILE: &str = r#"
[server]
http = "HTTP"
[app.a]
wsgi = "app:app"
chdir = "DIR"
python = "PYTHON"
workers = 1
[site."*"]
routes = [{ path = "/*", app = "a" }]
"#;
    const APP: &str = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n";
    let served = Served::start(Stage::with_app(APP), FILE);
    for title in ["hallway: edge", "hallway: app", "hallway: edge", "hallway: app"] {
        served.hallway.signal("HUP");
        for pid in served.hallway.children(title) {
            // It may have been replaced by now.
            let process = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            let _ = kill_process(process, Signal::KILL);
        }
        let is_up = || {
            let mut connection = std::net::TcpStream::connect(served.http).ok()?;
            let ask = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
            std::io::Write::write_all(&mut connection, ask).ok()?;
            let mut answer = String::new();
            std::io::Read::read_to_string(&mut connection, &mut answer).ok()?;
            answer.starts_with("HTTP/1.1 200").then_some(())
        };
        wait_until(is_up);
    }
    let (went_well, said) = served.order(&["reload"]);
    assert!(went_well, "{said}");
    assert_eq!(get(served.http, "/").text(), "x");
}

#[test]
fn a_master_that_is_stopped_holds_up_no_request() {
    let served = Served::start(Stage::new(), PLAIN);
    signal(served.hallway.pid(), "STOP");
    for _ in 0..100 {
        assert_eq!(get(served.http, "/").text(), "x");
    }
    signal(served.hallway.pid(), "CONT");
    let (went_well, said) = served.order(&["reload"]);
    assert!(went_well, "{said}");
}
