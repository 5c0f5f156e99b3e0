//! In:     what newcomers do, and what systemd and proxies in front do.
//! Out:    words that say what is, where, and what to do; for programs, words that they can read.
//! Actors: hallway, curl, systemd-socket-activate.
//! Never:  does a word lead somewhere where nobody answers.

use super::client::{get, request};
use super::served::{Served, as_starter, free_address};
use super::stage::{Running, Stage, python, wait_until};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

const APP: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ("SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme", "REMOTE_ADDR")
    return ["|".join(environ.get(name, "") for name in names).encode()]
"#;

/// Whether a line begins with a moment as RFC 3339 has it.
fn has_time(line: &str) -> bool {
    let form = "0000-00-00T00:00:00.000Z ";
    line.len() > form.len()
        && line.bytes().zip(form.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            wanted => byte == wanted,
        })
}

#[test]
fn each_line_has_its_time_and_who_says_it_but_in_the_journal() {
    let noisy = "import sys\nprint('first')\nprint('second', file=sys.stderr)\n";
    let stage = Stage::with_app(&format!("{noisy}{APP}"));
    let mut hallway = stage.run(&["-w", "1", "app:app"]);
    hallway.wait_for_line(|line| line.contains("]: second"));
    let said = hallway.said();
    for line in said.lines() {
        assert!(has_time(line) && (line[25..].starts_with("hallway: ") || line[25..].starts_with("web[")), "{line}");
    }
    drop(hallway);
    // As systemd would have it: the variable names what standard error is.
    let stage = Stage::with_app(&format!("{noisy}{APP}"));
    let run = stage.command(&["-w", "1", "--bind", "127.0.0.1:0", "app:app"]);
    let script = "import os, sys\nseen = os.fstat(2)\n\
                  os.environ['JOURNAL_STREAM'] = f'{seen.st_dev}:{seen.st_ino}'\nos.execv(sys.argv[1], sys.argv[1:])";
    let mut hallway = Running::start(through_python(script, &run), Some(stage));
    hallway.wait_for_line(|line| line.contains("]: second"));
    for line in hallway.said().lines() {
        assert!(line.starts_with("hallway: ") || line.starts_with("web["), "{line}");
    }
}

/// The same command, started by a script.
fn through_python(script: &str, run: &Command) -> Command {
    let mut command = Command::new(python());
    command.args(["-c", script]).arg(run.get_program()).args(run.get_args());
    command.env_remove("VIRTUAL_ENV").env_remove("PORT").env_remove("WEB_CONCURRENCY");
    command
}

#[test]
fn a_proxy_that_is_not_believed_is_hinted_at_once() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--edge-threads", "2", "app:app"]);
    get(hallway.address, "/");
    assert!(!hallway.said().contains("if that is your proxy"), "{}", hallway.said());
    for lines in ["X-Forwarded-For: 9.9.9.9\r\n", "X-Forwarded-Proto: https\r\n", "Forwarded: for=9.9.9.9\r\n"] {
        assert!(request(hallway.address, "GET", "/", lines).text().ends_with("|http|127.0.0.1"));
    }
    let line = hallway.wait_for_line(|line| line.contains("if that is your proxy, write --trusted-proxy 127.0.0.1"));
    assert!(line.contains("apps see 127.0.0.1"), "{line}");
    (0..8).for_each(|_| drop(request(hallway.address, "GET", "/", "X-Forwarded-For: 9.9.9.9\r\n")));
    assert_eq!(hallway.said().matches("if that is your proxy").count(), 1);
    // Who does as it says sees it no more, and the truth.
    let believing = Stage::with_app(APP).run(&["-w", "1", "--trusted-proxy", "127.0.0.1", "app:app"]);
    let told = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(request(believing.address, "GET", "/", told).text(), "127.0.0.1|443|https|9.9.9.9");
    assert!(!believing.said().contains("your proxy"), "{}", believing.said());
    // By a socket, the word is another.
    let stage = Stage::with_app(APP);
    let path = stage.dir.join("app.sock");
    let unix = format!("unix:{}", path.display());
    let mut hallway = stage.run(&["-w", "1", "--bind", "127.0.0.1:0", "--bind", &unix, "app:app"]);
    let asked = ["-s", "-H", "X-Forwarded-For: 9.9.9.9", "http://h/", "--unix-socket"];
    assert!(Command::new("curl").args(asked).arg(&path).output().unwrap().status.success());
    hallway.wait_for_line(|line| line.contains("if that is your proxy, write --trusted-proxy unix"));
    // In a file it is a key.
    let file = "[server]\nhttp = \"HTTP\"\n[site.\"*\"]\nroutes = [{ path = \"/*\", respond = {} }]\n";
    let mut served = Served::start(Stage::new(), file);
    request(served.http, "GET", "/", "X-Forwarded-For: 9.9.9.9\r\n");
    served.hallway.wait_for_line(|line| line.contains("write trusted_proxies = [\"127.0.0.1\"] in [server]"));
}

