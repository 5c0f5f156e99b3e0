//! In:     connections of a proxy that names its clients by the PROXY protocol.
//! Out:    servers, apps and logs that know how each client came: its address, the port it reached, its TLS.
//! Actors: one hallway, a server and an app in Python, raw sockets.
//! Never:  is a client believed that says so of itself.

use super::client::Connection;
use super::served::Served;
use super::stage::{Stage, wait_until};
use super::upstream::Upstream;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

const APP: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    seen = [environ[name] for name in ("wsgi.url_scheme", "REMOTE_ADDR", "REMOTE_PORT", "SERVER_PORT")]
    return [" ".join(seen).encode()]
"#;

fn served(one: &Upstream) -> Served {
    let file = format!(
        r#"
        [server]
        http = ["HTTP", "unix:DIR/http.sock"]
        https = "HTTPS"
        threads = 1
        trusted_proxies = ["127.0.0.1", "unix"]
        [log]
        access = {{ format = "$request_uri $scheme $ssl_protocol $ssl_cipher $ssl_server_name $ssl_client_verify" }}
        [app.web]
        wsgi = "app:app"
        python = "PYTHON"
        workers = 1
        [site."*"]
        routes = [{{ path = "/*", proxy = "http://{}" }}, {{ path = "/app", app = "web" }}]
        [site."shop.example"]
        tls = "internal"
        routes = [{{ path = "/*", app = "web" }}]
        "#,
        one.at
    );
    Served::start(Stage::with_app(APP), &file)
}

fn part(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind, (value.len() >> 8) as u8, value.len() as u8][..], value].concat()
}

/// A header of version 2 for a client at 192.0.2.7:4660 that reached 192.0.2.1:443.
fn binary(more: &[u8]) -> Vec<u8> {
    let body = [&[192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x34, 1, 187][..], more].concat();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11", &(body.len() as u16).to_be_bytes()[..], &body].concat()
}

fn tls() -> Vec<u8> {
    let inner = [part(0x21, b"TLSv1.3"), part(0x23, b"TLS_AES_128_GCM_SHA256")].concat();
    [part(0x02, b"shop.example"), part(0x20, &[&[1, 0, 0, 0, 1][..], &inner].concat())].concat()
}

fn ask(mut stream: impl Read + Write, preface: &[u8], path: &str, host: &str) -> String {
    stream.write_all(preface).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn servers_and_apps_know_how_a_client_came() {
    let one = Upstream::start("one");
    let served = served(&one);
    let tcp = || TcpStream::connect(served.http).unwrap();
    let unix = || UnixStream::connect(served.path("http.sock")).unwrap();
    let text = b"PROXY TCP4 192.0.2.7 192.0.2.1 4660 443\r\n";
    for (preface, scheme) in [(&text[..], "http"), (&binary(&[]), "http"), (&binary(&tls()), "https")] {
        let seen = ask(tcp(), preface, "/app", "h");
        assert!(seen.ends_with(&format!("\r\n\r\n{scheme} 192.0.2.7 4660 443")), "{seen}");
        let seen = ask(unix(), preface, "/app", "h");
        assert!(seen.ends_with(&format!("\r\n\r\n{scheme} 192.0.2.7 4660 443")), "by a unix socket: {seen}");
        let seen = ask(tcp(), preface, "/echo", "h");
        for line in [["X-Forwarded-Proto", scheme], ["X-Forwarded-Port", "443"], ["X-Forwarded-For", "192.0.2.7"]] {
            assert!(seen.contains(&format!("[\"{}\", \"{}\"]", line[0], line[1])), "{line:?} in {seen}");
        }
    }
    // Who came encrypted is not sent to where it comes from; who did not is.
    assert!(ask(tcp(), &binary(&tls()), "/", "shop.example").contains("\r\n\r\nhttps 192.0.2.7"));
    assert!(ask(tcp(), &binary(&[]), "/", "shop.example").starts_with("HTTP/1.1 30"));
    let told = wait_until(|| {
        let written = served.hallway.written();
        written.lines().find(|line| line.contains("https")).map(str::to_owned)
    });
    assert_eq!(told, "/app https TLSv1.3 TLS_AES_128_GCM_SHA256 shop.example NONE");
}

#[test]
fn a_header_may_say_more_than_anybody_wants_to_know() {
    let one = Upstream::start("one");
    let served = served(&one);
    for length in [0, 500, 519, 520, 521, 4_096, 60_000] {
        let preface = binary(&[part(4, &vec![0; length]), tls()].concat());
        let seen = ask(TcpStream::connect(served.http).unwrap(), &preface, "/app", "h");
        assert!(seen.ends_with("\r\n\r\nhttps 192.0.2.7 4660 443"), "{length}: {seen}");
    }
    // However it comes.
    let preface = binary(&[part(4, &vec![0; 2_000]), tls()].concat());
    let mut client = Connection::open(served.http);
    for piece in preface.chunks(700) {
        client.send(piece);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    client.send("GET /app HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().text(), "https 192.0.2.7 4660 443");
}

#[test]
fn a_client_that_is_no_proxy_says_nothing() {
    let one = Upstream::start("one");
    let served = served(&one);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.8:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&served.http.into()).unwrap();
    let seen = ask(TcpStream::from(socket), &binary(&tls()), "/app", "h");
    assert!(seen.starts_with("HTTP/1.1 400") && !seen.contains("192.0.2.7"), "{seen}");
}
