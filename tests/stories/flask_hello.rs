//! In:     an unmodified Flask app.
//! Out:    its answers: text, JSON, redirects, forms, cookies, errors.
//! Actors: one hallway with two workers.
//! Never:  does the app know who serves it.

use super::client::{Connection, get, request};
use super::stage::Stage;

const APP: &str = r#"
from flask import Flask, jsonify, redirect, request, session, stream_with_context, Response

app = Flask(__name__)
app.secret_key = "story"

@app.get("/")
def hello():
    return "Hello from Flask\n"

@app.get("/json")
def json():
    return jsonify(path=request.path, args=request.args, scheme=request.scheme, url=request.url,
                   peer=request.remote_addr, id=request.headers["X-Request-Id"])

@app.get("/go")
def go():
    return redirect("/there?x=1")

@app.post("/form")
def form():
    return f"{request.form['name']} sent {len(request.files['file'].read())} bytes"

@app.get("/count")
def count():
    session["n"] = session.get("n", 0) + 1
    return str(session["n"])

@app.get("/stream")
def stream():
    return Response(stream_with_context(f"{n}," for n in range(5)))
"#;

#[test]
fn hello_through_flask() {
    let hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    let answer = get(hallway.address, "/");
    assert_eq!((answer.status, answer.text().as_str()), (200, "Hello from Flask\n"));
    assert_eq!(answer.header("server"), Some("hallway"));
    assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT")), "{}", answer.head);

    let answer = get(hallway.address, "/json?a=b%20c");
    let text = answer.text();
    assert!(text.contains(r#""args":{"a":"b c"}"#), "{text}");
    assert!(text.contains(r#""peer":"127.0.0.1""#) && text.contains(r#""url":"http://story/json?a=b%20c""#), "{text}");
    let id = answer.header("x-request-id").unwrap();
    assert!(id.len() == 32 && text.contains(id), "the app and the client see the same id: {id} {text}");

    assert_eq!(request(hallway.address, "HEAD", "/", "").header("content-length"), Some("17"));
    assert_eq!(get(hallway.address, "/go").header("location"), Some("/there?x=1"));
    assert_eq!(get(hallway.address, "/nothing").status, 404);
    assert_eq!(request(hallway.address, "DELETE", "/", "").status, 405);
    assert_eq!(get(hallway.address, "/stream").text(), "0,1,2,3,4,");
}

#[test]
fn forms_files_and_sessions() {
    let hallway = Stage::with_app(APP).run(&["-w", "2", "app:app"]);
    let form = "--B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nAda\r\n--B\r\nContent-Disposition: form-data; \
        name=\"file\"; filename=\"a.bin\"\r\n\r\n12345\r\n--B--\r\n";
    let head = format!(
        "POST /form HTTP/1.1\r\nHost: s\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    let mut connection = Connection::open(hallway.address);
    assert_eq!(connection.send(head).send(form).answer().text(), "Ada sent 5 bytes");

    let mut cookie = String::new();
    for expected in ["1", "2", "3"] {
        let answer = connection.send(format!("GET /count HTTP/1.1\r\nHost: s\r\n{cookie}\r\n")).answer();
        assert_eq!(answer.text(), expected);
        let set = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        cookie = format!("Cookie: {set}\r\n");
    }
}
