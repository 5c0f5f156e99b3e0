//! In:     routes whose requests pass only when somebody else says so.
//! Out:    who is let in, what targets are told of whom; what clients get who are not.
//! Actors: one hallway with two apps in Python and a server of a pool; curl.
//! Never:  does a client say who it is by itself, or a target see a request that may not pass.

use super::client::{Connection, get, request};
use super::served::Served;
use super::stage::{Stage, wait_until};

const APP: &str = r#"
import json
from urllib.parse import parse_qs

def who(environ, start_response):
    """Says who a cookie stands for, as pages of single sign-on do."""
    cookie, seen = environ.get("HTTP_COOKIE", ""), {}
    for name in ("REQUEST_METHOD", "CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_X_FORWARDED_METHOD", "HTTP_X_FORWARDED_URI",
                 "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO", "HTTP_AUTHORIZATION", "HTTP_IF_NONE_MATCH",
                 "HTTP_RANGE", "QUERY_STRING", "HTTP_X_ROUTE"):
        seen[name] = environ.get(name)
    seen["body"] = len(environ["wsgi.input"].read())
    print("asked", json.dumps(seen), flush=True)
    if "sid=ann" in cookie:
        start_response("200 OK", [("X-User", "ann"), ("X-Groups", "staff"), ("Set-Cookie", "sid=ann2; Path=/")])
    elif "sid=bare" in cookie:
        start_response("204 No Content", [])
    elif "sid=out" in cookie:
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("X-Secret", "no")])
        return [b"not you"]
    elif "sid=odd" in cookie:
        start_response("404 Not Found", [])
    elif "sid=ill" in cookie:
        raise RuntimeError("ill")
    elif "sid=slow" in cookie:
        import time
        time.sleep(30)
    elif environ.get("HTTP_AUTHORIZATION"):
        start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("X-Secret", "no")])
    else:
        start_response("302 Found", [("Location", "https://login.example/?back=" + environ["HTTP_X_FORWARDED_URI"])])
    return [b""]

def app(environ, start_response):
    names = ("REMOTE_USER", "AUTH_TYPE", "HTTP_X_USER", "HTTP_X_GROUPS", "HTTP_X_ROUTE", "REQUEST_METHOD")
    body = {name: environ.get(name) for name in names} | {"body": len(environ["wsgi.input"].read())}
    print("reached", flush=True)
    start_response("200 OK", [("Content-Type", "application/json"), ("Cache-Control", "max-age=60")])
    return [json.dumps(body).encode()]
"#;

const FILE: &str = r#"
[server]
http = "HTTP"
https = "HTTPS"
[app.who]
wsgi = "app:who"
python = "PYTHON"
workers = 1
timeout = "2s"
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[site."*"]
tls = "internal"
https_redirect = false
routes = [
  { path = "/pool/*", proxy = "http://HERE", strip = true, auth = { proxy = "http://HERE", path = "/who", copy = "X-User" } },
  { path = "/who", app = "who" },
  { path = "/plain/*", app = "web", auth = { app = "who", path = "/whoami" } },
  { path = "/gone/*", app = "web", auth = { proxy = "http://127.0.0.1:9", path = "/x" } },
  { path = "/*", app = "web", request_headers = { set = { X-Route = "mine" } },
    auth = { app = "who", path = "/whoami?from=hallway", copy = ["X-User", "X-Groups"] } },
]
"#;

fn start() -> Served {
    let stage = Stage::new().file("app.py", APP);
    let mut served = Served::start_all(stage, &FILE.replace("HERE", "127.0.0.1:9"), 2);
    // The pool leads back to the same server, whose address is known only now.
    served.change(&FILE.replace("HERE", &served.http.to_string()));
    served
}

/// The first line that has this, once it is there.
fn line(served: &Served, part: &str) -> String {
    wait_until(|| served.hallway.said().lines().find(|line| line.contains(part)).map(str::to_owned))
}

fn reached(served: &Served) -> usize {
    served.hallway.said().matches("reached").count()
}

