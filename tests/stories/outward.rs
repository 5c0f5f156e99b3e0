//! In:     servers that name their own addresses, below a prefix, behind another path or by another host.
//! Out:    Location, Refresh and cookies as clients can go by them.
//! Actors: one hallway, servers over HTTP/1.1, HTTP/2 and FastCGI, curl with a jar of cookies.
//! Never:  is an address changed that is not the server's own, or one of a route that wants none changed.

use super::client::{Answer, request};
use super::served::Served;
use super::stage::Stage;
use super::upstream::Upstream;

fn served(one: &Upstream) -> Served {
    let file = format!(
        r#"
        [server]
        http = "HTTP"
        threads = 1
        [pool.own]
        servers = ["http://{at}"]
        [pool.named]
        servers = ["http://{at}"]
        host = "inner.example"
        [pool.sticky]
        servers = ["http://{at}"]
        sticky = {{ cookie = "at" }}
        [site."shop.example"]
        routes = [
          {{ path = "/*", pool = "own" }},
          {{ path = "/cut/*", pool = "own", strip = true }},
          {{ path = "/named/*", pool = "named", strip = true }},
          {{ path = "/sticky/*", pool = "sticky", strip = true }},
          {{ path = "/old/{{who}}/*", pool = "own", rewrite = "/new/{{who}}/*" }},
          {{ path = "/one", pool = "own", rewrite = "/moved" }},
          {{ path = "/raw/*", pool = "named", strip = true, rewrite_answers = false }},
        ]
        "#,
        at = one.at
    );
    Served::start(Stage::new(), &file)
}

fn ask(served: &Served, path: &str, query: &str) -> Answer {
    request(served.http, "GET", &format!("http://shop.example{path}/moved?{query}"), "")
}

#[test]
fn addresses_of_servers_are_those_of_their_clients() {
    let one = Upstream::start("one");
    let served = served(&one);
    for (path, to, expected) in [
        ("/cut", "/login", "/cut/login"),
        ("/cut", "http://OWN/login%3Fa", "/cut/login?a"),
        ("/cut", "http://shop.example/login", "http://shop.example/cut/login"),
        ("/cut", "/cut/login", "/cut/login"),
        ("/cut", "https://login.example/x", "https://login.example/x"),
        ("/cut", "login", "login"),
        ("/named", "http://inner.example/login", "/named/login"),
        ("/named", "/", "/named/"),
        ("/old/bob", "/new/bob/x", "/old/bob/x"),
        ("/old/bob", "http://OWN/new/bob", "/old/bob"),
        ("/old/bob", "/new/eve/x", "/new/eve/x"),
        ("", "http://OWN/login", "/login"),
        ("", "/login", "/login"),
        ("/raw", "http://inner.example/login", "http://inner.example/login"),
        ("/raw", "/login", "/login"),
        // As nginx names itself: by the client's name for it, and its own port.
        ("/cut", "http://shop.example:PORT/login", "/cut/login"),
        ("", "http://shop.example:PORT/login/", "/login/"),
        ("/old/bob", "//shop.example:PORT/new/bob/x", "/old/bob/x"),
        ("/cut", "http://localhost:PORT/login", "/cut/login"),
        ("/cut", "https://shop.example/login", "https://shop.example/cut/login"),
        ("/raw", "http://shop.example:1/login", "http://shop.example:1/login"),
    ] {
        let to = to.replace("PORT", one.at.rsplit(':').next().unwrap());
        let answer = ask(&served, path, &format!("to={to}"));
        assert_eq!((answer.status, answer.header("location")), (302, Some(expected)), "{to} below {path}");
        let created = ask(&served, path, &format!("is=201&at={to}"));
        assert_eq!((created.status, created.header("content-location")), (201, Some(expected)), "{to} below {path}");
    }
    let later = ask(&served, "/cut", "is=200&later=5;url=http://OWN/x");
    assert_eq!(later.header("refresh").or(Some("-")), Some("5;url=/cut/x"), "{}", later.head);
    let later = ask(&served, "/cut", "is=200&later=5;%20URL='/x'");
    assert_eq!(later.header("refresh"), Some("5; URL=/cut/x"), "{}", later.head);
    // A path that stands for one alone is no place for others.
    let one_path = request(served.http, "GET", "http://shop.example/one?to=/x", "");
    assert_eq!(one_path.header("location"), Some("/x"));
}

