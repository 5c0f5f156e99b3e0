//! In:     a configuration file with sites, routes and apps.
//! Out:    for each request the answer of the site and route that it means.
//! Actors: one hallway with two apps; `hallway check` and `hallway routes`.
//! Never:  does one site answer for another.

use super::client::{Answer, Connection};
use super::served::as_starter;
use super::stage::{Running, Stage, python, wait_until};
use std::process::Command;

const APP: &str = r#"
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Inner", "app"), ("Cache-Control", "private")])
    name = os.environ["NAME"]
    return [f"{name} {environ['SCRIPT_NAME']}|{environ['PATH_INFO']}|{len(environ['wsgi.input'].read())}".encode()]
"#;

fn file() -> String {
    format!(
        r#"
[server]
http = "127.0.0.1:0"
threads = 2

[app.shop]
wsgi = "app:app"
python = "{python}"
workers = 2
env = {{ NAME = "shop" }}

[app.blog]
wsgi = "app:app"
python = "{python}"
workers = 1
threads = 2
env = {{ NAME = "blog" }}

[site."shop.example"]
aliases = ["*.shop.example"]
routes = [
  {{ path = "/*", app = "shop" }},
  {{ path = "/static/*", files = "static", cache_control = "public, max-age=60" }},
  {{ path = "/icon.txt", files = "static/a.txt" }},
  {{ path = "/blog/*", app = "blog", strip = true, headers = {{ set = {{ X-Outer = "1" }}, remove = "X-Inner" }} }},
  {{ path = "/old/{{id}}/*", redirect = "/new/{{id}}/*", status = 301 }},
  {{ path = "/form", method = "POST", app = "shop", body_max = 10 }},
  {{ path = "/form", method = "GET", respond = {{ body = "<form>", type = "text/html" }} }},
  {{ path = "/local", client = "private", respond = {{ body = "near" }} }},
  {{ path = "/local", respond = {{ body = "far" }} }},
  {{ path = "/beta", query = {{ v = "2" }}, respond = {{ body = "two" }} }},
  {{ path = "/beta", header = {{ X-Beta = true }}, respond = {{ body = "beta" }} }},
  {{ path = "/beta", respond = {{ body = "one" }} }},
  {{ path = "/closed/*", deny = "private", respond = {{ body = "no" }} }},
]

[site."api.example"]
routes = [
  {{ path = "/put", method = ["PUT", "DELETE"], respond = {{ status = 204 }} }},
  {{ path = "/put", method = "GET", respond = {{ body = "put" }} }},
]

[site."blog.example"]
errors = {{ 404 = "404.html" }}
routes = [
  {{ path = "/spa/*", files = {{ dir = "spa", fallback = "index.html" }} }},
  {{ path = "/*", app = "blog" }},
  {{ path = "/static/*", files = "other" }},
]
"#,
        python = python().display()
    )
}

fn stage() -> Stage {
    let stage = Stage::with_app(APP).file("static/a.txt", "shop's").file("other/a.txt", "blog's");
    let stage = stage.file("404.html", "<h1>nothing</h1>").file("spa/index.html", "<app>").file("spa/a.js", "code");
    stage.file("hallway.toml", &as_starter(&file()))
}

fn start() -> Running {
    let stage = stage();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
    command.args(["serve", "-c"]).arg(stage.dir.join("hallway.toml"));
    Running::start_all(command, Some(stage), 3)
}

fn ask(hallway: &Running, host: &str, line: &str, more: &str) -> Answer {
    let mut connection = Connection::open(hallway.address);
    connection.send(format!("{line} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"));
    connection.answer_to(line.split(' ').next().unwrap())
}