const PORTS: &str = r#"
[server]
http = "HTTP"
https = "HTTPS"
trusted_proxies = ["127.0.0.1"]
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[site."shop.example"]
tls = "internal"
https_redirect = false
routes = [{ path = "/*", app = "web" }]
"#;

#[test]
fn the_port_is_the_one_that_the_client_asked() {
    let served = Served::start(Stage::with_app(APP), PORTS);
    let (http, https) = (served.http.port().to_string(), served.https.port().to_string());
    for (url, lines, port, scheme) in [
        ("https://shop.example:PORT/", &[][..], &*https, "https"),
        ("https://shop.example:PORT/", &["X-Forwarded-For: 9.9.9.9"], &https, "https"),
        ("https://shop.example:PORT/", &["X-Forwarded-Proto: https"], "443", "https"),
        ("https://shop.example:PORT/", &["X-Forwarded-Proto: http"], "80", "http"),
        (
            "https://shop.example:PORT/",
            &["X-Forwarded-Host: shop.example:444", "X-Forwarded-Proto: https"],
            "444",
            "https",
        ),
        ("https://shop.example:PORT/", &["X-Forwarded-Port: 8443", "X-Forwarded-Proto: https"], "8443", "https"),
        ("http://HTTP_AT/", &["Host: shop.example", "X-Forwarded-For: 9.9.9.9"], &http, "http"),
        ("http://HTTP_AT/", &["Host: shop.example", "X-Forwarded-Proto: https"], "443", "https"),
    ] {
        let mut arguments: Vec<&str> = lines.iter().flat_map(|line| ["-H", *line]).collect();
        arguments.push(url);
        let seen = served.curl(&arguments);
        let seen: Vec<&str> = seen.split('|').collect();
        assert_eq!((seen.get(1), seen.get(2)), (Some(&port), Some(&scheme)), "{url} {lines:?}: {seen:?}");
    }
}

const FAULTS: &str = r#"
[server]
http = "HTTP"
[log]
access = { format = "json" }
[site."*"]
routes = [
  { path = "/*", files = { dir = "DIR/www", fallback = "index.html" } },
  { path = "/few", respond = {}, limit = { rate = "2/h", headers = true } },
  { path = "/quiet", respond = {}, limit = { rate = "1/h" } },
  { path = "/closed", respond = {}, deny = "127.0.0.0/8" },
]
"#;

#[test]
fn what_went_wrong_is_found_again_and_said_to_programs() {
    let stage = Stage::new().file("www/index.html", "<p>page").file("www/a.js", "1");
    let served = Served::start(stage, FAULTS);
    let fault = request(served.http, "GET", "/none.js", "");
    let id = fault.header("X-Request-Id").unwrap().to_owned();
    let problem: serde_json::Value = serde_json::from_str(&fault.text()).unwrap();
    assert_eq!((fault.status, problem["request_id"].as_str()), (404, Some(&*id)));
    wait_until(|| served.hallway.written().contains(&id).then_some(()));
    let page = request(served.http, "GET", "/closed", "Accept: text/html\r\n");
    let id = page.header("X-Request-Id").unwrap();
    assert!(page.status == 403 && page.text().contains(&format!("Request {id}<")), "{}", page.text());
    // The same address is a page for people and nothing for programs.
    let page = request(served.http, "GET", "/none.js", "Accept: text/html\r\n");
    assert_eq!((page.status, page.text().as_str(), page.header("Vary")), (200, "<p>page", Some("Accept")));
    assert_eq!(request(served.http, "GET", "/shop/cart", "").header("Vary"), Some("Accept"));
    assert_eq!(get(served.http, "/a.js").header("Vary"), None, "a file is the same for all");
    // What is left is told where nothing is, too.
    for left in ["1", "0"] {
        assert!(get(served.http, "/few").header("RateLimit").unwrap().starts_with(&format!("\"default\";r={left};t=")));
    }
    let refused = get(served.http, "/few");
    let (policy, left) = (refused.header("RateLimit-Policy"), refused.header("RateLimit").unwrap_or_default());
    assert_eq!((refused.status, policy), (429, Some("\"default\";q=2")));
    assert!(left.starts_with("\"default\";r=0;t=") && refused.header("Retry-After").is_some(), "{}", refused.head);
    get(served.http, "/quiet");
    let refused = get(served.http, "/quiet");
    assert_eq!((refused.status, refused.header("RateLimit")), (429, None), "who says nothing of it says nothing here");
    // A log in JSON holds words as they are, and stays JSON whatever comes.
    let odd =
        [b"GET /odd HTTP/1.1\r\nHost: h\r\nUser-Agent: caf\xc3\xa9 \xf0\x9f\x98\x80 \xff".as_slice(), b"\r\n\r\n"];
    let mut client = super::client::Connection::open(served.http);
    client.send(odd.concat()).answer();
    let line =
        wait_until(|| served.hallway.written().lines().find(|line| line.contains("GET /odd")).map(str::to_owned));
    assert!(line.contains("caf\u{e9} \u{1f600} \\u00ff"), "{line}");
    let read: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["http_user_agent"], "caf\u{e9} \u{1f600} \u{ff}");
}

