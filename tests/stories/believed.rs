//! In:     what proxies and strangers say of who a client is; what hallway itself knows of it.
//! Out:    apps, servers and gateways see the one and not the other.
//! Actors: hallway, nginx with oauth2-proxy's configuration, curl, uWSGI.
//! Never:  does a stranger's word about himself reach anybody.

use super::client::Answer;
use super::served::Served;
use super::stage::{Stage, wait_until};
use super::upstream::Upstream;
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// Says what it was asked: every string of its environ.
pub(super) const APP: &str = r#"
import json

def app(environ, start_response):
    said = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]
"#;

const FILE: &str = r#"
[server]
http = "HTTP"
threads = 1
trusted_proxies = ["127.0.0.9"]
[log]
access = { path = "stdout", format = "$request_uri $request_id" }
[app.web]
wsgi = "app:app"
python = "PYTHON"
workers = 1
[site."*"]
routes = [
  { path = "/*", app = "web" },
  { path = "/pool/*", proxy = "http://UPSTREAM", strip = true },
  { path = "/cut/*", app = "web", strip = true },
]
"#;

/// What identifies a client by the word of a proxy, as oauth2-proxy and Envoy say it.
const IDENTITY: [(&str, &str); 7] = [
    ("X-Forwarded-User", "alice"),
    ("X-Forwarded-Email", "alice@example.com"),
    ("X-Forwarded-Groups", "staff,admins"),
    ("X-Forwarded-Preferred-Username", "al"),
    ("X-Forwarded-Access-Token", "ey.J0"),
    ("X-Forwarded-Client-Cert", "Hash=ab;Subject=\"CN=alice\""),
    ("X-Original-URL", "/seen"),
];

fn identity() -> String {
    IDENTITY.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&format!("{from}:0").parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// A GET by a client at this address.
pub(super) fn ask(from: &str, to: SocketAddr, path: &str, lines: &str) -> Answer {
    let mut stream = connect(from, to);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{lines}\r\n").unwrap();
    let mut raw = String::new();
    stream.read_to_string(&mut raw).unwrap();
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    Answer { status: head[9..12].parse().unwrap(), head: head.into(), body: body.as_bytes().to_vec() }
}

/// What an app, or a server, says that it was asked; header names as CGI spells them.
pub(super) fn seen(answer: &Answer) -> BTreeMap<String, String> {
    let text = answer.text();
    let said: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}\n{text}", answer.head));
    let lines: Vec<(String, String)> = match &said["headers"] {
        serde_json::Value::Array(pairs) => {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let name = |pair: &serde_json::Value| format!("HTTP_{}", text(&pair[0]).to_uppercase().replace('-', "_"));
            let headers = pairs.iter().map(|pair| (name(pair), text(&pair[1])));
            headers.chain([("PATH".to_owned(), text(&said["path"]))]).collect()
        }
        _ => {
            let said = said.as_object().unwrap();
            said.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
        }
    };
    lines.into_iter().collect()
}

fn cgi(name: &str) -> String {
    format!("HTTP_{}", name.to_uppercase().replace('-', "_"))
}

fn start(file: &str) -> (Upstream, Served) {
    let upstream = Upstream::start("one");
    let served = Served::start(Stage::with_app(APP), &file.replace("UPSTREAM", &upstream.at));
    (upstream, served)
}

