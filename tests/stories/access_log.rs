//! In:     requests of all kinds.
//! Out:    a line for each of them, in NCSA combined or as JSON, in a file or on standard output.
//! Actors: one hallway for each format.
//! Never:  can a client write a line of its own.

use super::client::{get, request};
use super::stage::{Stage, wait_until};

const APP: &str = r#"
def app(environ, start_response):
    start_response("201 Created", [("Content-Type", "text/plain")])
    return [b"12345"]
"#;

#[test]
fn combined_on_standard_output() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "--access-log", "-", "app:app"]);
    let fields = "User-Agent: odd \"agent\" \\x\r\nReferer: http://r/\r\n";
    request(hallway.address, "POST", "/a?b=c", &format!("{fields}Content-Length: 0\r\n"));
    let line = wait_until(|| hallway.written().lines().next().map(str::to_owned));
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    let rest = r#" +0000] "POST /a?b=c HTTP/1.1" 201 5 "http://r/" "odd \x22agent\x22 \x5Cx""#;
    assert!(line.ends_with(rest), "{line}");
}

#[test]
fn json_in_a_file_until_the_last_line() {
    let stage = Stage::with_app(APP);
    let path = stage.dir.join("access.log");
    let log = path.to_str().unwrap().to_owned();
    let mut hallway = stage.run(&["-w", "1", "--access-log", &log, "--access-log-format", "json", "app:app"]);
    let id = get(hallway.address, "/x").header("x-request-id").unwrap().to_owned();
    request(hallway.address, "GET", "/bad\u{1}", "");
    get(hallway.address, "/last");
    hallway.signal("TERM");
    hallway.wait_for_end();
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    let found = lines.iter().find(|line| line.contains("\"request\":\"GET /x HTTP/1.1\"")).unwrap();
    assert!(found.contains("\"status\":201,\"body_bytes_sent\":5,\"request_time\":0.0"), "{found}");
    assert!(found.contains("\"queue_time\":0.0") && found.contains("\"app_time\":0.0"), "{found}");
    assert!(found.contains("\"worker_pid\":") && found.contains(&format!("\"request_id\":\"{id}\"")), "{found}");
    assert!(lines.iter().any(|line| line.contains("\"status\":400")), "{text}");
}

#[test]
fn a_form_of_the_documents_works_as_written() {
    let form = "[$time_local] $host to: $upstream_addr: $request $status ${http_x_mark}";
    let flags = ["-w", "1", "--access-log", "-", "--access-log-format", form, "app:app"];
    let hallway = Stage::with_app(APP).run(&flags);
    super::client::request(hallway.address, "GET", "/a?b", "X-Mark: \"m\r\n");
    let worker = hallway.children("hallway: app")[0];
    let expected = format!(" to: web[{worker}]: GET /a?b HTTP/1.1 201 \\x22m");
    wait_until(|| hallway.written().lines().any(|line| line.ends_with(&expected)).then_some(()));
    let (code, said) =
        Stage::with_app(APP).run_to_end(&["--access-log", "-", "--access-log-format", "$staus", "app:app"]);
    assert!(code == Some(2) && said.contains("there is no variable '$staus'; did you mean '$status'?"), "{said}");
}
