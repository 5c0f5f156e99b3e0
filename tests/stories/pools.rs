//! In:     servers behind hallway that behave well and badly.
//! Out:    what their clients see, and what they see of their clients.
//! Actors: one hallway, servers in Python, raw clients.
//! Never:  does a byte of one exchange turn up in another.

use super::client::{Connection, get, post, request};
use super::served::Served;
use super::stage::{AT_ONCE, PATIENCE, Stage, wait_until};
use super::upstream::Upstream;
use std::io::Read;
use std::time::{Duration, Instant};

/// One pool with these servers and settings, and one without buffers of requests.
fn served(servers: &[&Upstream], settings: &str) -> Served {
    let urls: Vec<String> = servers.iter().map(|server| format!("\"http://{}\"", server.at)).collect();
    let urls = urls.join(", ");
    let file = format!(
        r#"
        [server]
        http = "HTTP"
        threads = 1
        [log]
        access = {{ format = "$request $status $upstream_addr $upstream_status" }}
        [pool.all]
        servers = [{urls}]
        {settings}
        [pool.direct]
        servers = [{urls}]
        buffer_requests = false
        [pool.named]
        servers = [{urls}]
        host = "inner.example:99"
        request_headers = {{ set = {{ X-Api-Key = "file:key", Accept = "a/b" }}, remove = ["cookie"] }}
        [site."*"]
        routes = [
          {{ path = "/*", pool = "all" }},
          {{ path = "/direct/*", pool = "direct" }},
          {{ path = "/cut/*", pool = "named", strip = true }},
          {{ path = "/old/{{name}}/*", pool = "all", rewrite = "/new/{{name}}/*" }},
        ]
        "#
    );
    Served::start(Stage::new().file("key", "s3cret\n"), &file)
}

fn field(text: &str, name: &str) -> Option<String> {
    let at = text.find(&format!("[\"{name}\", \""))?;
    let rest = &text[at + name.len() + 6..];
    Some(rest[..rest.find('"')?].to_owned())
}

