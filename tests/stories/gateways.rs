//! In:     PHP's own server and Debian's uWSGI behind hallway.
//! Out:    pages, uploads, redirects as their users expect them.
//! Actors: one hallway, php-fpm, uwsgi, curl.
//! Never:  does a page run that its path does not name.

use super::client::{Connection, get, post, request};
use super::served::Served;
use super::stage::{Stage, python, wait_until};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A server that ends with its story.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Server {
        Server(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Their children go with a kind end only.
        let pid = rustix::process::Pid::from_raw(self.0.id() as i32).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.0.wait();
    }
}

fn php_fpm() -> PathBuf {
    let mut found = std::fs::read_dir("/usr/sbin").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    found
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("php-fpm"))
        .expect("`make test` installs it")
}

const PAGE: &str = r#"<?php
header('X-Engine: ' . PHP_SAPI);
header('Set-Cookie: a=1', false);
header('Set-Cookie: b=2', false);
switch ($_GET['do'] ?? '') {
case 'redirect': header('Location: /elsewhere'); exit;
case 'missing': http_response_code(404); echo 'not here'; exit;
case 'complain': error_log('this page complains'); echo 'it did'; exit;
case 'upload':
    $file = $_FILES['file'];
    echo $file['name'], ' ', $file['size'], ' ', md5_file($file['tmp_name']), ' ', $_POST['note']; exit;
case 'big': for ($i = 0; $i < 40000; $i++) { echo str_pad((string)$i, 99, '.'), "\n"; } exit;
}
foreach (['REQUEST_METHOD', 'SCRIPT_NAME', 'PATH_INFO', 'QUERY_STRING', 'REMOTE_ADDR', 'SERVER_NAME', 'HTTP_HOST',
          'HTTP_X_FORWARDED_FOR', 'HTTP_PROXY', 'REQUEST_URI', 'DOCUMENT_ROOT', 'CONTENT_TYPE', 'HTTP_X_MINE', 'CONTENT_LENGTH'] as $name) {
    echo $name, '=', $_SERVER[$name] ?? '-', "\n";
}
echo 'body=', file_get_contents('php://input');
"#;

