//! In:     the files of `examples/`, at free ports.
//! Out:    what the documents they come from promise.
//! Actors: hallway with real Flask applications; curl; JSON Schema as editors use it.
//! Never:  is an example shown that does not run.

use super::client::{Connection, get};
use super::served::Served;
use super::stage::{Stage, python, wait_until};
use super::upstream::Upstream;
use std::path::{Path, PathBuf};
use std::process::Command;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// The file of an example, with this story's ports, directory and interpreter.
fn file(name: &str) -> String {
    let dir = example(name);
    let text = std::fs::read_to_string(dir.join("hallway.toml")).unwrap();
    let text = text.replace("[\"0.0.0.0:80\", \"[::]:80\"]", "\"HTTP\"").replace("\"0.0.0.0:8080\"", "\"HTTP\"");
    let text = text.replace("[\"0.0.0.0:443\", \"[::]:443\"]", "\"HTTPS\"");
    let text = text.replace("files = \"", &format!("files = \"{}/", dir.display()));
    text.replace("workers =", &format!("chdir = \"{}\"\npython = \"PYTHON\"\nworkers =", dir.display()))
}

#[test]
fn the_virtual_host_with_its_application_and_its_files() {
    let served = Served::start_all(Stage::new(), &file("myapp").replace("myapp.example.com", "shop.example"), 4);
    let home = served.curl(&["https://shop.example:PORT/"]);
    assert_eq!(home, "<h1>Hello, World!</h1>");
    let port = served.https.port();
    let known = served.curl(&["-H", "X-Forwarded-For: 6.6.6.6", "https://shop.example:PORT/api/whoami"]);
    assert!(known.contains("\"client\":\"127.0.0.1\""), "{known}");
    assert!(known.contains(&format!("\"url\":\"https://shop.example:{port}/api/whoami\"")), "{known}");
    let head = served.curl(&["-D", "-", "-o", "/dev/null", "https://shop.example:PORT/static/style.css"]);
    assert!(head.contains("text/css") && head.to_lowercase().contains("etag:"), "{head}");
    let mut plain = Connection::open(served.http);
    plain.send("GET /api/whoami HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(plain.answer().status, 301);
    assert!(get(served.http, "/").status == 421, "another name is none of its own");
}

#[test]
fn the_rooms_with_the_log_of_the_documents() {
    let served = Served::start_all(Stage::new(), &file("rentomatic"), 3);
    for _ in 0..20 {
        let mut connection = Connection::open(served.http);
        connection.send("GET /rooms?status=available HTTP/1.1\r\nHost: localhost:8080\r\n\r\n");
        assert_eq!(connection.answer().status, 200);
    }
    let written = wait_until(|| Some(served.hallway.written()).filter(|log| log.lines().count() >= 20));
    let line = written.lines().next().unwrap();
    let (time, rest) = line.split_once("] ").unwrap();
    assert!(time.starts_with('[') && time.ends_with("+0000"), "{line}");
    let (host, rest) = rest.split_once(" to: ").unwrap();
    let (server, request) = rest.split_once(": ").unwrap();
    assert_eq!((host, request), ("localhost", "GET /rooms?status=available HTTP/1.1 200"));
    assert!(server.starts_with("application[") && server.ends_with(']'), "{line}");
}

#[test]
fn both_are_valid_as_they_stand() {
    for name in ["myapp", "rentomatic"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
        let output = command.arg("check").arg("-c").arg(example(name).join("hallway.toml")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// By the validator that editors use: what is valid passes, and what `check` refuses for its shape does not.
#[test]
fn the_schema_says_what_check_says() {
    const PROGRAM: &str = r#"
import json, subprocess, sys, tomllib
import jsonschema

schema = json.loads(subprocess.run([sys.argv[1], "config", "--schema"], capture_output=True, check=True).stdout)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for name in sys.argv[2:]:
    with open(name, "rb") as file:
        validator.validate(tomllib.load(file))
route = 'site."*".routes = [{ path = "/*", respond = {}, %s }]'
valid = ['headers = { set = { A = "b" } }', 'limit = { rate = "20/s", by = "client" }', 'compress = ["gzip"]',
         'allow = "private"', 'body_max = 1000', 'cors = true', 'bandwidth = "1MiB"', 'method = ["GET", "PUT"]']
broken = ['header = 1', 'limit = { rate = "fast" }', 'compress = ["deflate"]', 'allow = 7', 'body_max = "much"',
          'cors = "yes"', 'status = 200', 'unknown = true', 'headers = { put = {} }', 'method = "get"']
for text in valid:
    validator.validate(tomllib.loads(route % text))
for text in broken:
    assert not validator.is_valid(tomllib.loads(route % text)), text
for text in ['[server]\nhtpp = "x"', '[app.a]\nworkers = 0', 'site = 1', '[server]\nthreads = "many"']:
    assert not validator.is_valid(tomllib.loads(text)), text
"#;
    let mut command = Command::new(python());
    command.args(["-c", PROGRAM, env!("CARGO_BIN_EXE_hallway")]);
    command.args(["myapp", "rentomatic"].map(|name| example(name).join("hallway.toml")));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_new_service_takes_the_place_of_an_old_one() {
    let servers: Vec<Upstream> = ["monolith", "orders", "users"].map(Upstream::start).into();
    let mut text = file("strangler");
    for (server, name) in servers.iter().zip(["monolith", "orders", "users"]) {
        text = text.replace(&format!("{name}.internal:9000"), &server.at);
    }
    let served = Served::start(Stage::new(), &text);
    assert_eq!(get(served.http, "/orders/7").text(), "orders");
    assert_eq!(get(served.http, "/anything").text(), "monolith");
    let page: serde_json::Value = serde_json::from_slice(&get(served.http, "/page/7").body).unwrap();
    assert_eq!(page["orders"], serde_json::json!({ "status": 200, "body": "orders" }));
    assert_eq!(page["offers"]["body"], "monolith");
    assert!(["users", "monolith"].contains(&page["user"]["body"].as_str().unwrap()));
    let line = format!("127.0.0.1 to: {}: GET /orders/7 HTTP/1.1 200 0.", servers[1].at);
    wait_until(|| served.hallway.written().contains(&line).then_some(()));
}
