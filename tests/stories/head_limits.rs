//! In:     heads and bodies at the edge of what is taken; a run with its switches for paths.
//! Out:    the same answer over HTTP/1.1 and HTTP/2, and which key says otherwise.
//! Actors: hallway with a WSGI app, curl.
//! Never:  does a limit that was raised in one protocol hold in the other.

use super::believed::{APP, ask, seen};
use super::client::{Connection, get, request};
use super::served::Served;
use super::stage::Stage;

const FILE: &str = r#"
[server]
http = "HTTP"
threads = 1
LIMITS
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[site."*"]
routes = [
  { path = "/*", app = "web" },
  { path = "/any/*", app = "web", body_max = 0 },
  { path = "/few/*", app = "web", body_max = 10 },
]
"#;

const BODY_APP: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    longest = max(len(value) for value in environ.values() if isinstance(value, str))
    return [f"{longest} {len(environ['wsgi.input'].read())}".encode()]
"#;

/// Status and body of a request with these header lines, by both versions.
fn by_both(served: &Served, lines: &[String]) -> [String; 2] {
    ["--http1.1", "--http2-prior-knowledge"].map(|version| {
        let mut words = vec![version, "-w", " %{http_code}", "http://HTTP_AT/x"];
        for line in lines {
            words.extend(["-H", line]);
        }
        served.curl(&words)
    })
}

#[test]
fn lines_have_the_same_limits_in_both_versions_and_name_their_keys() {
    let served = Served::start(Stage::with_app(BODY_APP), &FILE.replace("LIMITS", ""));
    let raised = "head_max = \"128KiB\"\nhead_line_max = \"64KiB\"\nhead_lines_max = 300";
    let wide = Served::start(Stage::with_app(BODY_APP), &FILE.replace("LIMITS", raised));
    let cookie = vec![format!("Cookie: a={}", "v".repeat(9_000))];
    let many: Vec<String> = (0..120).map(|number| format!("X-N{number}: 1")).collect();
    let long: Vec<String> = (0..5).map(|number| format!("X-N{number}: {}", "v".repeat(8_000))).collect();
    for (lines, said) in [
        (&cookie, "A header line is longer than 8190 bytes (head_line_max)."),
        (&many, "There are more than 100 header lines (head_lines_max)."),
        (&long, "The request head is longer than 32768 bytes (head_max)."),
    ] {
        for answer in by_both(&served, lines) {
            assert!(answer.contains(said) && answer.ends_with(" 431"), "{answer}");
        }
        for answer in by_both(&wide, lines) {
            assert!(answer.ends_with(" 0 200"), "{answer}");
        }
    }
    assert!(by_both(&wide, &cookie).iter().all(|answer| answer.starts_with("9002 ")));
    let more: Vec<String> = (0..320).map(|number| format!("X-N{number}: 1")).collect();
    for answer in by_both(&wide, &more) {
        assert!(answer.contains("more than 300 header lines (head_lines_max)"), "{answer}");
    }
}

#[test]
fn a_long_head_goes_to_an_app_with_its_body() {
    let raised = "head_max = \"1MiB\"\nhead_line_max = \"64KiB\"\ntarget_max = \"64KiB\"";
    let served = Served::start(Stage::with_app(BODY_APP), &FILE.replace("LIMITS", raised));
    let lines = |count: usize| format!("X-Long: {}\r\n", "v".repeat(60_000)).repeat(count);
    let body = "b".repeat(60_000);
    let post = |lines: &str| {
        let head = format!("POST /x HTTP/1.1\r\nHost: h\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
        Connection::open(served.http).send(head).send(&body).answer()
    };
    assert_eq!(post(&lines(2)).text(), "120001 60000");
    let refused = post(&lines(3));
    assert_eq!(refused.status, 431, "more than an app can be handed");
    assert!(refused.text().contains("can be handed on"), "{}", refused.text());
    assert_eq!(post(&lines(2)).text(), "120001 60000", "the worker is as well as before");
    // Raw UTF-8 is three times as long once it is spelled as it is matched; no part of it is cut off.
    let of = |count: usize| get(served.http, &format!("/{}", "\u{e9}".repeat(count)));
    assert_eq!(of(10_900).text().split(' ').next(), Some("21801"), "as long as it came");
    assert_eq!(of(11_000).status, 431);
}

#[test]
fn no_limit_of_bodies_can_be_said() {
    let served = Served::start(Stage::with_app(BODY_APP), &FILE.replace("LIMITS", "body_max = \"1KiB\""));
    let post = |path: &str, length: usize| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        let mut connection = Connection::open(served.http);
        // Who refuses may do so before all of it is here.
        let _ = connection.try_send(&[head.as_bytes(), &vec![b'b'; length]].concat());
        connection.answer()
    };
    for (path, length, status) in
        [("/x", 1024, 200), ("/x", 1025, 413), ("/any/x", 3 << 20, 200), ("/few/x", 11, 413), ("/few/x", 10, 200)]
    {
        let answer = post(path, length);
        assert_eq!(answer.status, status, "{path} {length}");
        assert_eq!(answer.text().contains("(body_max)"), status == 413);
    }
    let (_, said) = served.order(&["explain", "http://h/any/x"]);
    assert!(said.contains("of any length"), "{said}");
    let hallway = Stage::with_app(BODY_APP).run(&["-w", "1", "--body-max", "0", "app:app"]);
    assert_eq!(super::client::post(hallway.address, "/x", &vec![b'b'; 3 << 20]).status, 200);
}