#[test]
fn a_site_may_be_an_address_of_ipv6() {
    let file = "[server]\nhttp = \"HTTP\"\n[site.\"::1\"]\nroutes = [{ path = \"/*\", respond = { body = \"six\" } }]\n\
                [site.\"[2001:DB8::7]\"]\nroutes = [{ path = \"/*\", respond = { body = \"seven\" } }]\n";
    let served = Served::start(Stage::new(), file);
    for (host, answer) in [
        ("[::1]", (200, "six")),
        ("[0:0:0:0:0:0:0:1]:8080", (200, "six")),
        ("[2001:db8:0::7]", (200, "seven")),
        ("[2001:DB8::7]:80", (200, "seven")),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let seen = super::client::Connection::open(served.http).send(text).answer();
        assert_eq!((seen.status, &*seen.text()), answer, "{host}");
    }
    let text = "GET / HTTP/1.1\r\nHost: [::2]\r\nConnection: close\r\n\r\n";
    assert_eq!(super::client::Connection::open(served.http).send(text).answer().status, 421);
}

#[test]
fn what_may_not_be_done_is_told_with_the_user() {
    // Nobody may write there, not even root.
    let (code, said) = Stage::with_app(APP).run_to_end(&["--access-log", "/proc/none/x.log", "app:app"]);
    assert!(code == Some(2) && said.contains("cannot be written"), "{said}");
    let own = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let stage = Stage::new().file("hallway.toml", "[site.\"*\"]\nerrors = { 404 = \"closed/page.html\" }\n");
    std::fs::create_dir(stage.dir.join("closed")).unwrap();
    if own.trim() != "root" {
        let mut closed = std::fs::metadata(stage.dir.join("closed")).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut closed, 0);
        std::fs::set_permissions(stage.dir.join("closed"), closed).unwrap();
    }
    let mut check = Command::new(env!("CARGO_BIN_EXE_hallway"));
    let said = check.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let expected = match own.trim() {
        "root" => "there is no such file".to_owned(),
        user => format!("cannot be read by the user '{user}', as which this runs"),
    };
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn a_directory_that_may_not_be_entered_is_named_and_not_the_interpreter() {
    let stage = Stage::with_app(APP).file("closed/app.py", APP);
    let (program, closed) = (stage.dir.join("hallway"), stage.dir.join("closed"));
    std::fs::copy(env!("CARGO_BIN_EXE_hallway"), &program).unwrap();
    let set_mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&closed, mode).unwrap();
    };
    set_mode(0);
    let mut run = Command::new("/usr/bin/setpriv");
    // Root may enter everything.
    let of_root = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    run.args(if rustix::process::geteuid().is_root() { &of_root[..] } else { &["--no-new-privs"] });
    run.arg(&program).args(["run", "--bind", "127.0.0.1:0", "--python", "/usr/bin/python3", "--chdir"]);
    let ended = run.arg(&closed).arg("app:app").output().unwrap();
    set_mode(0o700);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let expected = format!("its directory {} cannot be entered: the user '", closed.display());
    assert!(ended.status.code() == Some(3) && said.contains(&expected), "{:?}: {said}", ended.status);
}