#[test]
fn what_a_trusted_proxy_says_passes_whole_and_from_others_goes() {
    let (_upstream, served) = start(FILE);
    let sent = format!(
        "{}X-Forwarded-Prefix: /outer\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.7\r\nX_User: evil\r\nProxy: evil\r\n",
        identity()
    );
    for path in ["/x", "/pool/echo"] {
        let believed = seen(&ask("127.0.0.9", served.http, path, &sent));
        for (name, value) in IDENTITY {
            assert_eq!(believed.get(&cgi(name)).map(String::as_str), Some(value), "{path} {name}");
        }
        assert_eq!(believed["HTTP_X_REAL_IP"], "192.0.2.7", "{path}: the client's address is hallway's to say");
        assert!(!believed.contains_key("HTTP_X_USER") && !believed.contains_key("HTTP_PROXY"), "{path} {believed:?}");
        let stranger = seen(&ask("127.0.0.8", served.http, path, &sent));
        for (name, _) in IDENTITY {
            assert_eq!(stranger.get(&cgi(name)), None, "{path} {name} of a stranger");
        }
        assert_eq!(stranger["HTTP_X_REAL_IP"], "127.0.0.8");
    }
    // What was taken off the path, there and here.
    assert_eq!(seen(&ask("127.0.0.9", served.http, "/pool/echo", &sent))["HTTP_X_FORWARDED_PREFIX"], "/outer/pool");
    assert_eq!(seen(&ask("127.0.0.8", served.http, "/pool/echo", &sent))["HTTP_X_FORWARDED_PREFIX"], "/pool");
    assert_eq!(seen(&ask("127.0.0.9", served.http, "/x", &sent))["HTTP_X_FORWARDED_PREFIX"], "/outer");
    assert_eq!(seen(&ask("127.0.0.9", served.http, "/cut/x", &sent))["HTTP_X_FORWARDED_PREFIX"], "/outer/cut");
    assert_eq!(seen(&ask("127.0.0.8", served.http, "/cut/x", &sent)).get("HTTP_X_FORWARDED_PREFIX"), None);
}

#[test]
fn a_request_keeps_the_id_that_a_trusted_proxy_gave_it() {
    let (_upstream, served) = start(FILE);
    let given = "Root=1-67891233-abcdef012345678912345678";
    for path in ["/x", "/pool/echo"] {
        let answer = ask("127.0.0.9", served.http, path, &format!("X-Request-Id: {given}\r\n"));
        assert_eq!(answer.header("x-request-id"), Some(given), "{path}");
        assert_eq!(seen(&answer)["HTTP_X_REQUEST_ID"], given, "{path}");
        wait_until(|| served.hallway.written().contains(&format!("{path} {given}")).then_some(()));
        for (from, id) in [("127.0.0.8", given), ("127.0.0.9", "a b"), ("127.0.0.9", &*"a".repeat(129))] {
            let answer = ask(from, served.http, path, &format!("X-Request-Id: {id}\r\n"));
            let own = answer.header("x-request-id").unwrap();
            assert!(own.len() == 32 && own.bytes().all(|byte| byte.is_ascii_hexdigit()), "{from} {id}: {own}");
            assert_eq!(seen(&answer)["HTTP_X_REQUEST_ID"], own);
        }
    }
}

#[test]
fn behind_a_cdn_only_named_headers_are_believed() {
    let named = "client_ip_header = \"CF-Connecting-IP\"\ntrusted_headers = [\"X-Forwarded-Email\", \"Remote-User\"]\n";
    let (_upstream, served) = start(&FILE.replacen("[log]", &format!("{named}[log]"), 1));
    let sent = format!(
        "{}X-Request-Id: strangers\r\nRemote-User: alice\r\nCF-Connecting-IP: 192.0.2.9\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 99\r\nX-Forwarded-Proto: https\r\n",
        identity()
    );
    for path in ["/x", "/pool/echo"] {
        let believed = seen(&ask("127.0.0.9", served.http, path, &sent));
        for (name, value) in IDENTITY {
            let expected = (name == "X-Forwarded-Email").then_some(value);
            assert_eq!(believed.get(&cgi(name)).map(String::as_str), expected, "{path} {name}");
        }
        assert_eq!((&*believed["HTTP_REMOTE_USER"], &*believed["HTTP_X_REAL_IP"]), ("alice", "192.0.2.9"));
        assert_ne!(believed["HTTP_X_REQUEST_ID"], "strangers");
        let told = ["PROTO", "HOST", "PORT"].map(|name| &*believed[&format!("HTTP_X_FORWARDED_{name}")]);
        assert_eq!(told, ["https", "shop.example", "443"], "{path}");
        let stranger = seen(&ask("127.0.0.8", served.http, path, &sent));
        for name in ["HTTP_REMOTE_USER", "HTTP_X_FORWARDED_EMAIL", "HTTP_CF_CONNECTING_IP"] {
            assert_eq!(stranger.get(name), None, "{path} {name} of a stranger");
        }
    }
}