#[test]
fn a_run_has_the_limits_as_flags() {
    let hallway = Stage::with_app(BODY_APP).run(&[
        "-w",
        "1",
        "--head-line-max",
        "64KiB",
        "--head-max",
        "128KiB",
        "--head-lines-max",
        "200",
        "--target-max",
        "100B",
        "app:app",
    ]);
    let lines = format!("Cookie: a={}\r\n{}", "v".repeat(9_000), "X-N: 1\r\n".repeat(150));
    assert_eq!(request(hallway.address, "GET", "/x", &lines).status, 200);
    let refused = get(hallway.address, &format!("/{}", "x".repeat(100)));
    assert!(refused.status == 414 && refused.text().contains("(target_max)"), "{}", refused.text());
    for (flag, value, said) in [
        ("--head-max", "0", "--head-max 0: write 1KiB to 1MiB"),
        ("--head-line-max", "1MiB", "--head-line-max 1MiB: write 64B to 64KiB"),
        ("--head-lines-max", "0", "--head-lines-max 0: write 1 to 1000"),
        ("--body-max", "10m", "--body-max 10m: did you mean 10MiB?"),
    ] {
        let (code, told) = Stage::with_app(BODY_APP).run_to_end(&[flag, value, "app:app"]);
        assert!(code == Some(2) && told.contains(said), "{code:?} {told}");
    }
}

#[test]
fn a_run_mounts_its_app_and_keeps_slashes_where_it_is_told_to() {
    let mounted = Stage::with_app(APP).run(&["-w", "1", "--script-name", "/shop/", "app:app"]);
    for (path, script, info) in [("/shop/a%20b", "/shop", "/a b"), ("/shop", "/shop", ""), ("/shop/", "/shop", "/")] {
        let environ = seen(&ask("127.0.0.8", mounted.address, path, ""));
        assert_eq!((&*environ["SCRIPT_NAME"], &*environ["PATH_INFO"]), (script, info), "{path}");
        assert_eq!(environ["REQUEST_URI"], path);
    }
    assert_eq!(get(mounted.address, "/shopping").status, 404);
    // As for Gunicorn.
    let stage = Stage::with_app(APP);
    let mut command = stage.command(&["-w", "1", "--bind", "127.0.0.1:0", "app:app"]);
    command.env("SCRIPT_NAME", "/shop");
    let as_variable = super::stage::Running::start(command, Some(stage));
    assert_eq!(seen(&get(as_variable.address, "/shop/x"))["SCRIPT_NAME"], "/shop");
    for (switch, info) in [("on", "/a/b"), ("off", "/a//b")] {
        let hallway = Stage::with_app(APP).run(&["-w", "1", "--merge-slashes", switch, "app:app"]);
        assert_eq!(seen(&get(hallway.address, "/a//b"))["PATH_INFO"], info, "{switch}");
    }
    let (code, told) = Stage::with_app(APP).run_to_end(&["--script-name", "shop", "app:app"]);
    assert!(code == Some(2) && told.contains("--script-name shop: write a path, as in /shop"), "{told}");
}
