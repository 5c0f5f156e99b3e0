//! In:     several services behind one entry: a share of clients for a new one, copies, answers made of several.
//! Out:    what clients and services see of it.
//! Actors: one hallway, servers in Python.
//! Never:  does a new service that is slow or broken hurt those who use the old one.

use super::client::{Connection, get, post, request};
use super::served::Served;
use super::stage::{AT_ONCE, Stage, wait_until};
use super::upstream::{Canned, Upstream};
use std::time::Instant;

fn count(server: &Upstream) -> usize {
    let text = get(server.address(), "/count").text();
    text.split("\"requests\": ").nth(1).unwrap().trim_end_matches('}').parse().unwrap()
}

#[test]
fn a_share_of_clients_stays_the_same() {
    let (old, new) = (Upstream::start("old"), Upstream::start("new"));
    let file = |percent: u32| {
        format!(
            r#"
            [server]
            http = "HTTP"
            [pool.old]
            servers = ["http://{}"]
            [pool.new]
            servers = ["http://{}"]
            [site."*"]
            routes = [{{ path = "/*", pool = "old", split = {{ pool = "new", percent = {percent}, by = "header:X-User" }} }}]
            "#,
            old.at, new.at
        )
    };
    let mut served = Served::start(Stage::new(), &file(20));
    let ask = |served: &Served| -> Vec<usize> {
        let mut client = Connection::open(served.http);
        let mut to_new = Vec::new();
        for user in 0..500 {
            client.send(format!("GET /who HTTP/1.1\r\nHost: h\r\nX-User: {user}\r\n\r\n"));
            if client.answer().text() == "new" {
                to_new.push(user);
            }
        }
        to_new
    };
    let few = ask(&served);
    assert!((70..=130).contains(&few.len()), "{}", few.len());
    assert_eq!(ask(&served), few, "the same ones each time");
    for user in 0..10 {
        let said = served.order(&["explain", "-H", &format!("X-User: {user}"), "http://h/who"]).1;
        let to = if few.contains(&user) { "new" } else { "old" };
        assert!(said.contains(&format!("this request: pool {to} ")), "user {user}: {said}");
    }
    served.change(&file(50));
    let more = ask(&served);
    assert!((200..=300).contains(&more.len()) && few.iter().all(|user| more.contains(user)), "nobody is sent back");
    served.change(&file(0));
    assert!(ask(&served).is_empty());
}

#[test]
fn copies_change_nothing() {
    let (old, new) = (Upstream::start("old"), Upstream::start("new"));
    let file = format!(
        r#"
        [server]
        http = "HTTP"
        threads = 1
        [pool.new]
        servers = ["http://{}"]
        [site."*"]
        routes = [
          {{ path = "/*", proxy = "http://{}", mirror = "new" }},
          {{ path = "/gone/*", proxy = "http://{1}", mirror = {{ proxy = "http://127.0.0.1:1" }} }},
        ]
        "#,
        new.at, old.at
    );
    let served = Served::start(Stage::new(), &file);
    for length in [0, 5, 200_000] {
        assert_eq!(post(served.http, "/length", &vec![b'x'; length]).text(), length.to_string());
    }
    assert_eq!(get(served.http, "/who").text(), "old");
    wait_until(|| (count(&new) >= 5).then_some(()));
    // A service that hangs, or is not there, is nobody's concern.
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(request(served.http, "GET", "/slow?s=0", "").text(), "old");
        assert_eq!(get(served.http, "/gone/who").text(), "old");
    }
    assert!(begun.elapsed() < AT_ONCE);
    new.kill();
    assert_eq!(get(served.http, "/who").text(), "old");
}