#[test]
fn after_the_proxy_protocol_the_peer_is_the_client() {
    let (_upstream, served) = start(FILE);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.9:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&served.http.into()).unwrap();
    let mut stream = std::net::TcpStream::from(socket);
    let head = "GET /x HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-User: root\r\nX-Request-Id: mine\r\nConnection: close\r\n\r\n";
    write!(stream, "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n{head}").unwrap();
    let mut raw = String::new();
    stream.read_to_string(&mut raw).unwrap();
    assert!(raw.contains("192.0.2.7") && !raw.contains("root") && !raw.contains("mine"), "{raw}");
}

#[test]
fn a_trace_begins_here_or_goes_on() {
    let (_upstream, served) = start(FILE);
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    for path in ["/x", "/pool/echo"] {
        let one = ask("127.0.0.8", served.http, path, "tracestate: a=1\r\n");
        let made = seen(&one);
        let parts: Vec<&str> = made["HTTP_TRACEPARENT"].split('-').collect();
        assert_eq!((parts.len(), parts[0], parts[2].len(), parts[3]), (4, "00", 16, "01"), "{path}: {parts:?}");
        assert_eq!(Some(parts[1]), one.header("x-request-id"), "{path}: the trace is found by the id of its request");
        assert_eq!(made.get("HTTP_TRACESTATE"), None, "{path}: the state of no trace");
        let other = seen(&ask("127.0.0.8", served.http, path, ""));
        assert_ne!(made["HTTP_TRACEPARENT"], other["HTTP_TRACEPARENT"]);
        let kept = seen(&ask("127.0.0.8", served.http, path, &format!("traceparent: {given}\r\ntracestate: a=1\r\n")));
        assert_eq!((&*kept["HTTP_TRACEPARENT"], &*kept["HTTP_TRACESTATE"]), (given, "a=1"), "{path}");
        let broken = format!("traceparent: {}\r\ntracestate: a=1\r\n", given.to_uppercase());
        let mended = seen(&ask("127.0.0.8", served.http, path, &broken));
        assert!(mended["HTTP_TRACEPARENT"].len() == 55 && !mended["HTTP_TRACEPARENT"].contains("4BF9"), "{mended:?}");
        assert_eq!(mended.get("HTTP_TRACESTATE"), None);
    }
}

/// The configuration that oauth2-proxy documents for nginx.
const NGINX: &str = "daemon off; pid DIR/pid; error_log stderr;\nevents {}\nhttp {\n access_log off;\n \
    client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c; scgi_temp_path DIR/d;\n \
    uwsgi_temp_path DIR/e;\n server {\n  listen NGINX;\n  \
    location = /oauth2/auth { internal; proxy_pass http://HALLWAY; proxy_pass_request_body off; }\n  \
    location / {\n   auth_request /oauth2/auth;\n   auth_request_set $user $upstream_http_x_auth_request_user;\n   \
    auth_request_set $email $upstream_http_x_auth_request_email;\n   proxy_bind 127.0.0.9;\n   \
    proxy_set_header X-Forwarded-User $user;\n   proxy_set_header X-Forwarded-Email $email;\n   \
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n   proxy_set_header X-Request-Id $request_id;\n   \
    proxy_set_header Host $host;\n   proxy_pass http://HALLWAY;\n  }\n }\n}\n";

/// A server that ends with its story.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        super::stage::signal(self.0.id(), "INT");
        let _ = self.0.wait();
    }
}

