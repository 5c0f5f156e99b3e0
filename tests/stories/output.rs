//! In:     apps that print lines for programs that read logs.
//! Out:    the same bytes, or the lines behind the name of their app.
//! Actors: hallways with an app whose output is raw, and one whose is not.
//! Never:  is a raw line cut, mixed with another, or given a name.

use super::client::get;
use super::served::Served;
use super::stage::{Stage, wait_until};

const APP: &str = r#"
import json, sys

def app(environ, start_response):
    query = environ["QUERY_STRING"]
    if query == "raise":
        raise ValueError("told as Python tells it")
    print(json.dumps({"level": "info", "query": query}), flush=True)
    print(json.dumps({"level": "error", "long": "x" * 100_000, "query": query}), file=sys.stderr, flush=True)
    sys.stderr.buffer.write(b"bytes \xff of their own\r\n")
    sys.stderr.buffer.flush()
    start_response("200 OK", [])
    return [b"done"]
"#;

/// Whether what was said has this line, and nothing else on it.
fn has_line(said: &str, line: &str) -> bool {
    said.lines().any(|one| one == line)
}

#[test]
fn raw_lines_are_passed_on_as_they_are() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "2", "--output", "raw", "app:app"]);
    for number in 0..20 {
        assert_eq!(get(hallway.address, &format!("/?{number}")).status, 200);
    }
    for number in 0..20 {
        let long = format!("{{\"level\": \"error\", \"long\": \"{}\", \"query\": \"{number}\"}}", "x".repeat(100_000));
        wait_until(|| has_line(&hallway.said(), &long).then_some(()));
        let short = format!("{{\"level\": \"info\", \"query\": \"{number}\"}}");
        assert!(has_line(&hallway.said(), &short));
    }
    assert!(hallway.said().contains("bytes \u{fffd} of their own\r\n"), "the reader of this story makes it UTF-8");
    assert_eq!(get(hallway.address, "/?raise").status, 500);
    hallway.wait_for_line(|line| line == "ValueError: told as Python tells it");
    assert!(!hallway.said().contains("web["), "{}", hallway.said());
}

#[test]
fn each_app_has_its_own_way() {
    let app =
        |name: &str, more: &str| format!("[app.{name}]\nwsgi = \"app:app\"\npython = \"PYTHON\"\nworkers = 1\n{more}");
    let file = |more: &str| {
        format!(
            "[server]\nhttp = \"HTTP\"\n{}{}[site.\"*\"]\nroutes = [{{ path = \"/raw\", app = \"raw\" }}, {{ path = \"/*\", app = \"named\" }}]\n",
            app("raw", more),
            app("named", "")
        )
    };
    let mut served = Served::start(Stage::with_app(APP), &file("output = \"raw\"\n"));
    get(served.http, "/raw?1");
    get(served.http, "/named?2");
    served.hallway.wait_for_line(|line| line == "{\"level\": \"info\", \"query\": \"1\"}");
    served
        .hallway
        .wait_for_line(|line| line.contains(" named[") && line.ends_with("]: {\"level\": \"info\", \"query\": \"2\"}"));
    // A reload changes it.
    served.change(&file("output = \"prefixed\"\n"));
    wait_until(|| {
        get(served.http, "/raw?3");
        served.hallway.said().lines().any(|line| line.contains(" raw[") && line.ends_with("\"3\"}")).then_some(())
    });
    served.write(&file("output = \"bare\"\n"));
    let (ok, said) = served.order(&["check"]);
    assert!(!ok && said.contains("\"prefixed\" or \"raw\""), "{said}");
}
