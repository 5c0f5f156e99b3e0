//! In:     clients of the forward proxy.
//! Out:    what the server answers that they asked for, where it is named.
//! Actors: hallway twice over: as the proxy and as the server behind it; curl.
//! Never:  is it a way to anywhere else, or for anybody else.

use super::client::Connection;
use super::served::Served;
use super::stage::Stage;
use super::upstream::Canned;

/// The password is "secret".
const FILE: &str = r#"
[server]
http = "HTTP"
forward_proxy = { listen = "OTHER", allow = ["HTTP", "localhost:80"], basic_auth = { users = { alice = "$2y$05$SlVdZUAc0HMRj5qEmLes.ul1wYmmkpKMebaWA0qun6qIbAvR7choG" } } }
[site."*"]
routes = [{ path = "/*", respond = { body = "reached" } }]
"#;

#[test]
fn only_to_what_is_named_and_only_for_those_who_may() {
    let served = Served::start(Stage::new(), FILE);
    let proxy = |user: &str| format!("http://{user}{}", served.other);
    let code = ["-o", "/dev/null", "-w", "%{http_code} %{http_connect}"];
    let known = proxy("alice:secret@");
    assert_eq!(served.curl(&["-x", &known, "http://HTTP_AT/x"]), "reached");
    assert_eq!(served.curl(&["-p", "-x", &known, "http://HTTP_AT/x"]), "reached", "through a tunnel");
    assert_eq!(served.curl(&[&code[..], &["-x", &proxy(""), "http://HTTP_AT/x"]].concat()), "407 000");
    assert_eq!(served.curl(&[&code[..], &["-x", &proxy("alice:wrong@"), "http://HTTP_AT/x"]].concat()), "407 000");
    for elsewhere in ["http://127.0.0.1:1/", "http://example.com/", "http://127.0.0.1.example.com:80/"] {
        assert_eq!(served.curl(&[&code[..], &["-x", &known, elsewhere]].concat()), "403 000", "{elsewhere}");
    }
    assert_eq!(
        served.curl(&[&code[..], &["-x", &known, "http://localhost/"]].concat()),
        "502 000",
        "a name that leads in"
    );
    let tunnel = served.curl(&[&code[..], &["-p", "-x", &known, "http://127.0.0.1:1/"]].concat());
    assert!(tunnel.contains("000 403"), "{tunnel}");
    let server = served.curl(&[&code[..], &["--request-target", "/x", "http://HTTP_AT/"]].concat());
    assert_eq!(server, "200 000", "the other way it is a server as before");
}

#[test]
fn check_refuses_one_that_is_open_to_all() {
    let stage = Stage::new();
    let file = "[server]\nforward_proxy = { listen = \"0.0.0.0:3128\", allow = [\"*\"] }\n[site.\"*\"]\nroutes = [{ path = \"/*\", respond = {} }]\n";
    std::fs::write(stage.dir.join("hallway.toml"), file).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallway"));
    let output = command.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("anybody could use it") && said.contains("write HOST:PORT"), "{said}");
}

/// "alice:secret" in Base64.
const ALICE: &str = "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n";

/// A connection that was let in once is no way past the same look later.
#[test]
fn every_request_of_a_connection_is_looked_at() {
    let answer = |head: &str| match head.split(' ').next() {
        // It has its own mind about how a connection ends, and about when an answer begins.
        Some("POST") => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned(),
        Some("HEAD") => "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nreached".to_owned(),
    };
    let (named, other) = (Canned::start(answer), Canned::start(answer));
    let served = Served::start(Stage::new(), &FILE.replace("\"HTTP\", \"localhost:80\"", &format!("\"{}\"", named.at)));
    let get = |at: &str, more: &str| format!("GET http://{at}/x HTTP/1.1\r\nHost: {at}\r\n{more}\r\n");
    let mut client = Connection::open(served.other);
    client.send(get(&named.at, ALICE));
    assert_eq!(client.answer().text(), "reached");
    client.send(get(&other.at, ALICE));
    assert_eq!(client.answer().status, 403, "a server that is not named");
    client.send(get(&named.at, ""));
    assert_eq!(client.answer().status, 407, "nobody says who it is");
    client.send(get(&named.at, "Proxy-Authorization: Basic YWxpY2U6d3Jvbmc=\r\n"));
    assert_eq!(client.answer().status, 407);
    client.send(format!("CONNECT {} HTTP/1.1\r\nHost: {}\r\n{ALICE}\r\n", other.at, other.at));
    assert_eq!(client.answer().status, 403);
    assert!(client.is_closed(), "what would be a tunnel is no connection for requests");
    let mut client = Connection::open(served.other);
    // Both at once, and behind bodies of either kind, which are those requests' own to their last byte.
    client.send([get(&named.at, ALICE), get(&other.at, ALICE), get(&named.at, ALICE)].concat());
    let seen: Vec<u16> = (0..3).map(|_| client.answer().status).collect();
    assert_eq!(seen, [200, 403, 200]);
    for body in ["Content-Length: 5\r\n\r\nabcde", "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"] {
        let post = format!("POST http://{at}/x HTTP/1.1\r\nHost: {at}\r\n{ALICE}{body}", at = named.at);
        client.send([post, get(&other.at, ALICE)].concat());
        assert_eq!((client.answer().text(), client.answer().status), ("ok".into(), 403));
    }
    client.send(get(&named.at, ALICE).replace("GET", "HEAD"));
    assert_eq!(client.answer_to("HEAD").header("content-length"), Some("7"));
    client.send(get(&named.at, ALICE));
    assert_eq!(client.answer().text(), "reached");
    assert_eq!(other.asked(), Vec::<String>::new());
    let asked = named.asked();
    let heads = asked.iter().filter(|head| head.contains("/x HTTP/1.1"));
    assert!(heads.clone().count() == 7 && !asked.concat().contains("Proxy-Auth"), "{asked:?}");
}

/// What a tunnel carries is its own, and its end is that of the connection.
#[test]
fn a_tunnel_is_no_connection_for_other_requests() {
    let named = Canned::start(|_| "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nreached".into());
    let served = Served::start(Stage::new(), &FILE.replace("\"HTTP\", \"localhost:80\"", &format!("\"{}\"", named.at)));
    for version in ["1.1", "1.0"] {
        let mut client = Connection::open(served.other);
        client.send(format!("CONNECT {at} HTTP/{version}\r\nHost: {at}\r\n{ALICE}\r\n", at = named.at));
        assert!(client.head().starts_with("HTTP/1.1 200 "));
        for _ in 0..2 {
            client.send(format!("GET http://elsewhere.example/{version} HTTP/1.1\r\nHost: x\r\n\r\n"));
            assert_eq!(client.answer().text(), "reached", "it goes to the server as it stands");
        }
    }
    assert_eq!(named.asked().len(), 4);
}
