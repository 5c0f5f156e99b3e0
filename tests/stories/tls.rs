//! In:     clients that come encrypted, by name, with and without certificates, and those that do not.
//! Out:    the site they asked for, or why not.
//! Actors: hallway, curl, openssl.
//! Never:  does a client get what is another site's, or what it may not have.

use super::client::Connection;
use super::served::Served;
use super::stage::{Stage, python, wait_until};
use std::io::{Read, Write};
use std::process::Command;

const FILE: &str = r#"
[server]
http = "HTTP"
https = "HTTPS"
threads = 1
[log]
access = { path = "DIR/access.log", format = '$host $ssl_protocol $ssl_server_name $ssl_client_verify $server_protocol $status' }
[site."shop.example"]
tls = "internal"
hsts = { max_age = "1h", subdomains = true }
routes = [
  { path = "/*", respond = { body = "shop" } },
  { path = "/files/*", files = "DIR/files" },
]
[site."blog.example"]
tls = { cert = "DIR/blog.pem", key = "DIR/blog.key", min = "1.3" }
routes = [{ path = "/*", respond = { body = "blog" } }]
[site."closed.example"]
tls = { cert = "DIR/closed.pem", key = "DIR/closed.key", clients = "DIR/ca.pem" }
routes = [{ path = "/*", respond = { body = "closed" } }]
[site."plain.example"]
routes = [{ path = "/*", respond = { body = "plain" } }]
"#;

