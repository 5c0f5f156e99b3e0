//! In:     files of passwords as htpasswd has written them for decades; Trac, which knows its users by them.
//! Out:    who may come in, also after the file has changed; who it is, to the app.
//! Actors: hallway, Trac, curl.
//! Never:  does a file that cannot be understood lock anybody out, or let anybody in.

use super::believed::{APP, seen};
use super::client::{Answer, Connection, request};
use super::served::Served;
use super::stage::{Stage, python, wait_until};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

/// All of "secret"; the first three made by openssl and htpasswd.
const USERS: &str = "# the staff\r\nalice:$apr1$xxxxxxxx$/mULyOsdWlXlIt5U99q7h1\r\n\r\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=:left in May\n\
    carol:$2y$05$SlVdZUAc0HMRj5qEmLes.ul1wYmmkpKMebaWA0qun6qIbAvR7choG\n  #eve:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";

const FILE: &str = r#"
[server]
http = "HTTP"
threads = 1
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[site."*"]
routes = [
  { path = "/*", app = "web", basic_auth = { file = "staff", users = { dave = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=" } } },
  { path = "/open/*", app = "web" },
]
"#;

/// A GET with a password: "user:password".
fn with_password(served: &Served, path: &str, pair: &str) -> Answer {
    let digits = base64(pair.as_bytes());
    request(served.http, "GET", path, &format!("Authorization: Basic {digits}\r\n"))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| -> String {
        let number = (0..3).fold(0, |number, at| number << 8 | u32::from(*three.get(at).unwrap_or(&0)));
        let digit = |at: usize| match at <= three.len() {
            true => char::from(DIGITS[(number >> (18 - 6 * at)) as usize & 63]),
            false => '=',
        };
        (0..4).map(digit).collect()
    };
    bytes.chunks(3).map(four).collect()
}

#[test]
fn files_of_htpasswd_are_read_and_their_users_are_told_to_apps() {
    let served = Served::start(Stage::with_app(APP).file("staff", USERS), FILE);
    for user in ["alice", "bob", "carol", "dave"] {
        let app = seen(&with_password(&served, "/x", &format!("{user}:secret")));
        assert_eq!((&*app["REMOTE_USER"], &*app["AUTH_TYPE"]), (user, "Basic"));
        let refused = with_password(&served, "/x", &format!("{user}:Secret"));
        assert_eq!((refused.status, refused.header("www-authenticate").is_some()), (401, true), "{user}");
    }
    for pair in ["eve:secret", "#eve:secret", ":secret", "alice:", "alice"] {
        assert_eq!(with_password(&served, "/x", pair).status, 401, "{pair}");
    }
    let open = seen(&with_password(&served, "/open/x", "alice:secret"));
    assert!(!open.contains_key("REMOTE_USER") && !open.contains_key("AUTH_TYPE"), "nobody looked: {open:?}");
    let forged =
        request(served.http, "GET", "/open/x", "Remote_User: root\r\nRemote-User: root\r\nAuth-Type: Basic\r\n");
    assert_eq!(seen(&forged).get("REMOTE_USER"), None);
}

#[test]
fn a_file_that_has_changed_counts_without_a_reload() {
    let served = Served::start(Stage::with_app(APP).file("staff", USERS), FILE);
    let status = |pair: &str| with_password(&served, "/x", pair).status;
    assert_eq!((status("alice:secret"), status("erin:secret")), (200, 401));
    // Replaced as a whole, as careful tools do.
    std::fs::write(served.path("new"), "erin:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").unwrap();
    std::fs::rename(served.path("new"), served.path("staff")).unwrap();
    wait_until(|| (status("erin:secret") == 200).then_some(()));
    wait_until(|| (status("alice:secret") == 401).then_some(()));
    assert_eq!(status("dave:secret"), 200, "who stands in the configuration itself");
    wait_until(|| served.hallway.said().contains("staff have changed").then_some(()));
    // Written over in place, with a slip.
    std::fs::write(served.path("staff"), "erin:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nfrank:secret\n").unwrap();
    wait_until(|| served.hallway.said().contains("staff:2: this is no hash").then_some(()));
    wait_until(|| served.hallway.said().contains("what it said before stays").then_some(()));
    assert_eq!((status("erin:secret"), status("frank:secret")), (200, 401));
    std::fs::write(served.path("staff"), "# nobody\n").unwrap();
    wait_until(|| (status("erin:secret") == 401).then_some(()));
}

#[test]
fn trac_knows_who_comes_in() {
    let stage = Stage::new().file("staff", USERS);
    let environment = stage.dir.join("trac");
    let mut command = Command::new(python());
    command.args(["-B", "-m", "trac.admin.console"]).arg(&environment).args(["initenv", "Story", "sqlite:db/trac.db"]);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = r#"
        [server]
        http = "HTTP"
        threads = 1
        [app.trac]
        wsgi = "trac.web.main:dispatch_request"
        python = "PYTHON"
        workers = 1
        env = { TRAC_ENV = "DIR/trac" }
        [site."*"]
        routes = [
          { path = "/trac/*", app = "trac", strip = true },
          { path = "/trac/login", app = "trac", rewrite = "/login", basic_auth = { file = "staff" } },
          { path = "/guarded/*", app = "trac", strip = true, basic_auth = { file = "staff" } },
        ]
        "#;
    let served = Served::start(stage, file);
    assert_eq!(request(served.http, "GET", "/guarded/login", "").status, 401);
    let entered = with_password(&served, "/guarded/login", "alice:secret");
    assert_eq!(entered.status, 302, "{}", entered.text());
    let cookies: Vec<&str> = entered.head.lines().filter_map(|line| line.strip_prefix("Set-Cookie: ")).collect();
    let auth = cookies.iter().find(|cookie| cookie.starts_with("trac_auth=")).expect("Trac knows who it is");
    let cookie = auth.split(';').next().unwrap();
    let page = request(served.http, "GET", "/trac/wiki", &format!("Cookie: {cookie}\r\n"));
    assert!(page.status == 200 && page.text().contains("logged in as"), "{}", page.text());
    assert!(page.text().contains("alice"));
    assert!(!request(served.http, "GET", "/trac/wiki", "").text().contains("logged in as"));
    let login = with_password(&served, "/trac/login", "bob:secret");
    assert_eq!(login.status, 302, "the way to it may be another one than that of the rest");
}

/// Wrong passwords cost much here: nobody's is of cost 10, which takes long without optimisation.
const COSTLY: &str = r#"
[server]
http = "HTTP"
threads = 1
[site."*"]
routes = [{ path = "/*", respond = { body = "in" }, basic_auth = { users = { alice = "$2y$05$SlVdZUAc0HMRj5qEmLes.ul1wYmmkpKMebaWA0qun6qIbAvR7choG", bob = "$2y$05$SlVdZUAc0HMRj5qEmLes.ul1wYmmkpKMebaWA0qun6qIbAvR7choG", nobody = "$2y$10$SlVdZUAc0HMRj5qEmLes.ul1wYmmkpKMebaWA0qun6qIbAvR7choG" } } }]
"#;

/// A request with a password, sent from another address of this machine.
fn sent_from(last: u8, to: SocketAddr, pair: &str) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let digits = base64(pair.as_bytes());
    let mut stream = TcpStream::from(socket);
    let text = format!("GET / HTTP/1.1\r\nHost: s\r\nAuthorization: Basic {digits}\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, text.as_bytes()).unwrap();
    stream
}

fn is_waiting(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn who_tries_a_hundred_passwords_holds_up_nobody_else() {
    let served = Served::start(Stage::new(), COSTLY);
    let flood: Vec<TcpStream> =
        (0..100).map(|number| sent_from(2, served.http, &format!("alice:wrong{number}"))).collect();
    // Those that are too many of one client are refused at once.
    wait_until(|| (flood.iter().filter(|stream| is_waiting(stream)).count() < 40).then_some(()));
    assert_eq!(with_password(&served, "/", "alice:secret").text(), "in", "it has its turn");
    let waiting = flood.iter().filter(|stream| is_waiting(stream)).count();
    assert!(waiting > 10, "only {waiting} of the flood wait: the right one has waited for all of them");
    // Also who comes from the same address, by another name: many do, from behind one router.
    let mut other = sent_from(2, served.http, "bob:secret");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut other, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Who was let in before waits for nothing, from wherever it comes.
    let mut again = sent_from(2, served.http, "alice:secret");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut again, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(flood.iter().any(is_waiting));
}

#[test]
fn who_leaves_before_a_password_was_looked_at_keeps_no_place() {
    let served = Served::start(Stage::new(), &COSTLY.replace("$2y$10$", "$2y$05$"));
    for round in 0..50 {
        let mut client = Connection::open(served.http);
        let digits = base64(format!("alice:wrong{round}").as_bytes());
        client.send(format!("GET / HTTP/1.1\r\nHost: s\r\nAuthorization: Basic {digits}\r\n\r\n"));
        client.reset();
    }
    wait_until(|| (with_password(&served, "/", "alice:wrong").status == 401).then_some(()));
    assert_eq!(with_password(&served, "/", "alice:secret").text(), "in");
}

/// How long it takes to hear no says nothing of who there is, whatever kinds of hashes there are.
#[test]
fn an_unknown_name_takes_as_long_as_a_known_one() {
    let users = USERS.replace("$2y$05$", "$2y$08$");
    let served = Served::start(Stage::with_app(APP).file("staff", &users), FILE);
    // What the thread of passwords has worked: that does not depend on what else this machine does.
    let edge = served.hallway.children("hallway: edge")[0];
    let tasks = std::fs::read_dir(format!("/proc/{edge}/task")).unwrap().flatten().map(|task| task.path());
    let is_it = |task: &PathBuf| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name == "passwords\n");
    let thread = tasks.into_iter().find(is_it).unwrap();
    let worked_us = || -> u64 {
        let text = std::fs::read_to_string(thread.join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap() / 1000
    };
    let cost_us = |name: &str| {
        let before_us = worked_us();
        for round in 0..4 {
            assert_eq!(with_password(&served, "/x", &format!("{name}:wrong{round}")).status, 401);
        }
        worked_us() - before_us
    };
    let names = ["alice", "bob", "carol", "dave", "eve", "nobody", "x"];
    // What else a machine does only adds to it.
    let least_us = |name: &str| (0..3).map(|_| cost_us(name)).min().unwrap_or(0);
    let costs: Vec<(&str, u64)> = names.iter().map(|name| (*name, least_us(name))).collect();
    let most_us = costs.iter().map(|(_, cost_us)| *cost_us).max().unwrap();
    assert!(most_us > 0 && costs.iter().all(|(_, cost_us)| cost_us * 2 > most_us), "{costs:?}");
}