#[test]
fn a_server_is_told_the_truth_and_clients_nothing_of_it() {
    let one = Upstream::start("one");
    let served = served(&[&one], "");
    let fields = "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nProxy: http://x\r\n\
                  X-Drop: 1\r\nConnection: x-drop\r\nCookie: a=1\r\n";
    let answer = request(served.http, "GET", "/a/../b%2f/echo?x=1", fields);
    let text = answer.text();
    assert!(text.contains(r#""path": "/b%2F/echo?x=1""#), "{text}");
    for (name, value) in [
        ("Host", "story"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "story"),
        ("Cookie", "a=1"),
    ] {
        assert_eq!(field(&text, name).as_deref(), Some(value), "{name} in {text}");
    }
    assert_eq!(field(&text, "X-Forwarded-Port"), Some(served.http.port().to_string()));
    assert_eq!(field(&text, "X-Request-Id").as_deref(), answer.header("x-request-id"));
    for name in ["X-Drop", "Proxy", "Forwarded", "X_Forwarded_For", "Connection"] {
        assert_eq!(field(&text, name), None, "{name} in {text}");
    }
    assert_eq!(answer.header("server"), Some("hallway"));
    assert_eq!(answer.header("x-mine"), Some("1"));

    let text =
        request(served.http, "GET", "/cut/deep/echo", "Cookie: a=1\r\nAccept: c/d\r\nX-API-KEY: guess\r\n").text();
    assert_eq!(field(&text, "X-Api-Key").as_deref(), Some("s3cret"));
    assert_eq!(field(&text, "Accept").as_deref(), Some("a/b"));
    assert_eq!((field(&text, "Cookie"), text.contains("guess"), text.contains("c/d")), (None, false, false));
    assert!(text.contains(r#""path": "/deep/echo""#), "{text}");
    assert_eq!(field(&text, "X-Forwarded-Prefix").as_deref(), Some("/cut"));
    assert_eq!(field(&text, "Host").as_deref(), Some("inner.example:99"));
    assert!(get(served.http, "/cut").text().contains("one"));
    // A client of HTTP/1.0 need not say which host it means.
    let mut old = Connection::open(served.http);
    old.send("GET /echo HTTP/1.0\r\n\r\n");
    assert_eq!(field(&old.answer().text(), "Host").as_deref(), Some(&*one.at));
    assert!(get(served.http, "/old/a/b/echo?q").text().contains(r#""path": "/new/a/b/echo?q""#));
    wait_until(|| served.hallway.written().contains(&format!("200 {} 200", one.at)).then_some(()));
}

#[test]
fn bodies_arrive_as_they_were_sent() {
    let one = Upstream::start("one");
    let served = served(&[&one], "");
    for prefix in ["", "/direct"] {
        assert!(post(served.http, &format!("{prefix}/echo"), b"hello").text().contains(r#""body": "hello""#));
        for length in [0, 1, 16_384, 65_537, 3_000_000] {
            let answer = post(served.http, &format!("{prefix}/length"), &vec![b'x'; length]);
            assert_eq!((answer.status, answer.text()), (200, length.to_string()), "{prefix}");
        }
        let mut client = Connection::open(served.http);
        client.send(format!("POST {prefix}/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"));
        client.send("3\r\nabc\r\n").send("4;x=y\r\ndefg\r\n0\r\n\r\n");
        assert!(client.answer().text().contains(r#""body": "abcdefg""#));
        // The connection is good for more.
        client.send(format!(
            "POST {prefix}/echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        ));
        assert_eq!(client.answer().status, 100);
        client.send("ok");
        assert!(client.answer().text().contains(r#""body": "ok""#), "{prefix}");
    }
    let answer = post(served.http, "/direct/refuse", &vec![b'x'; 900_000]);
    assert_eq!(answer.status, 413, "a server that does not want the body is heard");
}

#[test]
fn one_connection_carries_many_requests() {
    let one = Upstream::start("one");
    let served = served(&[&one], "");
    let mut client = Connection::open(served.http);
    for _ in 0..50 {
        client.send("GET /who HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().text(), "one");
    }
    let counted = get(served.http, "/count").text();
    assert!(counted.contains(r#""connections": 1, "requests": 51"#), "{counted}");
}

#[test]
fn answers_of_every_kind() {
    let one = Upstream::start("one");
    let served = served(&[&one], "");
    let mut client = Connection::open(served.http);
    let mut ask = |text: &str, method: &str| {
        client.send(format!("{method} {text} HTTP/1.1\r\nHost: h\r\n\r\n"));
        client.answer_to(method)
    };
    let whole: Vec<u8> = (0..=255u8).cycle().take(5_000_000).collect();
    assert!(ask("/big?bytes=5000000", "GET").body == whole);
    assert_eq!(ask("/chunks?n=3", "GET").text(), "piece 0\npiece 1\npiece 2\n");
    let head = ask("/who", "HEAD");
    assert_eq!((head.status, head.header("content-length")), (200, Some("3")));
    for status in [204, 304, 404, 500, 503] {
        assert_eq!(ask(&format!("/status?is={status}"), "GET").status, status);
    }
    assert_eq!(ask("/until-close", "GET").text(), "until the end");
    // A client that takes trailers gets them, and is told early what is told early.
    client.send("GET /chunks?n=1 HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    assert!(client.head().contains("Transfer-Encoding: chunked"));
    let lines: Vec<String> = (0..5).map(|_| client.line()).collect();
    assert_eq!(lines, ["8", "piece 0", "", "0", "X-Sum: 42"]);
    assert_eq!(client.line(), "");
    // Nothing is held back: the server goes on when the client has what it said so far.
    client.send("GET /hints?held=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(client.head().contains("103 Early Hints\r\nLink: </style.css>"));
    assert_eq!(get(one.address(), "/release").status, 200);
    assert_eq!(client.answer().text(), "hinted");
    client.send("GET /chunks?n=2&held=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    client.head();
    for piece in [b"piece 0\n", b"piece 1\n"] {
        assert_eq!(client.chunk(), piece);
        assert_eq!(get(one.address(), "/release").status, 200);
    }
}

#[test]
fn what_is_cut_is_not_taken_for_whole() {
    let one = Upstream::start("one");
    let served = served(&[&one], "eject = { after = 0 }");
    let mut client = Connection::open(served.http);
    client.send("GET /half HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(client.head().contains("Content-Length: 100"));
    let mut rest = Vec::new();
    let _ = client.reader().read_to_end(&mut rest);
    assert_eq!(rest, b"half");
    let answer = request(served.http, "POST", "/die", "Content-Length: 0\r\n");
    assert_eq!((answer.status, answer.header("proxy-status")), (502, Some("hallway; error=connection_terminated")));
    wait_until(|| served.hallway.said().contains("POST /die").then_some(()));
    assert_eq!(get(served.http, "/who").text(), "one");
}

#[test]
fn a_request_goes_to_another_server_when_it_may() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let served = served(&[&one, &two], "retry = { tries = 2 }");
    let at_two = two.at.clone();
    two.kill();
    for _ in 0..20 {
        assert_eq!(get(served.http, "/who").text(), "one");
        assert_eq!(post(served.http, "/who", b"x").text(), "one", "what was not sent may be sent");
    }
    let out = format!("pool all: server {at_two} is out for 1 s");
    wait_until(|| served.hallway.said().contains(&out).then_some(()));
    wait_until(|| served.hallway.said().contains("Connection refused; it goes to another one").then_some(()));
    wait_until(|| served.hallway.written().contains(" 502, 200").then_some(()));
    // It comes back by itself.
    let two = Upstream::start_at("two", &at_two);
    wait_until(|| (get(served.http, "/who").text() == "two").then_some(()));
    wait_until(|| served.hallway.said().contains(&format!("server {at_two} is back")).then_some(()));
    drop(two);
    // With nobody left the answer is there at once, and says so.
    let at_one = one.at.clone();
    one.kill();
    let begun = Instant::now();
    let answer = get(served.http, "/who");
    assert_eq!((answer.status, answer.header("proxy-status")), (502, Some("hallway; error=connection_refused")));
    assert!(begun.elapsed() < AT_ONCE);
    for said in [format!("server {at_one}: Connection refused; it"), "; it is answered 502".into()] {
        wait_until(|| served.hallway.said().contains(&said).then_some(()));
    }
}

#[test]
fn a_server_that_hangs_is_not_waited_for() {
    let one = Upstream::start("one");
    let served = served(&[&one], "answer_timeout = \"300ms\"");
    let begun = Instant::now();
    let answer = get(served.http, "/slow?s=50");
    assert_eq!((answer.status, answer.header("proxy-status")), (504, Some("hallway; error=http_response_timeout")));
    assert!(begun.elapsed() < AT_ONCE);
    assert_eq!(get(served.http, "/who").text(), "one", "the last server is not taken out");
}

#[test]
fn a_slow_client_does_not_hold_its_server() {
    let one = Upstream::start("one");
    let file = format!(
        r#"
        [server]
        http = "HTTP"
        threads = 1
        [pool.all]
        servers = [{{ url = "http://{}", max_connections = 1 }}]
        [site."*"]
        routes = [{{ path = "/*", pool = "all" }}]
        "#,
        one.at
    );
    let served = Served::start(Stage::new(), &file);
    let mut slow = Connection::open(served.http);
    slow.send("GET /big?bytes=50000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    slow.head();
    let begun = Instant::now();
    assert_eq!(get(served.http, "/who").text(), "one", "it waits until the server has said all");
    assert!(begun.elapsed() < AT_ONCE);
    let mut rest = vec![0; 50_000_000];
    slow.reader().read_exact(&mut rest).unwrap();
    assert!(rest.iter().zip((0..=255u8).cycle()).all(|(byte, expected)| *byte == expected));
}

#[test]
fn another_protocol_goes_through_both_ways() {
    let one = Upstream::start("one");
    let served = served(&[&one], "");
    let mut client = Connection::open(served.http);
    client.send(
        "GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: capitals\r\n\r\nbefore ",
    );
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("\r\nUpgrade: capitals") && head.contains("\r\nConnection: Upgrade"), "{head}");
    let mut heard = [0; 13];
    client.reader().read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"HELLO BEFORE ");
    client.send("now");
    client.reader().read_exact(&mut heard[..3]).unwrap();
    assert_eq!(&heard[..3], b"NOW");
    // One side has said all; the other one may go on.
    client.shutdown();
    let mut rest = String::new();
    client.reader().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, " BYE");
    // Without being asked nothing changes.
    assert_eq!(get(served.http, "/upgrade").status, 502);
}

#[test]
fn what_has_no_end_of_its_own_is_ended_by_a_stop() {
    let one = Upstream::start("one");
    let file = format!(
        "[server]\nhttp = \"HTTP\"\ngraceful_timeout = \"4s\"\n[log]\naccess = {{ format = \"$status $request\" }}\n\
         [site.\"*\"]\nroutes = [{{ path = \"/*\", proxy = \"http://{}\" }}]\n",
        one.at
    );
    let mut served = Served::start(Stage::new(), &file);
    let mut client = Connection::open(served.http);
    client.send("GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: capitals\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    let begun = Instant::now();
    served.hallway.signal("TERM");
    let mut heard = [0; 9];
    client.reader().read_exact(&mut heard[..6]).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    client.send("now");
    client.reader().read_exact(&mut heard[..3]).unwrap();
    assert_eq!(&heard[..3], b"NOW", "it has the time that a stop gives");
    let ended = served.hallway.wait_for_end();
    let took = begun.elapsed();
    assert!(ended.success() && (Duration::from_millis(3_300)..AT_ONCE).contains(&took), "{took:?}");
    assert_eq!(served.hallway.written(), "101 GET /upgrade HTTP/1.1\n");
    assert!(served.hallway.said().contains("1 request that was not answered"), "{}", served.hallway.said());
}

#[test]
fn a_server_of_another_kind_is_hinted_at() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let file =
        format!("[server]\nhttp = \"HTTP\"\n[site.\"*\"]\nroutes = [{{ path = \"/*\", proxy = \"http://{at}\" }}]\n");
    let served = Served::start(Stage::new(), &file);
    assert_eq!(get(served.http, "/").status, 502);
    let hint = "has never answered: does it speak https://, fastcgi:// or uwsgi://?; it is answered 502";
    wait_until(|| served.hallway.said().contains(hint).then_some(()));
}

#[test]
fn servers_behind_unix_sockets() {
    let stage = Stage::new();
    let path = stage.dir.join("app.sock");
    let one = Upstream::start_with(&["inner", path.to_str().unwrap()]);
    let file = r#"
        [server]
        http = "HTTP"
        [site."*"]
        routes = [
          { path = "/*", proxy = "unix:DIR/app.sock" },
          { path = "/other/*", proxy = "http://unix:DIR/app.sock" },
        ]
        "#;
    let served = Served::start(stage, file);
    assert_eq!(get(served.http, "/who").text(), "inner");
    assert_eq!(get(served.http, "/other/who").text(), "inner");
    drop(one);
}

#[test]
fn a_long_upload_goes_on_while_its_server_is_slow() {
    let one = Upstream::start("one");
    let served = served(&[&one], "");
    let begun = Instant::now();
    let answer = post(served.http, "/direct/sip", &vec![b'x'; 20_000_000]);
    assert_eq!((answer.status, answer.text()), (200, "20000000".into()));
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn a_request_that_ends_connections_is_not_sent_by_each_of_them() {
    let one = Upstream::start("one");
    let served = served(&[&one], "eject = { after = 0 }");
    // Many connections that wait for a next request.
    let asked: Vec<_> = (0..30)
        .map(|_| {
            let http = served.http;
            std::thread::spawn(move || get(http, "/slow?s=0.3").status)
        })
        .collect();
    assert!(asked.into_iter().all(|one| one.join().unwrap() == 200));
    let count = || {
        get(one.address(), "/count").text().split("requests\": ").nth(1).unwrap().trim_end_matches('}').parse::<u32>()
    };
    let before = count().unwrap();
    assert_eq!(get(served.http, "/die").status, 502);
    // Once by an old connection, once by a new one; and what counts them.
    assert!(count().unwrap() - before <= 3, "{before} {:?}", count());
}

#[test]
fn only_what_looks_at_nothing_may_take_a_connection_over() {
    let one = Upstream::start("one");
    let served = served(&[&one], "");
    for offer in ["h2c", "HTTP/2.0", "TLS/1.2, capitals"] {
        let answer = request(
            served.http,
            "GET",
            "/echo",
            &format!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {offer}\r\nHTTP2-Settings: AAMA\r\n"),
        );
        assert_eq!(answer.status, 200, "{offer}");
        assert_eq!(
            (field(&answer.text(), "Upgrade"), field(&answer.text(), "HTTP2-Settings")),
            (None, None),
            "{offer}"
        );
    }
    let mut client = Connection::open(served.http);
    client.send("GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.answer().status, 502, "it changes to what was not offered");
    // The host that a request is routed by is the one that its server hears of.
    let mut client = Connection::open(served.http);
    client.send("GET http://real.example/echo HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(field(&client.answer().text(), "Host").as_deref(), Some("real.example"));
}
