//! In:     requests on one connection: one after the other, all at once, with and without keep-alive.
//! Out:    answers in the same order on the same connection.
//! Actors: one hallway.
//! Never:  does an answer belong to another request.

use super::client::Connection;
use super::stage::Stage;

const APP: &str = r#"
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ['SERVER_PROTOCOL']} {body.decode()}".encode()]
"#;

#[test]
fn many_requests_share_a_connection() {
    let hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    for number in 0..50 {
        let answer = connection.send(format!("GET /{number} HTTP/1.1\r\nHost: s\r\n\r\n")).answer();
        assert_eq!(answer.text(), format!("GET /{number} HTTP/1.1 "));
        assert_eq!(answer.header("connection"), None);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    let mut all = String::new();
    for number in 0..20 {
        all += &format!("POST /{number} HTTP/1.1\r\nHost: s\r\nContent-Length: 2\r\n\r\n{number:02}");
        all += &format!("PUT /{number} HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
        all += &format!("HEAD /{number} HTTP/1.1\r\nHost: s\r\n\r\n");
    }
    connection.send(all);
    for number in 0..20 {
        assert_eq!(connection.answer().text(), format!("POST /{number} HTTP/1.1 {number:02}"));
        assert_eq!(connection.answer().text(), format!("PUT /{number} HTTP/1.1 x"));
        let length = format!("HEAD /{number} HTTP/1.1 ").len().to_string();
        assert_eq!(connection.answer_to("HEAD").header("content-length"), Some(length.as_str()));
    }
}

#[test]
fn the_client_decides_whether_the_connection_stays() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    let answer = connection.send("GET /a HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n").answer();
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(connection.is_closed());

    let mut connection = Connection::open(hallway.address);
    let answer = connection.send("GET /old HTTP/1.0\r\n\r\n").answer();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("GET /old HTTP/1.0 ", Some("close")));
    assert!(connection.is_closed());

    let mut connection = Connection::open(hallway.address);
    for _ in 0..2 {
        let answer = connection.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer();
        assert_eq!(answer.header("connection"), Some("keep-alive"));
    }
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut connection = Connection::open(hallway.address);
    for byte in b"\r\nGET /slowly HTTP/1.1\r\nHost: s\r\n\r\n" {
        connection.send([*byte]);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(connection.answer().text(), "GET /slowly HTTP/1.1 ");
}
