//! In:     php-cgi as it comes, which takes the first file on a path for its script.
//! Out:    scripts that run, with what stands behind them in the path; nothing else that does.
//! Actors: one hallway, php-cgi, curl.
//! Never:  does an upload run because a path goes on behind it.

use super::client::{Answer, get};
use super::served::Served;
use super::stage::{Stage, wait_until};
use std::process::{Child, Command, Stdio};

/// Debian's php-cgi on a socket.
struct Php(Child);

impl Php {
    fn start(stage: &Stage) -> Php {
        let socket = stage.dir.join("php.sock");
        let mut command = Command::new("php-cgi");
        command.arg("-b").arg(&socket).env("PHP_FCGI_CHILDREN", "0").env("PHP_FCGI_MAX_REQUESTS", "0");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until(|| socket.exists().then_some(()));
        Php(child)
    }
}

impl Drop for Php {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const PAGE: &str = r#"<?php
foreach (['SCRIPT_NAME', 'PATH_INFO', 'REQUEST_URI'] as $name) { echo $name, '=', $_SERVER[$name] ?? '-', "\n"; }
"#;
const EVIL: &str = "<?php echo 'it', ' ran';";

fn start() -> (Served, Php) {
    let stage = Stage::new().file("site/index.php", PAGE).file("site/a.php", PAGE).file("site/dir.php/real.php", PAGE);
    let stage = stage.file("site/evil.jpg", EVIL).file("site/up/evil", EVIL).file("site/a b.php", PAGE);
    let php = Php::start(&stage);
    let file = r#"
        [server]
        http = "HTTP"
        threads = 1
        [pool.plain]
        servers = ["fastcgi://unix:DIR/php.sock"]
        php = { root = "DIR/site" }
        [pool.front]
        servers = ["fastcgi://unix:DIR/php.sock"]
        php = { root = "DIR/site", front = "index.php" }
        [site."*"]
        routes = [{ path = "/plain/*", pool = "plain", strip = true }, { path = "/*", pool = "front" }]
        "#;
    (Served::start(stage, file), php)
}

fn ran(answer: &Answer, script: &str, info: &str) {
    let expected = format!("SCRIPT_NAME={script}\nPATH_INFO={info}\n");
    assert!(answer.status == 200 && answer.text().starts_with(&expected), "{expected} and not {answer:?}");
}

#[test]
fn what_is_no_script_is_not_run() {
    let (served, _php) = start();
    for path in ["/evil.jpg/x.php", "/evil.jpg/", "/evil.jpg/a/b/c.php", "/up/evil/x.php/y", "/evil.jpg%2Fx.php"] {
        let plain = get(served.http, &format!("/plain{path}"));
        assert_eq!(plain.status, 404, "{path}: {}", plain.text());
        assert!(!plain.text().contains("it ran"), "{path}");
        // One script has all that names none.
        ran(&get(served.http, path), "/index.php", "");
    }
    // One that is not there is PHP's to say, or that script's.
    assert_eq!(get(served.http, "/plain/nothing.php").status, 404);
    ran(&get(served.http, "/nothing.php/x"), "/index.php", "");
}

#[test]
fn what_stands_behind_a_script_is_its_own_affair() {
    let (served, _php) = start();
    for (path, info) in [
        ("/a.php", ""),
        ("/a.php/b", "/b"),
        ("/a.php/b%2Fc", "/b/c"),
        ("/a.php/b%5Cc", "/b\\c"),
        ("/a.php/b%0Ac", "/b\nc"),
        ("/a.php/..%2F..%2Fc", "/../../c"),
        ("/a.php/c.php", "/c.php"),
    ] {
        ran(&get(served.http, path), "/a.php", info);
        ran(&get(served.http, &format!("/plain{path}")), "/a.php", info);
    }
    ran(&get(served.http, "/dir.php/real.php/x"), "/dir.php/real.php", "/x");
    ran(&get(served.http, "/a%20b.php/x%20y"), "/a b.php", "/x y");
    // What one script has is as it came, in REQUEST_URI.
    for path in ["/rooms/a%2Fb", "/rooms/%5C", "/rooms/a%0Ab", "/rooms/..%2Fx"] {
        let answer = get(served.http, path);
        ran(&answer, "/index.php", "");
        assert!(answer.text().contains(&format!("REQUEST_URI={path}\n")), "{}", answer.text());
    }
    let by_http2 = served.curl(&["--http2-prior-knowledge", "http://HTTP_AT/plain/a.php/b%2Fc"]);
    assert!(by_http2.starts_with("SCRIPT_NAME=/a.php\nPATH_INFO=/b/c\n"), "{by_http2}");
}

#[test]
fn a_guard_that_leaves_a_way_open_is_told_of() {
    let check = |routes: &str| {
        let stage = Stage::new().file(
            "hallway.toml",
            &format!(
                "[server]\nhttp = \"127.0.0.1:0\"\n[pool.php]\nservers = [\"fastcgi://127.0.0.1:9\"]\n\
                 php = {{ root = \"/srv\" }}\n[site.\"*\"]\nroutes = [{routes}]\n"
            ),
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
        let output = command.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let all = "{ path = \"/*\", pool = \"php\" }";
    let told = "runs the same script, and is not guarded by this; write path = \"/admin.php/*\"";
    for guard in ["pool = \"php\", allow = \"10.0.0.0/8\"", "respond = { status = 403 }"] {
        let said = check(&format!("{all}, {{ path = \"/admin.php\", {guard} }}"));
        assert!(said.contains(told), "{guard}: {said}");
        for whole in [
            format!("{all}, {{ path = \"/admin.php/*\", {guard} }}"),
            format!(
                "{all}, {{ path = \"/admin.php\", {guard} }}, {{ path = \"/admin.php/*\", respond = {{ status = 404 }} }}"
            ),
            format!("{{ path = \"/*\", respond = {{ status = 404 }} }}, {{ path = \"/admin.php\", {guard} }}"),
        ] {
            let said = check(&whole);
            assert!(!said.contains("runs the same script"), "{whole}: {said}");
        }
    }
}
