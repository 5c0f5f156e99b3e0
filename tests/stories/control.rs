//! In:     orders on the command line for an instance that runs.
//! Out:    what it does, and says.
//! Actors: hallway twice: the one that serves, and the one that asks it.
//! Never:  does another user reach it, or an order half happen.

use super::client::get;
use super::served::Served;
use super::stage::{Stage, wait_until};
use std::os::unix::fs::PermissionsExt;

const APP: &str = r#"
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ["WORD"].encode(), b" ", str(os.getpid()).encode()]
"#;

const FILE: &str = r#"
[server]
http = "HTTP"
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
env = { WORD = "first", KEY = "hidden" }
[site."*"]
routes = [{ path = "/*", app = "web" }]
"#;

#[test]
fn an_instance_is_asked() {
    let mut served = Served::start(Stage::with_app(APP), FILE);
    let (ok, status) = served.order(&["status"]);
    assert!(ok && status.contains("app     web: 1 of 1 workers ready"), "{status}");
    let (ok, json) = served.order(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert!(ok && status["apps"][0]["ready"] == 1 && status["pid"] == served.hallway.pid(), "{json}");
    assert!(status["listeners"][0].as_str().is_some_and(|at| at.starts_with("http://")), "{json}");
    let (ok, checked) = served.order(&["check"]);
    assert!(ok && checked.contains("this check loads no app; whether one loads shows when it is served"), "{checked}");
    let socket = std::fs::read_dir(served.path("run"))
        .unwrap()
        .flatten()
        .find(|entry| entry.path().extension().is_some_and(|end| end == "sock"));
    let mode = socket.unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (ok, said) = served.order(&["serve"]);
    assert!(!ok && said.contains("this file is served already, by process"), "{said}");
    // Only the plan: the workers of an app that has not changed stay.
    let before = get(served.http, "/").text();
    served.write(&FILE.replace("[site", "[site.\"x.example\"]\nroutes = [{ path = \"/*\", respond = {} }]\n[site"));
    let (ok, said) = served.order(&["reload", "--config"]);
    assert!(
        ok && said.contains("hallway.toml counts as it is now: 2 sites, 2 routes, 1 app; no worker is replaced\n"),
        "{said}"
    );
    let (ok, said) = served.order(&["reload", "--config"]);
    assert!(ok && said.starts_with("nothing has changed in ") && said.ends_with("no worker is replaced\n"), "{said}");
    assert_eq!(get(served.http, "/").text(), before);
    assert_eq!(served.order(&["reload", "web"]), (true, "replaced: 1 worker of web\n".into()));
    wait_until(|| (get(served.http, "/").text() != before).then_some(()));
    served.write(&FILE.replace("first", "second"));
    let (ok, said) = served.order(&["reload"]);
    assert!(ok && said.ends_with("1 site, 1 route, 1 app; replaced: 1 worker of web\n"), "{said}");
    wait_until(|| get(served.http, "/").text().starts_with("second").then_some(()));
    served.write(&FILE.replace("workers", "wrokers"));
    let (ok, said) = served.order(&["reload"]);
    assert!(!ok && said.contains("did you mean 'workers'?"), "{said}");
    let (ok, said) = served.order(&["reload", "wbe"]);
    assert!(!ok && said.contains("there is no app 'wbe'"), "{said}");
    let text = std::fs::read_to_string(served.path("hallway.toml")).unwrap();
    std::fs::write(served.path("hallway.toml"), text.replace("wrokers", "workers")).unwrap();
    std::fs::write(served.path("app.py"), "import no_such_package").unwrap();
    let (ok, said) = served.order(&["reload"]);
    assert!(!ok && said.contains("the app does not load: the old workers go on serving"), "{said}");
    assert!(get(served.http, "/").text().starts_with("second"));
    assert_eq!(served.order(&["stop"]), (true, format!("process {} has ended\n", served.hallway.pid())));
    assert!(served.hallway.wait_for_end().success());
    let (ok, said) = served.order(&["status"]);
    assert!(!ok && said.contains("no instance of this file is running"), "{said}");
    assert_eq!(std::fs::read_dir(served.path("run")).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn what_the_file_comes_to() {
    let served = Served::start(Stage::with_app(APP), FILE);
    let (ok, text) = served.order(&["config"]);
    assert!(ok && text.contains("# head_timeout = 30s") && text.contains("hallway.toml:6:10"), "{text}");
    assert!(!text.contains("hidden"), "{text}");
    let words = ["exec", "web", "--", "python", "-c", "import os; print(os.environ['WORD'], os.getcwd())"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallway"));
    let output = command.arg(words[0]).arg("-c").arg(served.path("hallway.toml")).args(&words[1..]).output().unwrap();
    let dir = served.path("").display().to_string();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), format!("first {}", dir.trim_end_matches('/')));
}

#[test]
fn a_file_that_is_watched_counts_as_it_changes() {
    let served = Served::start_with(Stage::with_app(APP), FILE, &["serve", "--watch"]);
    assert!(get(served.http, "/").text().starts_with("first "));
    served.write(&FILE.replace("first", "second"));
    wait_until(|| get(served.http, "/").text().starts_with("second ").then_some(()));
}