#[test]
fn who_may_pass_is_said_by_who_is_asked() {
    let served = start();
    // A client says nothing of itself.
    let forged =
        "Cookie: sid=ann\r\nX-User: root\r\nx-groups: wheel\r\nX-Forwarded-Uri: /other\r\nRange: bytes=0-1\r\n";
    let answer = request(served.http, "GET", "/a?b=c", forged);
    let body = answer.text();
    assert_eq!(answer.status, 200, "{answer:?}");
    for part in [
        "\"REMOTE_USER\": \"ann\"",
        "\"AUTH_TYPE\": \"Forward\"",
        "\"HTTP_X_USER\": \"ann\"",
        "\"HTTP_X_GROUPS\": \"staff\"",
        "\"HTTP_X_ROUTE\": \"mine\"",
    ] {
        assert!(body.contains(part), "{body}");
    }
    assert_eq!(answer.header("set-cookie"), Some("sid=ann2; Path=/"), "the renewed cookie goes to the client");
    let asked = line(&served, "\"HTTP_X_FORWARDED_URI\": \"/a?b=c\"");
    for part in [
        "\"REQUEST_METHOD\": \"GET\"",
        "\"HTTP_X_FORWARDED_METHOD\": \"GET\"",
        "\"HTTP_X_FORWARDED_PROTO\": \"http\"",
        "\"HTTP_RANGE\": null",
        "\"QUERY_STRING\": \"from=hallway\"",
        "\"HTTP_X_ROUTE\": null",
        "\"body\": 0",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    // Who is asked and says nothing of whom: nobody else says it either.
    let body = request(served.http, "GET", "/", "Cookie: sid=bare\r\nX-User: root\r\nX-Groups: wheel\r\n").text();
    for part in ["\"REMOTE_USER\": null", "\"HTTP_X_USER\": null", "\"HTTP_X_GROUPS\": null"] {
        assert!(body.contains(part), "{body}");
    }
    // Nor does a route believe it that copies nothing.
    let body = request(served.http, "GET", "/plain/x", "Cookie: sid=ann\r\nX-User: root\r\n").text();
    assert!(body.contains("\"HTTP_X_USER\": null") && body.contains("\"REMOTE_USER\": null"), "{body}");
    // A body is for the target alone, whole.
    let mut connection = Connection::open(served.http);
    let head =
        "POST /up HTTP/1.1\r\nHost: s\r\nCookie: sid=ann\r\nContent-Type: text/plain\r\nContent-Length: 300000\r\n\r\n";
    let answer = connection.send(head).send(vec![b'x'; 300_000]).answer();
    assert!(answer.text().contains("\"body\": 300000"), "{answer:?}");
    let asked = line(&served, "\"HTTP_X_FORWARDED_METHOD\": \"POST\"");
    assert!(asked.contains("\"CONTENT_TYPE\": null") || asked.contains("\"CONTENT_TYPE\": \"\""), "{asked}");
    // The same over HTTP/2, by a pool, for a target that is one.
    let url = "https://localhost:PORT/pool/who2";
    let said = served.curl(&["--http2", "-H", "Cookie: sid=ann", "-H", "X-User: root", url]);
    assert!(said.contains("\"HTTP_X_USER\": \"ann\""), "{said}");
}

#[test]
fn who_may_not_pass_gets_the_word_of_who_was_asked() {
    let served = start();
    let before = reached(&served);
    let answer = get(served.http, "/a?b=c");
    assert_eq!((answer.status, answer.header("location")), (302, Some("https://login.example/?back=/a?b=c")));
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let answer = request(served.http, "GET", "/", "Authorization: Bearer bad\r\n");
    let told = (answer.status, answer.header("www-authenticate"), answer.header("x-secret"));
    assert_eq!(told, (401, Some("Bearer"), None));
    let answer = request(served.http, "GET", "/", "Cookie: sid=out\r\n");
    assert_eq!((answer.status, answer.text().as_str(), answer.header("x-secret")), (403, "not you", None));
    let answer = request(served.http, "HEAD", "/", "Cookie: sid=out\r\n");
    assert_eq!((answer.status, answer.text().as_str()), (403, ""));
    // A body of a request that may not pass is not waited for.
    let mut connection = Connection::open(served.http);
    let head = "POST / HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: 9000\r\n\r\n";
    assert_eq!(connection.send(head).answer().status, 302);
    // What is neither yes nor no is no.
    for (cookie, status, why) in
        [("odd", 502, "it answered 404"), ("ill", 502, "The application failed"), ("slow", 504, "")]
    {
        let answer = request(served.http, "GET", "/", &format!("Cookie: sid={cookie}\r\n"));
        assert_eq!(answer.status, status, "{cookie}: {answer:?}");
        line(&served, &format!("auth: app who was asked for /whoami?from=hallway: {why}"));
    }
    assert_eq!(get(served.http, "/gone/x").status, 502);
    wait_until(|| (reached(&served) == before).then_some(()));
}