#[test]
fn each_request_gets_the_answer_of_its_site_and_route() {
    let hallway = start();
    let text = |host: &str, path: &str| ask(&hallway, host, &format!("GET {path}"), "").text();
    assert_eq!(text("shop.example", "/a"), "shop |/a|0");
    assert_eq!(text("WWW.Shop.Example.:8080", "/a"), "shop |/a|0");
    assert_eq!(text("blog.example", "/a"), "blog |/a|0");
    assert_eq!(text("shop.example", "/static/a.txt"), "shop's");
    assert_eq!(text("blog.example", "/static/a.txt"), "blog's", "the same path of another site is another file");
    assert_eq!(text("shop.example", "/icon.txt"), "shop's");
    assert_eq!(text("shop.example", "/blog/x/y"), "blog /blog|/x/y|0");
    assert_eq!(text("shop.example", "/blog"), "blog /blog||0");
    assert_eq!(text("shop.example", "/local"), "near");
    assert_eq!(text("shop.example", "/beta?x&v=2"), "two");
    assert_eq!(text("shop.example", "/beta"), "one");
    assert_eq!(ask(&hallway, "shop.example", "GET /beta", "X-Beta: 0\r\n").text(), "beta");
    let moved = ask(&hallway, "shop.example", "GET /old/a%20b/c/d?q=1", "");
    assert_eq!((moved.status, moved.header("location")), (301, Some("/new/a%20b/c/d?q=1")));
    let form = ask(&hallway, "shop.example", "GET /form", "");
    assert_eq!((form.text().as_str(), form.header("content-type")), ("<form>", Some("text/html")));
    let posted = ask(&hallway, "shop.example", "POST /form", "Content-Length: 11\r\n");
    assert_eq!(posted.status, 413);
    let refused = ask(&hallway, "api.example", "PATCH /put", "");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, PUT, DELETE")));
    assert_eq!(ask(&hallway, "api.example", "GET /none", "").status, 404);
    assert_eq!(ask(&hallway, "shop.example", "PATCH /form", "").text(), "shop |/form|0", "the next route takes it");
    assert_eq!(ask(&hallway, "shop.example", "GET /closed/x", "").status, 403);
    assert_eq!(ask(&hallway, "other.example", "GET /", "").status, 421);
    let all = ask(&hallway, "other.example", "OPTIONS *", "");
    assert_eq!((all.status, all.header("allow")), (204, Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")));
}

#[test]
fn heads_are_changed_as_the_route_says() {
    let hallway = start();
    let plain = ask(&hallway, "shop.example", "GET /", "");
    assert_eq!((plain.header("x-inner"), plain.header("x-outer")), (Some("app"), None));
    let blog = ask(&hallway, "shop.example", "GET /blog/", "");
    assert_eq!((blog.header("x-inner"), blog.header("x-outer")), (None, Some("1")));
    let file = ask(&hallway, "shop.example", "GET /static/a.txt", "");
    assert_eq!(file.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(
        ask(&hallway, "shop.example", "GET /static/none", "").header("cache-control"),
        Some("no-store"),
        "not on errors"
    );
}

#[test]
fn the_apps_of_a_file_stand_each_for_themselves() {
    let mut hallway = start();
    assert_eq!((hallway.children("hallway: app shop").len(), hallway.children("hallway: app blog").len()), (2, 1));
    let blog = hallway.children("hallway: app blog")[0];
    super::stage::signal(blog, "KILL");
    assert_eq!(ask(&hallway, "blog.example", "GET /", "").text(), "blog |/|0");
    assert_eq!(ask(&hallway, "shop.example", "GET /", "").text(), "shop |/|0");
    hallway.signal("TTIN");
    wait_until(|| (hallway.children("hallway: app blog").len() == 2).then_some(()));
    hallway.wait_for_line(|line| line.contains("shop: 3 workers from now on"));
    hallway.signal("TERM");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
}

#[test]
fn a_file_is_checked_and_its_routes_are_shown() {
    let stage = stage();
    let file = stage.dir.join("hallway.toml");
    let ask = |word: &str| Command::new(env!("CARGO_BIN_EXE_hallway")).args([word, "-c"]).arg(&file).output().unwrap();
    let checked = ask("check");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(String::from_utf8_lossy(&checked.stdout).ends_with("valid: 3 sites, 18 routes, 2 apps\n"));
    let routes = String::from_utf8_lossy(&ask("routes").stdout).into_owned();
    assert!(routes.starts_with("shop.example, *.shop.example\n  /beta  [header X-Beta]"), "{routes}");
    std::fs::write(&file, "[sites]\n").unwrap();
    let broken = ask("serve");
    let said = String::from_utf8_lossy(&broken.stderr).into_owned();
    assert_eq!(broken.status.code(), Some(78));
    assert!(said.contains("hallway.toml:1:2: there is no key 'sites' here; did you mean 'site'?"), "{said}");
}

#[test]
fn what_would_answer_is_explained() {
    let stage = stage();
    let file = stage.dir.join("hallway.toml");
    let ask = |words: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_hallway")).args(["explain", "-c"]).arg(&file).args(words).output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    };
    let moved = ask(&["http://WWW.shop.example/old/%61/x//y?q"]);
    for line in [
        "  path     /old/a/x/y",
        "  site     shop.example, *.shop.example",
        "  route    /old/{id}/*",
        "  {id}     a",
        "  target   redirect 301 /new/{id}/*",
        "  Location /new/a/x/y?q",
    ] {
        assert!(moved.lines().any(|said| said == line), "{line:?} in {moved}");
    }
    assert!(ask(&["-X", "PATCH", "api.example/put"]).contains("answer   405"));
    assert!(ask(&["-H", "X-Beta: 1", "shop.example/beta"]).contains("route    /beta  [header X-Beta]"));
    assert!(ask(&["--client", "10.0.0.1", "shop.example/local"]).contains("[client private]"));
    assert!(
        ask(&["--client", "10.0.0.1", "shop.example/closed/x"]).contains("answer   403 for this client (10.0.0.1)")
    );
    assert!(ask(&["shop.example/blog/x"]).contains("SCRIPT   /blog\n  PATH     /x\n"));
    assert!(ask(&["other.example/"]).contains("answer   421"));
    assert!(ask(&["shop.example/%zz"]).contains("answer   400"));
}

#[test]
fn a_site_has_its_own_pages() {
    let hallway = start();
    let html = "Accept: text/html\r\n";
    let page = ask(&hallway, "blog.example", "GET /static/none", html);
    assert_eq!((page.status, page.text().as_str()), (404, "<h1>nothing</h1>"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let program = ask(&hallway, "blog.example", "GET /static/none", "");
    assert_eq!((program.status, program.header("content-type")), (404, Some("application/problem+json")));
    assert!(ask(&hallway, "shop.example", "GET /static/none", html).text().contains("404 Not Found"));
    // An application in the browser: its pages are no files, its parts are.
    for path in ["/spa/", "/spa/orders/7", "/spa/index.html"] {
        let answer = ask(&hallway, "blog.example", &format!("GET {path}"), html);
        assert_eq!((answer.status, answer.text().as_str()), (200, "<app>"), "{path}");
    }
    assert_eq!(ask(&hallway, "blog.example", "GET /spa/a.js", "").text(), "code");
    assert_eq!(ask(&hallway, "blog.example", "GET /spa/none.js", "Accept: */*\r\n").status, 404);
    assert_eq!(ask(&hallway, "blog.example", "GET /spa/.git/config", "").text(), "<app>", "and never what is hidden");
}

#[test]
fn an_invalid_file_changes_nothing() {
    let mut hallway = start();
    let file = hallway.stage.as_ref().unwrap().dir.join("hallway.toml");
    let whole = std::fs::read_to_string(&file).unwrap();
    let before = hallway.children("hallway: app");
    std::fs::write(&file, whole.replace("workers = 2", "wrokers = 2")).unwrap();
    hallway.signal("HUP");
    hallway.wait_for_line(|line| line.contains("there is no key 'wrokers' in 'shop'; did you mean 'workers'?"));
    hallway.wait_for_line(|line| line.contains("nothing was changed"));
    assert_eq!(hallway.children("hallway: app"), before);
    std::fs::write(&file, whole.replace("body_max = 10", "body_max = 11")).unwrap();
    hallway.signal("HUP");
    hallway.wait_for_line(|line| line.contains("configuration reloaded; new requests use it"));
    hallway.wait_for_line(|line| line.contains("every worker is replaced"));
    assert_eq!(ask(&hallway, "shop.example", "GET /a", "").text(), "shop |/a|0");
}