#[test]
fn behind_nginx_and_oauth2_proxy_apps_see_who_it_is() {
    let auth = r#"  { path = "/oauth2/auth", respond = { status = 202 }, headers = { set = { X-Auth-Request-User = "alice", X-Auth-Request-Email = "alice@example.com" } } },
]"#;
    let (_upstream, served) = start(&FILE.replacen("\n]", &format!("\n{auth}"), 1));
    let address = super::served::free_address();
    let stage = Stage::new();
    let text = NGINX.replace("DIR", stage.dir.to_str().unwrap()).replace("NGINX", &address.to_string());
    let stage = stage.file("nginx.conf", &text.replace("HALLWAY", &served.http.to_string()));
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-c").arg(stage.dir.join("nginx.conf")).args(["-e", "stderr"]).stderr(Stdio::null());
    let _nginx = Server(command.spawn().expect("nginx is there: `make test` installs it"));
    wait_until(|| TcpStream::connect(address).ok());
    for path in ["/x", "/pool/echo"] {
        let forged = "X-Forwarded-User: root\r\nX-Forwarded-Email: root@example.com\r\n";
        let answer = ask("127.0.0.7", address, path, forged);
        let app = seen(&answer);
        assert_eq!((&*app["HTTP_X_FORWARDED_USER"], &*app["HTTP_X_FORWARDED_EMAIL"]), ("alice", "alice@example.com"));
        assert_eq!(app["HTTP_X_REAL_IP"], "127.0.0.7", "{path}");
        assert_eq!(answer.header("x-request-id"), Some(&*app["HTTP_X_REQUEST_ID"]), "{path}: nginx's own");
        let past = seen(&ask("127.0.0.7", served.http, path, forged));
        assert_eq!(past.get("HTTP_X_FORWARDED_USER"), None, "{path}: past the proxy");
    }
}

#[test]
fn a_client_of_http2_is_told_from_a_trusted_proxy_of_http2() {
    let (_upstream, served) = start(FILE);
    for path in ["/x", "/pool/echo"] {
        for (from, user) in [("127.0.0.9", Some("alice")), ("127.0.0.8", None)] {
            let url = format!("http://HTTP_AT{path}");
            let said = served.curl(&[
                "--http2-prior-knowledge",
                "--interface",
                from,
                "-H",
                "X-Forwarded-User: alice",
                "-H",
                "X-Request-Id: given",
                &url,
            ]);
            let answer = Answer { status: 200, head: String::new(), body: said.into_bytes() };
            let seen = seen(&answer);
            assert_eq!(seen.get("HTTP_X_FORWARDED_USER").map(String::as_str), user, "{path} from {from}");
            assert_eq!(seen["HTTP_X_REQUEST_ID"] == "given", user.is_some(), "{path} from {from}");
            assert_eq!(seen["HTTP_TRACEPARENT"].len(), 55);
        }
    }
}

#[test]
fn what_stands_behind_a_body_says_no_more_than_a_head() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = r#"
        [server]
        http = "HTTP"
        trusted_proxies = ["127.0.0.9"]
        client_ip_header = "CF-Connecting-IP"
        trusted_headers = ["Remote-User"]
        [pool.one]
        servers = ["http://SERVER"]
        buffer_requests = false
        request_headers = { set = { X-Of-Pool = "1" } }
        [site."*"]
        routes = [{ path = "/*", pool = "one", request_headers = { set = { X-Tenant = "own" }, remove = ["X-Gone"] } }]
        "#;
    let served = Served::start(Stage::new(), &file.replace("SERVER", &server.local_addr().unwrap().to_string()));
    for from in ["127.0.0.8", "127.0.0.9"] {
        let mut client = connect(from, served.http);
        let trailers = "Remote-User: root\r\nCF-Connecting-IP: 6.6.6.6\r\nX-Tenant: evil\r\nx-of-pool: 2\r\nX-Gone: 1\r\n\
            X-Real-IP: 6.6.6.6\r\nX-Sum: 1\r\n";
        let head = "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        write!(client, "{head}1\r\na\r\n0\r\n{trailers}\r\n").unwrap();
        let (mut seen, mut connection) = (Vec::new(), server.accept().unwrap().0);
        let end = |seen: &[u8]| memchr::memmem::find(seen, b"\r\n0\r\n");
        while end(&seen).is_none_or(|at| !seen[at..].ends_with(b"\r\n\r\n")) {
            let mut room = [0; 4096];
            let read = connection.read(&mut room).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&room[..read]);
        }
        let behind = String::from_utf8_lossy(&seen[end(&seen).unwrap()..]).into_owned();
        assert_eq!(behind, "\r\n0\r\nX-Sum: 1\r\n\r\n", "from {from}");
        connection.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
    }
}
