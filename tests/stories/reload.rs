//! In:     a configuration file that changes while it is served.
//! Out:    what comes after goes by the new one, what had begun ends by the old one.
//! Actors: a hallway with apps that come and go; clients in the middle of something.
//! Never:  is a request lost because somebody changed the file.

use super::client::{Connection, get};
use super::fire::Load;
use super::served::{Served, free_address};
use super::stage::{Stage, wait_until};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const APP: &str = r#"
import os, time

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Accel-Buffering", "no")])
    if environ["PATH_INFO"] == "/stream":
        def pieces():
            yield b"begun;"
            while not os.path.exists(os.environ["GATE"]):
                time.sleep(0.02)
            yield b"ended"
        return pieces()
    return [os.environ["NAME"].encode(), b" ", str(os.getpid()).encode()]
"#;

fn ask(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = get(address, path);
    (answer.status, answer.text())
}

fn app(name: &str) -> String {
    format!(
        "[app.{name}]\nwsgi = \"app:app\"\nworkers = 1\npython = \"PYTHON\"\n\
         env = {{ NAME = \"{name}\", GATE = \"DIR/gate\" }}\n"
    )
}

fn sites(http: &[SocketAddr], routes: &[&str]) -> String {
    let http: Vec<String> = http.iter().map(|address| format!("\"{address}\"")).collect();
    let routes: Vec<String> = routes.iter().map(|route| format!("{{ {route} }}")).collect();
    format!("[server]\nhttp = [{}]\n[site.\"*\"]\nroutes = [{}]\n", http.join(", "), routes.join(", "))
}

#[test]
fn what_comes_goes_by_the_new_file_and_what_has_begun_by_the_old_one() {
    let (first, second) = (free_address(), free_address());
    let one = sites(&[first], &["path = \"/*\", app = \"one\"", "path = \"/said\", respond = { body = \"old\" }"]);
    let mut served = Served::start(Stage::with_app(APP), &format!("{one}{}", app("one")));
    let mut stream = Connection::open(first);
    stream.send("GET /stream HTTP/1.1\r\nHost: s\r\n\r\n").head();
    assert_eq!(stream.chunk(), b"begun;");
    let mut kept = Connection::open(first);
    kept.send("GET /said HTTP/1.1\r\nHost: s\r\n\r\n");
    assert_eq!(kept.answer().text(), "old");
    // Another app, another address, another answer; the first app is not there any more.
    let two = sites(
        &[first, second],
        &["path = \"/two/*\", app = \"two\"", "path = \"/said\", respond = { body = \"new\" }"],
    );
    served.change(&format!("{two}{}", app("two")));
    kept.send("GET /said HTTP/1.1\r\nHost: s\r\n\r\n");
    assert_eq!(kept.answer().text(), "new", "on a connection that was there before");
    assert_eq!(ask(first, "/").0, 404);
    let (status, text) = ask(second, "/two/x");
    assert_eq!((status, text.split(' ').next()), (200, Some("two")), "a new app at a new address, at once");
    assert_eq!(served.hallway.children("hallway: app one").len(), 1, "the stream needs it");
    std::fs::write(served.path("gate"), "").unwrap();
    assert_eq!((stream.chunk(), stream.chunk()), (b"ended".to_vec(), Vec::new()));
    served.hallway.wait_for_children("hallway: app one", 0);
    // The first address goes; a connection that came by it is answered once more, and told to leave.
    let three = sites(&[second], &["path = \"/*\", app = \"two\""]);
    served.change(&format!("{three}{}", app("two")));
    kept.send("GET /two/ HTTP/1.1\r\nHost: s\r\n\r\n");
    let last = kept.answer();
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    wait_until(|| TcpStream::connect(first).is_err().then_some(()));
    assert_eq!(ask(second, "/").0, 200);
    // And back again.
    served.change(&format!("{one}{}", app("one")));
    assert_eq!(ask(first, "/said"), (200, "old".into()));
    wait_until(|| TcpStream::connect(second).is_err().then_some(()));
}