#[test]
fn cookies_of_servers_come_back_to_them() {
    let one = Upstream::start("one");
    let served = served(&one);
    for (path, cookie, expected) in [
        ("/cut", "a=1%3B Path=/", "a=1; Path=/cut"),
        ("/cut", "a=1%3B Path=/deep%3B HttpOnly", "a=1; Path=/cut/deep; HttpOnly"),
        ("/cut", "a=1", "a=1"),
        ("/named", "a=1%3B Domain=inner.example%3B Path=/", "a=1; Domain=shop.example; Path=/named"),
        ("/old/bob", "a=1%3B Path=/new/bob", "a=1; Path=/old/bob"),
        ("/raw", "a=1%3B Domain=inner.example%3B Path=/", "a=1; Domain=inner.example; Path=/"),
    ] {
        let answer = ask(&served, path, &format!("cookie={}", cookie.replace(' ', "%20")));
        assert_eq!(answer.header("set-cookie"), Some(expected), "{cookie} below {path}");
    }
    // hallway's own cookie is for the whole site, and no server's.
    let answer = ask(&served, "/sticky", "cookie=a=1%3BPath=/");
    assert!(answer.head.contains("Set-Cookie: a=1; Path=/sticky\r\n"), "{}", answer.head);
    assert!(answer.head.lines().any(|line| line.starts_with("Set-Cookie: at=") && line.contains("; Path=/;")));
    // A browser's jar: the cookie goes where it came from, and nowhere else.
    let jar = served.path("jar").display().to_string();
    let resolve = format!("shop.example:{}:127.0.0.1", served.http.port());
    let base = format!("http://shop.example:{}", served.http.port());
    let curl = |path: &str| served.curl(&["--resolve", &resolve, "-b", &jar, "-c", &jar, &format!("{base}{path}")]);
    curl("/named/moved?cookie=a=1%3B%20Domain=inner.example%3B%20Path=/");
    assert!(curl("/named/echo").contains(r#"["Cookie", "a=1"]"#));
    assert!(!curl("/echo").contains("Cookie"));
}

#[test]
fn destinations_of_copies_are_what_the_server_knows() {
    let one = Upstream::start("one");
    let served = served(&one);
    for (path, to, expected) in [
        ("/cut", "http://shop.example/cut/b", "/b"),
        ("/cut", "/cut/b", "/b"),
        ("/cut", "http://other.example/cut/b", "http://other.example/cut/b"),
        ("/old/bob", "http://shop.example/old/bob/b", "/new/bob/b"),
        ("", "http://shop.example/b", "http://shop.example/b"),
        ("/raw", "http://shop.example/raw/b", "http://shop.example/raw/b"),
    ] {
        let target = format!("http://shop.example{path}/echo");
        let told = request(served.http, "MOVE", &target, &format!("Destination: {to}\r\n"));
        let expected = format!(r#"["Destination", "{expected}"]"#);
        assert!(told.text().contains(&expected), "{to} below {path}: {}", told.text());
    }
}

#[test]
fn by_http2_it_is_the_same() {
    let one = Upstream::start("one");
    let served = served(&one);
    let head = served.curl(&[
        "--http2-prior-knowledge",
        "--output",
        "/dev/null",
        "--dump-header",
        "-",
        "--header",
        "Host: shop.example",
        "http://HTTP_AT/cut/moved?to=http://OWN/x&cookie=a=1%3BPath=/",
    ]);
    assert!(head.contains("location: /cut/x\r\n") && head.contains("set-cookie: a=1; Path=/cut\r\n"), "{head}");
}
