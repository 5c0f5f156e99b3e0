//! In:     files of passwords as htpasswd has written them for decades; Trac, which knows its users by them.
//! Out:    who may come in, also after the file has changed; who it is, to the app.
//! Actors: hallway, Trac, curl.
//! Never:  does a file that cannot be understood lock anybody out, or let anybody in.

use super::believed::{APP, seen};
use super::client::{Answer, request};
use super::served::Served;
use super::stage::{Stage, python, wait_until};
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
