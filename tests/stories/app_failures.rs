//! In:     apps that raise, misbehave or end in the middle of a request.
//! Out:    500 or 502 for the client, the traceback for the operator, and a server that goes on.
//! Actors: one hallway with one worker.
//! Never:  does a broken answer look like a whole one.

use super::client::{Connection, get, request};
use super::stage::Stage;

const APP: &str = r#"
import time

closed = []

class Body:
    def __init__(self, pieces, fails=False):
        self.pieces, self.fails = iter(pieces), fails
    def __iter__(self):
        return self
    def __next__(self):
        try:
            return next(self.pieces)
        except StopIteration:
            if self.fails:
                raise RuntimeError("in the middle") from None
            raise
    def close(self):
        closed.append("closed")

def app(environ, start_response):
    path = environ["PATH_INFO"]
    ok = lambda *headers: start_response("200 OK", [("Content-Type", "text/plain"), *headers])
    if path == "/raise":
        raise ValueError("a bug of the app")
    if path == "/middle":
        ok()
        return Body([b"first"], fails=True)
    if path == "/short":
        ok(("Content-Length", "10"))
        return [b"short"]
    if path == "/short-stream":
        ok(("Content-Length", "10"))
        return Body(piece for piece in [b"sh", b"ort"] if not time.sleep(0.1))
    if path == "/long":
        ok(("Content-Length", "4"))
        return Body([b"lo", b"nger"])
    if path == "/split":
        ok(("X-Bad", "a\r\nSet-Cookie: stolen=1"))
        return [b""]
    if path == "/silent":
        return [b"no start_response"]
    if path == "/text":
        ok()
        return ["str, not bytes"]
    if path == "/twice":
        ok()
        ok()
        return [b""]
    if path == "/status":
        start_response("many OK", [])
        return [b""]
    if path == "/exit":
        raise SystemExit(7)
    if path == "/closed":
        ok()
        return [str(len(closed)).encode()]
    ok()
    return [b"fine"]
"#;

#[test]
fn an_exception_is_500_and_a_traceback() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let answer = get(hallway.address, "/raise");
    assert_eq!((answer.status, answer.header("content-type")), (500, Some("application/problem+json")));
    assert!(!answer.text().contains("bug"), "nothing of the inside is told: {}", answer.text());
    hallway.wait_for_line(|line| line.contains("]: hallway: GET /raise (") && line.ends_with(") failed:"));
    hallway.wait_for_line(|line| line.ends_with("]: ValueError: a bug of the app"));
    let page = request(hallway.address, "GET", "/raise", "Accept: text/html\r\n");
    assert!(page.text().contains("<h1>500 Internal Server Error</h1>"), "{}", page.text());
    for path in ["/split", "/silent", "/text", "/twice", "/status"] {
        assert_eq!(get(hallway.address, path).status, 500, "{path}");
    }
    hallway.wait_for_line(|line| line.contains("a header has a character that cannot be sent"));
    hallway.wait_for_line(|line| line.contains("did not call start_response"));
    hallway.wait_for_line(|line| line.contains("must be bytes, not str"));
    hallway.wait_for_line(|line| line.contains("called twice without exc_info"));
    assert_eq!(get(hallway.address, "/").text(), "fine");
}

#[test]
fn a_broken_answer_never_looks_whole() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    connection.send("GET /middle HTTP/1.1\r\nHost: s\r\n\r\n");
    assert!(connection.head().contains("Transfer-Encoding: chunked"));
    assert_eq!(connection.chunk(), b"first");
    assert!(connection.is_closed(), "the last chunk never comes");
    assert_eq!(get(hallway.address, "/short").status, 502, "nothing was sent yet, so it can still be said");
    let mut connection = Connection::open(hallway.address);
    connection.send("GET /short-stream HTTP/1.1\r\nHost: s\r\n\r\n");
    let head = connection.head();
    assert!(head.ends_with("Content-Length: 10"), "{head}");
    let mut rest = Vec::new();
    std::io::Read::read_to_end(connection.reader(), &mut rest).unwrap();
    assert_eq!(rest, b"short", "the connection ends before the promised length");
    hallway.wait_for_line(|line| line.contains("shorter than its Content-Length"));
    assert_eq!(get(hallway.address, "/long").text(), "long", "what is beyond the length is not sent");
    assert_eq!(get(hallway.address, "/closed").text(), "3", "close() was called on all bodies");
}

#[test]
fn an_app_that_exits_is_replaced() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let worker = hallway.children("hallway: app")[0];
    assert_eq!(get(hallway.address, "/exit").status, 500);
    hallway.wait_for_child("hallway: app", &[worker]);
    hallway.wait_for_line(|line| line.contains("]: hallway: GET /exit (") && line.ends_with(") failed:"));
    hallway.wait_for_line(|line| line.ends_with("]: SystemExit: 7"));
    hallway.wait_for_line(|line| line.contains(&format!("worker {worker} ended with exit code 7")));
    assert_eq!(get(hallway.address, "/").text(), "fine");
}
