//! In:     what attackers send to a server of files, redirects and sites.
//! Out:    the right refusal, and an answer for the next client.
//! Actors: hallway; a client that sends bytes as they are.
//! Never:  does a path lead out of its directory, a capture end a line, or a name reach another's site.

use super::client::Connection;
use super::served::Served;
use super::stage::{Stage, wait_until};

const FILE: &str = r#"
[server]
http = "HTTP"
threads = 1
[log]
access = { path = "DIR/all.log" }
[site."shop.example"]
log = { path = "DIR/shop.log", format = "$host $request $status" }
routes = [
  { path = "/static/*", files = { dir = "static", list = true } },
  { path = "/spa/*", files = { dir = "static", fallback = "a.txt" } },
  { path = "/moved/*", redirect = "/static/*" },
  { path = "/to/{host}/{name}", redirect = "https://shop.example/{name}?from={host}" },
  { path = "/rw/*", files = "static", rewrite = "/*" },
]
[site."*.bücher.example"]
routes = [{ path = "/*", respond = { body = "books" } }]
"#;

fn start() -> Served {
    let stage = Stage::new().file("static/a.txt", "inside").file("secret.txt", "outside").file("static/.env", "hidden");
    std::os::unix::fs::symlink(stage.dir.join("secret.txt"), stage.dir.join("static/link.txt")).unwrap();
    Served::start(stage, FILE)
}

fn ask(served: &Served, target: &str, host: &str) -> (u16, String, String) {
    let mut connection = Connection::open(served.http);
    connection.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n"));
    let answer = connection.answer();
    (answer.status, answer.header("location").unwrap_or_default().to_owned(), answer.text())
}

#[test]
fn no_path_leads_out() {
    let served = start();
    let prefixes = ["/static/", "/spa/x.y/", "/rw/"];
    let ways = [
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "%2e%2e%2fsecret.txt",
        "..%252fsecret.txt",
        "%252e%252e/secret.txt",
        "..%5csecret.txt",
        "..\\secret.txt",
        "%c0%ae%c0%ae/secret.txt",
        "%e0%80%ae%e0%80%ae/secret.txt",
        "..%c0%afsecret.txt",
        "a.txt%00.html",
        "....//secret.txt",
        "./.././../secret.txt",
        "/etc/passwd",
        "%2fetc/passwd",
        "link.txt",
        ".env",
        "%2eenv",
        "..;/secret.txt",
    ];
    for prefix in prefixes {
        for way in ways {
            let (status, location, text) = ask(&served, &format!("{prefix}{way}"), "shop.example");
            assert!(matches!(status, 301 | 400 | 404) || text == "inside", "{prefix}{way}: {status} {text}");
            assert!(!text.contains("outside") && !text.contains("hidden") && !text.contains("root:"), "{prefix}{way}");
            assert!(!location.starts_with("//") && !location.contains("secret"), "{prefix}{way}: {location}");
        }
    }
    assert_eq!(ask(&served, "/static/a.txt", "shop.example").2, "inside");
}

#[test]
fn no_capture_ends_a_line_or_leads_to_another_host() {
    let served = start();
    for (target, expected) in [
        ("/moved/%0d%0aSet-Cookie:%20a=b", "/static/%0D%0ASet-Cookie:%20a=b"),
        ("/moved/%2F%2Fevil.example/", "/static/%2F%2Fevil.example/"),
        ("/moved//evil.example", "/static/evil.example"),
        ("/to/evil.example/%0d%0ax", "https://shop.example/%0D%0Ax?from=evil.example"),
        ("/to/a/..%2f..", "https://shop.example/..%2F..?from=a"),
        ("/moved/x?y=%0d%0aX:1", "/static/x?y=%0d%0aX:1"),
    ] {
        assert_eq!(ask(&served, target, "shop.example"), (302, expected.into(), String::new()), "{target}");
    }
}

#[test]
fn no_name_reaches_the_site_of_another() {
    let served = start();
    for host in
        ["xn--bcher-kva.example", "evilshop.example", "shop.example.evil", "shop.example:80:80", "127.0.0.1", ""]
    {
        let (status, ..) = ask(&served, "/static/a.txt", host);
        assert!(matches!(status, 400 | 421), "{host}: {status}");
    }
    for host in ["SHOP.example", "shop.example.", "shop.example:81"] {
        assert_eq!(ask(&served, "/static/a.txt", host).0, 200, "{host}");
    }
    assert_eq!(ask(&served, "/", "alte.xn--bcher-kva.example").2, "books", "as browsers send it");
    let log =
        wait_until(|| std::fs::read_to_string(served.path("shop.log")).ok().filter(|log| log.lines().count() == 3));
    assert_eq!(log.lines().next(), Some("shop.example GET /static/a.txt HTTP/1.1 200"));
    let all =
        wait_until(|| std::fs::read_to_string(served.path("all.log")).ok().filter(|log| log.lines().count() >= 6));
    assert!(
        all.contains("421") && !all.contains("/static/a.txt HTTP/1.1\" 200"),
        "a site with its own log is not in it"
    );
}

/// A pipe without a reader would hold up whoever opens it.
#[test]
fn a_log_that_is_no_file_is_refused() {
    let stage = Stage::new();
    let pipe = stage.dir.join("pipe.log");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let file = format!(
        "[log]\naccess = {{ path = \"{}\" }}\n[site.\"*\"]\nroutes = [{{ path = \"/*\", respond = {{}} }}]\n",
        pipe.display()
    );
    std::fs::write(stage.dir.join("hallway.toml"), file).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallway"));
    let output = command.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("it is no file"), "{said}");
}

#[test]
fn one_client_has_only_so_many_connections() {
    let served =
        Served::start(Stage::new().file("static/a.txt", "x"), &FILE.replace("threads = 1", "client_connections = 3"));
    let mut open: Vec<Connection> = (0..3).map(|_| Connection::open(served.http)).collect();
    let request = "GET /static/a.txt HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    for connection in &mut open {
        connection.send(request);
        assert_eq!(connection.answer().status, 200);
    }
    let mut fourth = Connection::open(served.http);
    let _ = fourth.try_send(request.as_bytes());
    assert!(fourth.is_closed());
    open.pop();
    wait_until(|| {
        let mut next = Connection::open(served.http);
        let _ = next.try_send(request.as_bytes());
        (!next.is_closed()).then_some(())
    });
}