#[test]
fn pages_of_php() {
    let stage = Stage::new().file("site/index.php", PAGE).file("site/deep/page.php", PAGE);
    let stage = stage.file("site/admin/index.php", PAGE).file("site/ill.php", "<?php http_response_code(500);").file(
        "fpm.conf",
        "[global]\nerror_log = DIR/fpm.log\ndaemonize = no\n[www]\nlisten = DIR/php.sock\nlisten.mode = 0666\nuser = root\ngroup = root\n\
         pm = static\npm.max_children = 2\ncatch_workers_output = no\n",
    );
    let conf = stage.dir.join("fpm.conf");
    let text = std::fs::read_to_string(&conf).unwrap().replace("DIR", stage.dir.to_str().unwrap());
    std::fs::write(&conf, text).unwrap();
    let _fpm = Server::start(
        Command::new(php_fpm()).args(["--allow-to-run-as-root", "--nodaemonize", "--fpm-config"]).arg(&conf),
    );
    let socket = stage.dir.join("php.sock");
    wait_until(|| socket.exists().then_some(()));
    let file = r#"
        [server]
        http = "HTTP"
        [pool.php]
        servers = ["fastcgi://unix:DIR/php.sock"]
        php = { root = "DIR/site" }
        [pool.front]
        servers = ["fastcgi://unix:DIR/php.sock"]
        php = { root = "DIR/site", front = "index.php" }
        [pool.ill]
        servers = ["fastcgi://unix:DIR/php.sock"]
        php = { root = "DIR/site" }
        health = { path = "/ill.php", every = "100ms" }
        [pool.well]
        servers = ["fastcgi://unix:DIR/php.sock"]
        php = { root = "DIR/site" }
        health = { path = "/index.php", every = "100ms", body = "SCRIPT_NAME=" }
        request_headers = { set = { Content-Type = "a/b" }, remove = ["X-Mine"] }
        [site."*"]
        routes = [
          { path = "/*", pool = "php" },
          { path = "/ill/*", pool = "ill", strip = true },
          { path = "/well/*", pool = "well", strip = true },
        ]
        [site."front.example"]
        routes = [{ path = "/*", pool = "front" }]
        "#;
    let served = Served::start(stage, file);
    let http = served.http;
    let page = request(http, "GET", "/deep/page.php/rooms%20x/7?q=1", "Proxy: evil\r\nX-Forwarded-For: 6.6.6.6\r\n");
    assert_eq!((page.status, page.header("x-engine")), (200, Some("fpm-fcgi")));
    assert_eq!(page.head.matches("Set-Cookie").count(), 2);
    let text = page.text();
    for line in [
        "REQUEST_METHOD=GET",
        "SCRIPT_NAME=/deep/page.php",
        "PATH_INFO=/rooms x/7",
        "QUERY_STRING=q=1",
        "REMOTE_ADDR=127.0.0.1",
        "SERVER_NAME=story",
        "HTTP_HOST=story",
        "HTTP_X_FORWARDED_FOR=127.0.0.1",
        "HTTP_PROXY=-",
        "REQUEST_URI=/deep/page.php/rooms%20x/7?q=1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(get(http, "/").text().contains("SCRIPT_NAME=/index.php\nPATH_INFO="));
    let moved = get(http, "/index.php?do=redirect");
    assert_eq!((moved.status, moved.header("location")), (302, Some("/elsewhere")));
    // Below a prefix that the script knows nothing of.
    assert_eq!(get(http, "/well/index.php?do=redirect").header("location"), Some("/well/elsewhere"));
    let missing = get(http, "/?do=missing");
    assert_eq!((missing.status, missing.text().as_str()), (404, "not here"));
    assert!(post(http, "/index.php", b"a=1&b=2").text().ends_with("CONTENT_LENGTH=7\nbody=a=1&b=2"));
    let mut client = Connection::open(http);
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert!(
        client.answer().text().ends_with("CONTENT_LENGTH=3\nbody=abc"),
        "gathered first, so that its length is known"
    );
    let big = get(http, "/?do=big").text();
    assert!(big.len() == 4_000_000 && big.lines().enumerate().all(|(at, line)| line.starts_with(&format!("{at}."))));
    assert_eq!(request(http, "HEAD", "/", "").body.len(), 0);

    let path = served.path("upload.bin");
    let bytes: Vec<u8> = (0..=255u8).cycle().take(1_500_000).collect();
    std::fs::write(&path, bytes).unwrap();
    let file = format!("file=@{}", path.display());
    let uploaded = served.curl(&["-F", &file, "-F", "note=a note", "http://HTTP_AT/?do=upload"]);
    let sum = Command::new("md5sum").arg(&path).output().unwrap().stdout;
    let sum = String::from_utf8_lossy(&sum).split(' ').next().unwrap().to_owned();
    assert_eq!(uploaded, format!("upload.bin 1500000 {sum} a note"));
    let uploaded = over_http2(&served, &["-F", &file, "-F", "note=a note", "http://HTTP_AT/?do=upload"]);
    assert_eq!(uploaded, format!("upload.bin 1500000 {sum} a note 2 200"));
    assert!(over_http2(&served, &["http://HTTP_AT/?do=missing"]).ends_with("not here 2 404"));

    get(http, "/?do=complain");
    wait_until(|| served.hallway.said().contains("says: PHP message: this page complains").then_some(()));
    let not_there = get(http, "/nothing.php");
    assert_eq!((not_there.status, not_there.text().trim()), (404, "File not found."));
    // One script has what names none.
    let front = request(http, "GET", "http://front.example/rooms/7", "");
    assert!(front.text().contains("SCRIPT_NAME=/index.php\nPATH_INFO=\n"), "{}", front.text());
    assert!(front.text().contains("REQUEST_URI=/rooms/7\n"), "{}", front.text());
    // But a directory that has its own.
    let admin = request(http, "GET", "http://front.example/admin/", "");
    assert!(admin.text().contains("SCRIPT_NAME=/admin/index.php\n"), "{}", admin.text());
    // What names no script is nothing that a server is asked for, and none of its failures.
    for _ in 0..20 {
        assert_eq!(get(http, "/a.jpg").status, 404);
    }
    wait_until(|| served.hallway.said().contains("this path names none").then_some(()));
    assert_eq!(served.hallway.said().matches("/a.jpg").count(), 1, "{}", served.hallway.said());
    // Its health is what its script says.
    wait_until(|| served.hallway.said().contains("pool ill: server unix:").then_some(()));
    assert_eq!((get(http, "/ill/index.php").status, get(http, "/well/index.php").status), (503, 200));
    let changed = served.curl(&["-d", "x", "-H", "X-Mine: 1", "http://HTTP_AT/well/index.php"]);
    assert!(changed.contains("CONTENT_TYPE=a/b\nHTTP_X_MINE=-\n"), "{changed}");
}

#[test]
fn a_flask_app_of_uwsgi() {
    let app = r#"
from flask import Flask, redirect, request
app = Flask(__name__)

@app.route("/hello")
def hello():
    return f"{request.url} {request.remote_addr} {request.script_root} {request.args.get('q')}"

@app.post("/length")
def length():
    return str(len(request.get_data()))

@app.route("/moved")
def moved():
    return redirect("/hello")
"#;
    let stage = Stage::with_app(app);
    let socket = stage.dir.join("app.sock");
    let packages = python().parent().unwrap().parent().unwrap().join("lib/python3.11/site-packages");
    let _uwsgi = Server::start(
        Command::new("/usr/bin/uwsgi")
            .args(["--plugin", "python3", "--master", "--processes", "2", "--die-on-term", "--module", "app:app"])
            .arg("--pythonpath")
            .arg(&packages)
            .arg("--chdir")
            .arg(&stage.dir)
            .arg("--chmod-socket=666")
            .arg("--socket")
            .arg(&socket),
    );
    wait_until(|| socket.exists().then_some(()));
    let file = r#"
        [server]
        http = "HTTP"
        [site."*"]
        routes = [
          { path = "/*", proxy = "uwsgi://unix:DIR/app.sock" },
          { path = "/inner/*", proxy = "uwsgi://unix:DIR/app.sock", strip = true },
        ]
        "#;
    let served = Served::start(stage, file);
    let http = served.http;
    wait_until(|| (get(http, "/hello").status == 200).then_some(()));
    assert_eq!(get(http, "/hello?q=a%20b").text(), format!("http://story/hello?q=a%20b 127.0.0.1  a b"));
    assert_eq!(get(http, "/inner/hello").text(), "http://story/inner/hello 127.0.0.1 /inner None");
    for length in [0, 10, 70_000, 2_000_000] {
        assert_eq!(post(http, "/length", &vec![b'x'; length]).text(), length.to_string());
    }
    let moved = get(http, "/moved");
    assert_eq!((moved.status, moved.header("location")), (302, Some("/hello")));
    assert_eq!(get(http, "/inner/moved").header("location"), Some("/inner/hello"));
    assert_eq!(get(http, "/nothing").status, 404);
    // The same by HTTP/2, whose version such a server gives back in its answer.
    let hello = over_http2(&served, &["http://HTTP_AT/hello?q=a%20b"]);
    assert_eq!(hello, format!("http://{http}/hello?q=a%20b 127.0.0.1  a b 2 200"));
    let file = format!("@{}", served.path("upload.bin").display());
    std::fs::write(served.path("upload.bin"), vec![b'x'; 300_000]).unwrap();
    let posted = over_http2(&served, &["--data-binary", &file, "http://HTTP_AT/length"]);
    assert_eq!(posted, "300000 2 200");
    assert_eq!(over_http2(&served, &["--head", "--output", "/dev/null", "http://HTTP_AT/hello"]), " 2 200");
    assert!(over_http2(&served, &["http://HTTP_AT/nothing"]).ends_with(" 2 404"));
    // A client of HTTP/1.0, whose version is given back, too.
    let mut old = Connection::open(http);
    old.send("GET /hello HTTP/1.0\r\nHost: story\r\n\r\n");
    assert_eq!(old.answer().status, 200);
}

/// What curl gets by HTTP/2: the body, the version, the status.
fn over_http2(served: &Served, arguments: &[&str]) -> String {
    let told = ["--http2-prior-knowledge", "--write-out", " %{http_version} %{http_code}"];
    served.curl(&[&told[..], arguments].concat())
}