#[test]
fn an_address_that_is_taken_changes_nothing() {
    let address = free_address();
    let file =
        |also: &[SocketAddr]| sites(&[&[address], also].concat(), &["path = \"/*\", respond = { body = \"x\" }"]);
    let mut served = Served::start(Stage::with_app(APP), &file(&[]));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    served.write(&file(&[taken.local_addr().unwrap()]));
    served.hallway.signal("HUP");
    served.hallway.wait_for_line(|line| line.contains("cannot listen at") && line.contains("is in use"));
    served.hallway.wait_for_line(|line| line.contains("nothing was changed"));
    assert_eq!(ask(address, "/"), (200, "x".into()));
}

#[test]
fn an_app_that_changes_is_replaced_and_one_that_cannot_load_is_not() {
    let address = free_address();
    let file = |env: &str| {
        let site = sites(&[address], &["path = \"/*\", app = \"one\""]);
        format!("{site}{}", app("one").replace("NAME = \"one\"", env))
    };
    let mut served = Served::start(Stage::with_app(APP), &file("NAME = \"a\""));
    let before = ask(address, "/").1;
    assert!(before.starts_with("a "), "{before}");
    served.change(&file("NAME = \"b\""));
    wait_until(|| ask(address, "/").1.starts_with("b ").then_some(()));
    served.change(&file("NAME = \"c\"").replace("app:app", "nothing:app"));
    served.hallway.wait_for_line(|line| line.contains("the old workers go on serving"));
    assert!(ask(address, "/").1.starts_with("b "));
    served.change(&file("NAME = \"d\""));
    wait_until(|| ask(address, "/").1.starts_with("d ").then_some(()));
}

/// A hundred times in half a minute, while clients of both protocols ask without a pause.
#[test]
fn nobody_notices_a_hundred_reloads() {
    let file = |word: &str, also: &str, more: &str| {
        format!(
            "[server]\nhttp = [\"HTTP\"{also}]\nhttps = \"HTTPS\"\n[site.\"*\"]\ntls = \"internal\"\nhttps_redirect = false\n\
             routes = [{{ path = \"/*\", app = \"one\" }}, {{ path = \"/said\", respond = {{ body = \"{word}\" }} }}]\n{more}{}",
            app("one").replace("workers = 1", "workers = 2\ntimeout = \"2m\"\ngraceful_timeout = \"2m\"")
        )
    };
    let files = [
        file("a", "", ""),
        file("b", ", \"OTHER\"", "[site.\"x.example\"]\nroutes = [{ path = \"/*\", respond = {} }]\n"),
    ];
    let served = Served::start_all(Stage::with_app(APP), &files[0], 2);
    let mut stream = Connection::open(served.http);
    stream.send("GET /stream HTTP/1.1\r\nHost: s\r\n\r\n").head();
    assert_eq!(stream.chunk(), b"begun;");
    let load = Load::start(&served.hallway, 4, "/said");
    let h2load = Command::new("h2load")
        .args(["-c", "4", "-m", "8", "-D", "31", "--warm-up-time", "0", &format!("https://{}/said", served.https)])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let edge = served.hallway.children("hallway: edge")[0];
    let (begun, mut settled_kib) = (Instant::now(), 0);
    for round in 0..100u64 {
        served.write(&files[round as usize % 2]);
        let words: &[&str] = if round % 20 == 19 { &["reload"] } else { &["reload", "--config"] };
        let (ok, said) = served.order(words);
        assert!(ok && said.contains("hallway.toml"), "round {round}: {said}");
        if round == 10 {
            settled_kib = resident_kib(edge);
        }
        let due = Duration::from_millis(300 * (round + 1));
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    let answered = load.end();
    let output = h2load.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let requests = said.lines().find(|line| line.starts_with("requests:")).unwrap().to_owned();
    assert!(requests.contains(" 0 failed, 0 errored, 0 timeout"), "{requests}");
    let over_h2: usize = requests.split_ascii_whitespace().nth(7).unwrap().parse().unwrap();
    assert!(answered >= 2_000 && over_h2 >= 2_000, "{answered} requests, {requests}");
    std::fs::write(served.path("gate"), "").unwrap();
    assert_eq!((stream.chunk(), stream.chunk()), (b"ended".to_vec(), Vec::new()), "what was open all the time");
    assert_eq!(served.hallway.children("hallway: edge"), [edge]);
    let now_kib =
        wait_until(|| Some(resident_kib(edge)).filter(|now_kib| *now_kib < settled_kib + settled_kib / 4 + 4096));
    assert!(now_kib > 0);
    served.hallway.wait_for_children("hallway: app one", 2);
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}