/// A copy goes the way of the request: by the same path, with the same id.
#[test]
fn copies_are_asked_for_the_same() {
    let answer = |_: &str| "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned();
    let (old, new) = (Canned::start(answer), Canned::start(answer));
    let file = format!(
        r#"
        [server]
        http = "HTTP"
        threads = 1
        [app.web]
        wsgi = "app:app"
        python = "PYTHON"
        workers = 1
        [site."*"]
        routes = [
          {{ path = "/*", proxy = "http://{0}", mirror = {{ proxy = "http://{1}" }} }},
          {{ path = "/strip/*", proxy = "http://{0}", strip = true, mirror = {{ proxy = "http://{1}" }} }},
          {{ path = "/new/*", proxy = "http://{0}", rewrite = "/old/*", mirror = {{ proxy = "http://{1}" }} }},
          {{ path = "/split/*", proxy = "http://{0}", split = {{ proxy = "http://{0}", percent = 100, strip = true }}, mirror = {{ proxy = "http://{1}" }} }},
          {{ path = "/app/*", app = "web", strip = true, mirror = {{ proxy = "http://{1}" }} }},
          {{ path = "/page", compose = {{ one = "/strip/one" }} }},
        ]
        "#,
        old.at, new.at
    );
    let app = "def app(environ, start_response):\n    start_response('200 OK', [('X-Seen', environ['PATH_INFO'])])\n    return [b'']\n";
    let served = Served::start(Stage::with_app(app), &file);
    let line = |head: &str, name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    for (at, (path, to, prefix)) in [
        ("/a?b=c", "/a?b=c", None),
        ("/strip/a?b=c", "/a?b=c", Some("/strip")),
        ("/new/a/b?c", "/old/a/b?c", None),
        ("/split/a", "/a", Some("/split")),
        ("/app/a", "/a", Some("/app")),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = get(served.http, path);
        let copy = wait_until(|| new.asked().get(at).cloned());
        assert!(copy.starts_with(&format!("GET {to} HTTP/1.1")), "{path}: {copy}");
        assert_eq!(line(&copy, "x-request-id").as_deref(), answer.header("x-request-id"), "{path}");
        assert_eq!(line(&copy, "x-forwarded-prefix").as_deref(), prefix, "{path}");
        if path.starts_with("/app") {
            assert_eq!(answer.header("x-seen"), Some(to));
            continue;
        }
        let own = old.asked().pop().unwrap();
        for name in ["x-request-id", "x-forwarded-prefix", "x-forwarded-for", "host"] {
            assert_eq!(line(&own, name), line(&copy, name), "{path}: {name}");
        }
        assert_eq!(own.lines().next(), copy.lines().next());
    }
    // The parts of an answer are found by its id, too.
    let page = get(served.http, "/page");
    assert_eq!(page.header("cache-control"), Some("no-store"), "what its parts say of caches is not known");
    assert_eq!(line(&old.asked().pop().unwrap(), "x-request-id").as_deref(), page.header("x-request-id"));
}

#[test]
fn one_answer_of_several() {
    let (users, orders) = (Upstream::start("users"), Upstream::start("orders"));
    let file = format!(
        r#"
        [server]
        http = "HTTP"
        [site."*"]
        routes = [
          {{ path = "/page/{{id}}", compose = {{ user = "/users/{{id}}/echo", orders = "/orders/{{id}}/who", slow = {{ path = "/orders/slow?s=50", timeout = "300ms" }}, none = "/nothing", closed = "/closed", broken = "/users/die" }} }},
          {{ path = "/users/*", proxy = "http://{}" }},
          {{ path = "/orders/*", proxy = "http://{}" }},
          {{ path = "/closed", respond = {{ body = "secret" }}, deny = "127.0.0.0/8" }},
        ]
        "#,
        users.at, orders.at
    );
    let served = Served::start(Stage::new(), &file);
    let begun = Instant::now();
    let answer =
        request(served.http, "GET", "/page/7?q=1", "Cookie: a=1\r\nIf-None-Match: \"x\"\r\nRange: bytes=0-1\r\n");
    assert!(begun.elapsed() < AT_ONCE, "all at a time, none for longer than it may");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told["user"]["status"], 200);
    assert_eq!(told["user"]["body"]["path"], "/users/7/echo?q=1");
    let headers = told["user"]["body"]["headers"].to_string();
    assert!(
        headers.contains(r#"["Cookie","a=1"]"#) && !headers.contains("Range") && !headers.contains("If-None"),
        "{headers}"
    );
    assert_eq!(told["orders"], serde_json::json!({ "status": 200, "body": "orders" }));
    assert_eq!(told["slow"]["status"], 504);
    assert_eq!(told["none"]["status"], 404);
    assert_eq!(told["closed"]["status"], 403, "a part is let in where its client would be");
    assert_eq!(told["broken"]["status"], 502);
    assert_eq!(request(served.http, "POST", "/page/7", "Content-Length: 0\r\n").status, 405);
}