#[test]
fn systemd_opens_the_socket_for_one_app() {
    let address = free_address();
    let stage = Stage::with_app(APP);
    let run = stage.command(&["-w", "1", "app:app"]);
    let mut command = Command::new("/usr/bin/systemd-socket-activate");
    command.args(["-l", &address.to_string(), "--fdname", "web"]).arg(run.get_program()).args(run.get_args());
    let mut hallway = Running::launch(command, Some(stage));
    // The first who comes starts it.
    let seen = wait_until(|| TcpStream::connect(address).is_ok().then(|| get(address, "/").text()));
    assert_eq!(seen, format!("127.0.0.1|{}|http|127.0.0.1", address.port()));
    hallway.wait_for_line(|line| line.contains(&format!("serving app:app at fd://3 ({address})")));
    hallway.signal("TERM");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
}

/// Starts a command with these listening sockets, as systemd would: from descriptor 3 on, named.
const AS_SYSTEMD: &str = r#"
import os, socket, sys
given = []
for word in sys.argv[1].split(","):
    name, host, port = word.split("=")
    s = socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    given.append((name, s))
for number, (name, s) in enumerate(given, 30):
    os.dup2(s.fileno(), number)
for at in range(len(given)):
    os.dup2(30 + at, 3 + at, inheritable=True)
os.environ["LISTEN_FDS"] = str(len(given))
os.environ["LISTEN_FDNAMES"] = ":".join(name for name, _ in given)
os.environ["LISTEN_PID"] = os.environ.get("FOR", str(os.getpid()))
os.closerange(30, 60)
os.execv(sys.argv[2], sys.argv[2:])
"#;

fn as_systemd(sockets: &str, run: &Command) -> Command {
    let mut command = Command::new(python());
    command.args(["-c", AS_SYSTEMD, sockets]).arg(run.get_program()).args(run.get_args());
    command
}

#[test]
fn systemd_opens_the_sockets_of_a_file() {
    let [plain, encrypted, other] = [free_address(), free_address(), free_address()];
    let (dir, file) = (Stage::with_app(APP), |listen: &str| {
        format!(
            "[server]\n{listen}\n[app.web]\nwsgi = \"app:app\"\npython = \"{}\"\nworkers = 1\n[site.\"localhost\"]\n\
             tls = \"internal\"\nhttps_redirect = false\nroutes = [{{ path = \"/*\", app = \"web\" }}]\n",
            python().display()
        )
    });
    let stage = dir.file("hallway.toml", &as_starter(&file("")));
    let serve = |stage: &Stage| {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_hallway"));
        serve.arg("serve").arg("-c").arg(stage.dir.join("hallway.toml"));
        serve
    };
    let in_stage = |stage: &Stage, mut command: Command| {
        command.env("STATE_DIRECTORY", stage.dir.join("state")).env("RUNTIME_DIRECTORY", stage.dir.join("run"));
        command
    };
    let asked = |at: SocketAddr| get_as_localhost(at);
    // Nothing in the file: the sockets are all there is, and their names say what is spoken.
    let sockets = format!("web=127.0.0.1={},https=127.0.0.1={}", plain.port(), encrypted.port());
    let command = in_stage(&stage, as_systemd(&sockets, &serve(&stage)));
    let mut hallway = Running::launch(command, Some(stage));
    hallway.wait_for_line(|line| line.contains("hallway: serving "));
    assert_eq!(asked(plain), format!("127.0.0.1|{}|http|127.0.0.1", plain.port()));
    let url = format!("https://localhost:{}/", encrypted.port());
    let seen = Command::new("curl").args(["-sk", "--max-time", "20", &url]).output().unwrap();
    assert!(String::from_utf8_lossy(&seen.stdout).starts_with(&format!("127.0.0.1|{}|https|", encrypted.port())));
    assert!(TcpStream::connect("127.0.0.1:8080").is_err() || !hallway.said().contains("8080"), "not the usual address");
    hallway.signal("TERM");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
    // An address of the file is taken over, whatever its name; the others are opened; a reload changes nothing of it.
    let stage = hallway.stage.take().unwrap();
    let stage =
        stage.file("hallway.toml", &as_starter(&file(&format!("http = [\"{other}\"]\nhttps = [\"{encrypted}\"]"))));
    let sockets = format!("any=127.0.0.1={}", encrypted.port());
    let command = in_stage(&stage, as_systemd(&sockets, &serve(&stage)));
    let mut hallway = Running::launch(command, Some(stage));
    hallway.wait_for_line(|line| line.contains("hallway: serving "));
    hallway.signal("HUP");
    hallway.wait_for_line(|line| line.contains("every worker is replaced"));
    assert_eq!(asked(other), format!("127.0.0.1|{}|http|127.0.0.1", other.port()));
    let seen = Command::new("curl").args(["-sk", "--max-time", "20", &url]).output().unwrap();
    assert!(String::from_utf8_lossy(&seen.stdout).starts_with(&format!("127.0.0.1|{}|https|", encrypted.port())));
}

