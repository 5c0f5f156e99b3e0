//! In:     requests that are not what RFC 9112 allows, or could mean two things.
//! Out:    the right status and a closed connection.
//! Actors: one hallway; raw sockets.
//! Never:  does a byte behind such a request count as a next one.

use super::client::Connection;
use super::stage::{Running, Stage};

const APP: &str = r#"
def app(environ, start_response):
    with open("seen", "a") as seen:
        seen.write(environ["PATH_INFO"] + "\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1")]
"#;

/// What comes behind every request; it must never be answered.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n";

#[test]
fn what_is_ambiguous_goes_no_further() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let long_name = "x".repeat(40_000);
    let many_lines = "X: 1\r\n".repeat(129);
    let cases: &[(&str, u16)] = &[
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        ("GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /#part HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /../etc HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET relative HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("G\"T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloo\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: something\r\nContent-Length: 1\r\n\r\n", 417),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/x\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n", 400),
        (&format!("GET /{long_name} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long_name}\r\n\r\n"), 431),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{many_lines}\r\n"), 431),
    ];
    refuses(&hallway, cases);
}

#[test]
fn hosts_chunks_and_methods_that_are_none_go_no_further() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let long_method = "M".repeat(100_000);
    let chunked = |body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let cases: &[(&str, u16)] = &[
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400),
        ("GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET http://a%zz/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (&chunked("5;\r\nhello\r\n0\r\n\r\n"), 400),
        (&chunked("5;bad[=x\r\nhello\r\n0\r\n\r\n"), 400),
        (&chunked("5;a=\"x\r\nhello\r\n0\r\n\r\n"), 400),
        (&chunked("5  \r\nhello\r\n0\r\n\r\n"), 400),
        (&format!("{long_method} / HTTP/1.1\r\nHost: a\r\n\r\n"), 501),
        (&format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", &long_method[..1000]), 501),
    ];
    refuses(&hallway, cases);
}

fn refuses(hallway: &Running, cases: &[(&str, u16)]) {
    for (request, status) in cases {
        let mut connection = Connection::open(hallway.address);
        connection.send(request).send(SMUGGLED);
        let answer = connection.answer();
        let shown = &request[..request.len().min(90)];
        assert_eq!(answer.status, *status, "{shown:?}: {}", answer.text());
        assert_eq!(answer.header("connection"), Some("close"), "{shown:?}");
        assert!(connection.is_closed(), "{shown:?} was followed by another answer");
    }
    let seen = std::fs::read_to_string(hallway.stage.as_ref().unwrap().dir.join("seen")).unwrap_or_default();
    assert_eq!(seen, "", "nothing of all this reached the app");
}

#[test]
fn what_is_allowed_is_taken() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    for (request, body) in [
        ("GET /a%2Fb/%7euser HTTP/1.1\r\nHost: a\r\n\r\n", "/a/b/~user"),
        ("GET http://other.example/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "/x"),
        ("GET //a///b HTTP/1.1\r\nHost: a\r\n\r\n", "/a/b"),
        ("GET /x HTTP/1.1\r\nHost: [::1]:8000\r\nX:\tv\t\r\nEmpty:\r\n\r\n", "/x"),
        ("M-SEARCH /own HTTP/1.1\r\nHost: a\r\n\r\n", "/own"),
        ("GET /later HTTP/1.2\r\nHost: a\r\n\r\n", "/later"),
        ("GET /later HTTP/1.9\r\nHost: a%41:\r\n\r\n", "/later"),
        (
            "POST /e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 ; a = \"b\\\"\";c\r\nx\r\n0;d\r\n\r\n",
            "/e",
        ),
    ] {
        let answer = Connection::open(hallway.address).send(request).answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, body), "{request:?}");
    }
}

/// A client that waits for the answer sends nothing more: it hears at once what is wrong, and not when its time is over.
#[test]
fn what_cannot_become_a_body_any_more_is_refused_at_once() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    for body in ["0\r\na: b\n", "0\r\n\n", "0\r\na: \0", "5;a\n", "5;a=\"\n", "5\rh"] {
        let mut connection = Connection::open(hallway.address);
        connection.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").send(body);
        // The time for a body is longer than that of a story's patience.
        assert_eq!(connection.answer().status, 400, "{body:?}");
    }
}