fn openssl(stage: &Stage, arguments: &str) {
    let mut command = Command::new("openssl");
    let output = command.args(arguments.split(' ')).current_dir(&stage.dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A certificate of its own for a name; `days` may be over.
fn certify(stage: &Stage, name: &str, host: &str) {
    openssl(
        stage,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={host} \
             -addext subjectAltName=DNS:{host} -keyout {name}.key -out {name}.pem"
        ),
    );
}

fn start() -> Served {
    let stage = Stage::new().file("files/large.txt", &"0123456789abcdef".repeat(20_000)).file("files/a.txt", "small");
    certify(&stage, "blog", "blog.example");
    certify(&stage, "closed", "closed.example");
    certify(&stage, "ca", "ca.example");
    let leaf =
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=alice -keyout alice.key -out alice.csr";
    openssl(&stage, leaf);
    let stage = stage.file("leaf.ext", "basicConstraints=CA:FALSE");
    openssl(&stage, "x509 -req -in alice.csr -CA ca.pem -CAkey ca.key -days 30 -extfile leaf.ext -out alice.pem");
    Served::start(stage, FILE)
}

#[test]
fn each_site_has_its_own_certificate() {
    let served = start();
    for version in ["--http1.1", "--http2"] {
        assert_eq!(served.curl(&[version, "https://shop.example:PORT/x"]), "shop");
    }
    let blog = served.path("blog.pem");
    assert_eq!(served.curl(&["--cacert", blog.to_str().unwrap(), "https://blog.example:PORT/"]), "blog");
    assert!(served.curl(&["https://blog.example:PORT/"]).contains("SSL certificate problem"), "it is its own");
    let old = ["--cacert", blog.to_str().unwrap(), "--tls-max", "1.2", "https://blog.example:PORT/"];
    assert!(served.curl(&old).contains("alert"), "only 1.3 there");
    assert_eq!(served.curl(&["--tls-max", "1.2", "https://shop.example:PORT/"]), "shop");
    assert!(served.curl(&["-k", "https://none.example:PORT/"]).contains("alert"), "no site, no certificate");
    let large = std::fs::read_to_string(served.path("files/large.txt")).unwrap();
    for version in ["--http1.1", "--http2"] {
        assert!(served.curl(&[version, "https://shop.example:PORT/files/large.txt"]) == large, "{version}");
        assert_eq!(served.curl(&[version, "-r", "15-16", "https://shop.example:PORT/files/large.txt"]), "f0");
    }
    // Asked by the name of another site than that of the connection.
    let crossed = ["-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: blog.example", "https://shop.example:PORT/"];
    for version in ["--http1.1", "--http2"] {
        assert_eq!(served.curl(&[&[version], &crossed[..]].concat()), "421", "{version}");
    }
}

#[test]
fn who_comes_unencrypted_is_sent_on() {
    let served = start();
    let port = served.https.port();
    let ask = |line: &str, host: &str| {
        let mut connection = Connection::open(served.http);
        connection.send(format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"));
        let answer = connection.answer();
        assert!(
            answer.status < 300 || answer.header("cache-control") == Some("no-cache"),
            "not for ever: {}",
            answer.head
        );
        (answer.status, answer.header("location").unwrap_or_default().to_owned())
    };
    assert_eq!(ask("GET /a?b=c", "shop.example"), (301, format!("https://shop.example:{port}/a?b=c")));
    assert_eq!(ask("POST //a", "SHOP.example:80"), (308, format!("https://SHOP.example:{port}/a")));
    assert_eq!(ask("GET /", "plain.example").0, 200);
    let mut lost = Connection::open(served.https);
    lost.send("GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(lost.answer().header("location"), Some(&*format!("https://shop.example:{port}/x")));
    let mut lost = Connection::open(served.https);
    lost.send("GET /x HTTP/1.1\r\nHost: plain.example\r\n\r\n");
    assert_eq!(lost.answer().status, 400);
    let strict = served.curl(&["-D", "-", "-o", "/dev/null", "--http1.1", "https://shop.example:PORT/"]);
    assert!(strict.contains("Strict-Transport-Security: max-age=3600; includeSubDomains"), "{strict}");
    let mut plain = Connection::open(served.http);
    plain.send("GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(plain.answer().header("strict-transport-security"), None, "RFC 6797, 7.2");
}

#[test]
fn clients_show_certificates_where_they_have_to() {
    let served = start();
    let path = |name: &str| served.path(name).display().to_string();
    let (closed, pem, key) = (path("closed.pem"), path("alice.pem"), path("alice.key"));
    let with = ["--cacert", &closed, "--cert", &pem, "--key", &key];
    assert_eq!(served.curl(&[&with[..], &["https://closed.example:PORT/"]].concat()), "closed");
    assert!(served.curl(&["--cacert", &closed, "https://closed.example:PORT/"]).contains("alert"));
    let (own, own_key) = (path("blog.pem"), path("blog.key"));
    let foreign = ["--cacert", &closed, "--cert", &own, "--key", &own_key, "https://closed.example:PORT/"];
    assert!(served.curl(&foreign).contains("alert"), "a certificate of nobody's");
    // By the way of another site, or of none.
    let status = ["-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: closed.example"];
    assert_eq!(served.curl(&[&status[..], &["https://shop.example:PORT/"]].concat()), "421");
    assert_eq!(served.curl(&[&status[..], &["-k", "https://127.0.0.1:PORT/"]].concat()), "421");
    let log =
        wait_until(|| std::fs::read_to_string(served.path("access.log")).ok().filter(|log| log.lines().count() >= 3));
    assert!(log.contains("closed.example TLSv1.3 closed.example SUCCESS HTTP/2.0 200"), "{log}");
}

/// A client of TLS 1.3 is done before the server has seen its certificate, and sends its request at once. What it
/// is told then must reach it, however much it has sent.
#[test]
fn who_is_refused_can_read_why() {
    let served = start();
    let path = |name: &str| served.path(name).display().to_string();
    let client = |how: &str, shows: &[String]| {
        let mut command = Command::new(python());
        command.args(["-B", "-c", REFUSED, &served.https.port().to_string(), &path("closed.pem"), how]).args(shows);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
    };
    let (own, foreign) = ([path("alice.pem"), path("alice.key")], [path("blog.pem"), path("blog.key")]);
    assert_eq!(client("patient", &own), "200");
    assert_eq!(client("patient", &[]), "TLSV13_ALERT_CERTIFICATE_REQUIRED");
    assert!(client("patient", &foreign).contains("ALERT"), "a certificate of nobody's");
    assert_eq!(client("endless", &[]), "ended", "nobody is listened to for ever");
}

/// Sends bit by bit, looks only then for what was answered; or sends without end.
const REFUSED: &str = r#"
import socket, ssl, sys, time
port, authority, how, *shows = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
context.minimum_version = ssl.TLSVersion.TLSv1_3
if shows:
    context.load_cert_chain(*shows)
plain = socket.create_connection(("127.0.0.1", int(port)), 60)
client = context.wrap_socket(plain, server_hostname="closed.example")
if how == "endless":
    try:
        while True:
            client.sendall(b"x" * 65536)
    except OSError:
        sys.exit("ended")
for piece in [b"GET / HTTP/1.1\r\n", b"Host: closed.example\r\n"] + [b"X: 1\r\n"] * 10 + [b"\r\n"]:
    client.sendall(piece)
    time.sleep(0.02)
try:
    print(client.recv(100).split()[1].decode())
except ssl.SSLError as error:
    print(error.reason)
"#;

#[test]
fn a_certificate_that_changes_is_taken_and_a_broken_one_is_not() {
    let mut served = start();
    let before = std::fs::read_to_string(served.path("blog.pem")).unwrap();
    std::fs::write(served.path("blog.pem"), "no certificate").unwrap();
    served.hallway.wait_for_line(|line| {
        line.contains("the certificate of blog.example:") && line.contains("the one from before stays")
    });
    std::fs::write(served.path("old.pem"), &before).unwrap();
    let old = served.path("old.pem").display().to_string();
    assert_eq!(served.curl(&["--cacert", &old, "https://blog.example:PORT/"]), "blog");
    certify(served.hallway.stage.as_ref().unwrap(), "blog", "blog.example");
    served.hallway.wait_for_line(|line| line.contains("the certificate of blog.example has changed"));
    let serial = || {
        let pem = served.path("blog.pem").display().to_string();
        served.curl(&["--cacert", &pem, "https://blog.example:PORT/"])
    };
    wait_until(|| (serial() == "blog").then_some(()));
}

#[test]
fn check_finds_certificates_that_clients_would_refuse() {
    let stage = Stage::new();
    certify(&stage, "a", "a.example");
    certify(&stage, "b", "b.example");
    let mut params = rcgen::CertificateParams::new(vec!["a.example".into()]).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    let key = rcgen::KeyPair::generate().unwrap();
    let stage = stage.file("old.pem", &params.self_signed(&key).unwrap().pem()).file("old.key", &key.serialize_pem());
    let check = |tls: &str| {
        let file = format!(
            "[server]\nhttps = \"127.0.0.1:0\"\n[site.\"a.example\"]\ntls = {tls}\nroutes = [{{ path = \"/*\", respond = {{}} }}]\n"
        );
        std::fs::write(stage.dir.join("hallway.toml"), file).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
        let output = command.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for (cert, key, said) in [
        ("a.pem", "a.key", "valid"),
        ("a.pem", "b.key", "the key is not that of the certificate"),
        ("b.pem", "b.key", "the certificate is not for 'a.example'"),
        ("old.pem", "old.key", "the certificate has expired"),
        ("a.key", "a.key", "holds no certificate"),
        ("a.pem", "a.pem", "holds no private key"),
    ] {
        let seen = check(&format!("{{ cert = \"{cert}\", key = \"{key}\" }}"));
        assert!(seen.contains(said), "{cert} {key}: {seen}");
    }
    std::fs::write(stage.dir.join("none.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let seen = check("{ cert = \"a.pem\", key = \"a.key\", clients = \"none.pem\" }");
    assert!(seen.contains("this is no certificate of an authority"), "{seen}");
}

/// Bytes that are no TLS, or only its beginning, cost their sender a connection and nobody else anything.
#[test]
fn noise_harms_nobody() {
    let served = start();
    for noise in [&b"\x16\x03\x01\xff\xff"[..], b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x03\x01", &[0xff; 4096]] {
        let mut connection = Connection::open(served.https);
        let _ = connection.try_send(noise);
        let mut room = [0; 512];
        let _ = connection.reader().read(&mut room);
    }
    assert_eq!(served.curl(&["https://shop.example:PORT/"]), "shop");
    let mut half = std::net::TcpStream::connect(served.https).unwrap();
    half.write_all(b"\x16\x03\x01").unwrap();
    assert_eq!(served.curl(&["https://shop.example:PORT/"]), "shop");
}
