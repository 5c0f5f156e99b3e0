//! In:     an app that Python's own validator watches, and one that uses every corner of PEP 3333.
//! Out:    what PEP 3333 says of each.
//! Actors: one hallway with one worker.
//! Never:  does the validator find anything.

use super::client::{Connection, get, post, request};
use super::stage::Stage;

const APP: &str = r#"
import os, sys, time
from wsgiref.validate import validator

@validator
def validated(environ, start_response):
    body = environ["wsgi.input"].read(1000)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Body", str(len(body)))])
    return [b"valid ", b"answer"]

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/valid":
        return validated(environ, start_response)
    if path == "/write":
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"written ")
        write(b"twice, ")
        return [b"then returned"]
    if path == "/late":
        def pieces():
            start_response("202 Late", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
            yield b""
            for n in range(3):
                yield f"{n} {time.time()}\n".encode()
                while not os.path.exists("go"):
                    time.sleep(0.01)
        return pieces()
    if path == "/replaced":
        try:
            start_response("200 OK", [("Content-Type", "text/plain")])
            raise KeyError("after the fact")
        except KeyError:
            start_response("418 I'm a teapot", [("Content-Type", "text/plain")], sys.exc_info())
            return [b"replaced"]
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path.startswith("/echo"):
        keys = ["SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH", "REMOTE_ADDR",
                "HTTP_HOST", "HTTP_X_TWICE", "HTTP_COOKIE", "HTTP_CONNECTION", "HTTP_X_UNDER_SCORE", "wsgi.url_scheme"]
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return ["\n".join(f"{key}={environ.get(key)!r}" for key in keys).encode()]
    start_response("200 OK", [("Content-Type", "text/plain; charset=latin-1"), ("X-Latin", "caf\u00e9")])
    return (b"tuple",)
"#;

#[test]
fn pythons_own_validator_is_content() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = request(hallway.address, method, "/valid?a=b", "X-Some: header\r\n");
        assert_eq!((answer.status, answer.text().as_str()), (200, "valid answer"), "{method}");
    }
    assert_eq!(request(hallway.address, "HEAD", "/valid", "").status, 200);
    assert_eq!(post(hallway.address, "/valid", b"12345").header("x-body"), Some("5"));
    assert!(!hallway.said().contains("AssertionError"), "{}", hallway.said());
}

#[test]
fn bodies_are_sent_as_they_come() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    assert_eq!(get(hallway.address, "/write").text(), "written twice, then returned");
    let mut connection = Connection::open(hallway.address);
    connection.send("GET /late HTTP/1.1\r\nHost: s\r\n\r\n");
    let head = connection.head();
    assert!(head.starts_with("HTTP/1.1 202 Late\r\n"), "{head}");
    assert!(head.contains("Set-Cookie: a=1\r\nSet-Cookie: b=2"), "both cookies, in order: {head}");
    assert!(connection.chunk().starts_with(b"0 "));
    // The second is not made before the first is here.
    std::fs::write(hallway.stage.as_ref().unwrap().dir.join("go"), "").unwrap();
    // The others may come together, where the edge was held up.
    let mut rest = Vec::new();
    for chunk in std::iter::repeat_with(|| connection.chunk()).take_while(|chunk| !chunk.is_empty()) {
        rest.extend(chunk);
    }
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.lines().map(|line| &line[..2]).eq(["1 ", "2 "]), "{rest}");
    // An HTTP/1.0 client gets the same until the end of the connection.
    let mut old = Connection::open(hallway.address);
    let answer = old.send("GET /late HTTP/1.0\r\n\r\n").answer();
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.text().lines().count(), 3);
}

#[test]
fn statuses_and_headers_are_the_apps_own() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let answer = get(hallway.address, "/replaced");
    assert!(answer.head.starts_with("HTTP/1.1 418 I'm a teapot\r\n"), "{}", answer.head);
    assert_eq!(answer.text(), "replaced");
    let empty = get(hallway.address, "/empty");
    assert_eq!((empty.status, empty.header("content-length"), empty.header("transfer-encoding")), (204, None, None));
    let mut raw = Connection::open(hallway.address);
    raw.send("GET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n");
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(raw.reader(), &mut bytes).unwrap();
    assert!(bytes.windows(6).any(|six| six == b"caf\xe9\r\n"), "{}", String::from_utf8_lossy(&bytes));
    assert!(bytes.ends_with(b"\r\n\r\ntuple"));
}

#[test]
fn the_environ_is_what_pep_3333_says() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let fields = "Content-Type: x/y\r\nX-Twice: 1\r\nX-Twice: 2\r\nCookie: a=1\r\nCookie: b=2\r\nX_Under_Score: no\r\n";
    let text = request(hallway.address, "GET", "/echo/%C3%A9%2F+?q=%C3%A9&r", fields).text();
    let expected = [
        "SCRIPT_NAME=''",
        "PATH_INFO='/echo/Ã©/+'",
        "QUERY_STRING='q=%C3%A9&r'",
        "CONTENT_TYPE='x/y'",
        "CONTENT_LENGTH=None",
        "REMOTE_ADDR='127.0.0.1'",
        "HTTP_HOST='story'",
        "HTTP_X_TWICE='1,2'",
        "HTTP_COOKIE='a=1; b=2'",
        "HTTP_CONNECTION=None",
        "HTTP_X_UNDER_SCORE=None",
        "wsgi.url_scheme='http'",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}