fn get_as_localhost(at: SocketAddr) -> String {
    let text = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    super::client::Connection::open(at).send(text).answer().text()
}

#[test]
fn sockets_for_another_process_are_not_taken() {
    let (given, own) = (free_address(), free_address());
    let stage = Stage::with_app(APP);
    let run = stage.command(&["-w", "1", "--bind", &own.to_string(), "app:app"]);
    let mut command = as_systemd(&format!("web=127.0.0.1={}", given.port()), &run);
    command.env("FOR", "1");
    let hallway = Running::start(command, Some(stage));
    assert_eq!(hallway.address, own);
    assert!(!hallway.said().contains("fd://"), "{}", hallway.said());
    assert!(get(own, "/").text().starts_with("127.0.0.1|"));
}

#[test]
fn who_writes_a_file_reads_of_keys_and_who_writes_flags_of_those() {
    let makes = "def create_app(): return None\ndef other(one): return None\n";
    for (wsgi, more, said) in [
        ("app:create_app", "", "write wsgi = \"app:create_app\" and factory = true"),
        ("app:app", "", "did you mean wsgi = \"app:create_app\" and factory = true?"),
        ("app:other", "factory = true", "leave factory out if it is the application itself"),
        ("none:app", "", "is chdir right?"),
    ] {
        let file = format!(
            "[server]\nhttp = \"HTTP\"\n[app.web]\nwsgi = \"{wsgi}\"\n{more}\npython = \"PYTHON\"\nworkers = 1\n[site.\"*\"]\n\
             routes = [{{ path = \"/*\", app = \"web\" }}]\n"
        );
        let mut served = Served::start_all(Stage::with_app(makes), &file, 0);
        served.hallway.wait_for_line(|line| line.contains(said));
        assert!(!served.hallway.said().contains("--"), "{}", served.hallway.said());
        served.hallway.signal("TERM");
    }
    // What ends workers is told by its key, with the app.
    let file = "[server]\nhttp = \"HTTP\"\n[app.shop]\nwsgi = \"app:app\"\npython = \"PYTHON\"\nworkers = 1\nmax_requests = 1\n\
                [site.\"*\"]\nroutes = [{ path = \"/*\", app = \"shop\" }]\n";
    let mut served = Served::start(Stage::with_app(APP), file);
    get(served.http, "/");
    let line = served.hallway.wait_for_line(|line| line.contains("has served enough (max_requests)"));
    assert!(line[25..].starts_with("hallway: shop: worker "), "{line}");
    // And by its flag.
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--max-requests", "1", "app:app"]);
    get(hallway.address, "/");
    hallway.wait_for_line(|line| line.contains("has served enough (--max-requests)"));
}

#[test]
fn the_start_says_addresses_that_answer() {
    let file = "[server]\nhttp = \"HTTP\"\n[site.\"site.localhost\"]\nroutes = [{ path = \"/*\", respond = { body = \"ok\" } }]\n";
    let mut served = Served::start(Stage::new(), file);
    let url = format!("http://site.localhost:{}", served.http.port());
    let line = served.hallway.wait_for_line(|line| line.contains("serving "));
    assert!(line.contains(&format!("serving {url} at {}", served.http)), "{line}");
    assert!(!line.contains(&format!("http://{}", served.http)), "an address that answers 421 is none to open: {line}");
    assert_eq!(served.curl(&["--resolve", &format!("site.localhost:{}:127.0.0.1", served.http.port()), &url]), "ok");
    let file = "[server]\nhttp = \"HTTP\"\n[site.\"*\"]\nroutes = [{ path = \"/*\", respond = { body = \"ok\" } }]\n";
    let mut served = Served::start(Stage::new(), file);
    let line = served.hallway.wait_for_line(|line| line.contains("serving "));
    assert!(line.contains(&format!("serving any host at http://{}", served.http)), "{line}");
}
