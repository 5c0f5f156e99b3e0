//! In:     servers that speak HTTP/2 and gRPC, with and without TLS.
//! Out:    what their clients see through hallway.
//! Actors: one hallway, grpcio on both sides, nginx, servers in Python.
//! Never:  is a trailer lost, or a conversation held back.

use super::client::{get, post};
use super::served::Served;
use super::stage::{Stage, python, wait_until};
use super::upstream::Upstream;
use std::path::Path;
use std::process::Command;

fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps").join(name));
    command
}

#[test]
fn grpc_in_every_way_there_is() {
    let server = Upstream::launch(&mut script("grpc_server.py"));
    let file = format!(
        r#"
        [server]
        http = "HTTP"
        [log]
        access = {{ format = "$request $status $upstream_addr" }}
        [site."*"]
        routes = [{{ path = "/*", proxy = "grpc://{}" }}]
        "#,
        server.at
    );
    let served = Served::start(Stage::new(), &file);
    let output = script("grpc_client.py").arg(served.http.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.starts_with("all well"), "{said}{}", served.hallway.said());
    wait_until(|| {
        served.hallway.written().contains(&format!("POST /story.Echo/One HTTP/2.0 200 {}", server.at)).then_some(())
    });
    // The server goes: who asks hears of it.
    server.kill();
    let output = script("grpc_client.py").arg(served.http.to_string()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("StatusCode.UNAVAILABLE"), "{output:?}");
}

const EC: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

fn openssl(stage: &Stage, words: &[&str]) {
    let made = Command::new("openssl").args(words).current_dir(&stage.dir).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// A certificate that nobody but its key has signed, as people make one for a server, and the key.
fn own_word(stage: &Stage, name: &str) -> [String; 2] {
    let (subject, names) = (format!("/CN={name}"), format!("subjectAltName=DNS:{name}"));
    let [pem, key] = [format!("{name}.pem"), format!("{name}.key")];
    let made = ["-days", "2", "-subj", &subject, "-addext", &names, "-keyout", &key, "-out", &pem];
    openssl(stage, &[&["req", "-x509"], &EC[..], &made[..]].concat());
    [pem, key].map(|file| stage.dir.join(file).display().to_string())
}

/// A certificate for 127.0.0.1 and `inner.example`, signed by an authority of its own: both, and the key.
pub fn certificate(stage: &Stage, name: &str) -> [String; 3] {
    let openssl = |words: &[&str]| openssl(stage, words);
    let ec = EC;
    let (authority, request) = (format!("/CN={name} authority"), format!("/CN={name}"));
    let of = |end: &str| format!("{name}{end}");
    openssl(
        &[
            &["req", "-x509"],
            &ec[..],
            &["-days", "2", "-subj", &authority, "-keyout", &of("-ca.key"), "-out", &of("-ca.pem")],
        ]
        .concat(),
    );
    openssl(&[&["req"], &ec[..], &["-subj", &request, "-keyout", &of(".key"), "-out", &of(".csr")]].concat());
    std::fs::write(stage.dir.join(of(".ext")), "subjectAltName=IP:127.0.0.1,DNS:inner.example\n").unwrap();
    openssl(&[
        "x509",
        "-req",
        "-in",
        &of(".csr"),
        "-CA",
        &of("-ca.pem"),
        "-CAkey",
        &of("-ca.key"),
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        &of(".ext"),
        "-out",
        &of(".pem"),
    ]);
    [of(".pem"), of("-ca.pem"), of(".key")].map(|file| stage.dir.join(file).display().to_string())
}

#[test]
fn servers_behind_tls_show_who_they_are_and_so_does_hallway() {
    let stage = Stage::new();
    let [pem, ca, key] = certificate(&stage, "server");
    let [own_pem, own_ca, own_key] = certificate(&stage, "own");
    let inner = Upstream::start_with(&["inner", "127.0.0.1:0", &pem, &key]);
    let [alone, alone_key] = own_word(&stage, "alone.example");
    let selfish = Upstream::start_with(&["selfish", "127.0.0.1:0", &alone, &alone_key]);
    let asking = Upstream::start_with(&["asking", "127.0.0.1:0", &pem, &key, &own_ca]);
    let pool =
        |name: &str, at: &str, tls: &str| format!("[pool.{name}]\nservers = [\"https://{at}\"]\ntls = {{ {tls} }}\n");
    let file = format!(
        "[server]\nhttp = \"HTTP\"\n{}{}{}{}{}{}{}{}{}[site.\"*\"]\nroutes = [\n{}]\n",
        pool("trusted", &inner.at, &format!("ca = \"{ca}\"")),
        pool("unknown", &inner.at, ""),
        pool("anybody", &inner.at, "verify = false"),
        pool("named", &inner.at, &format!("ca = \"{ca}\", name = \"inner.example\"")),
        pool("misnamed", &inner.at, &format!("ca = \"{ca}\", name = \"other.example\"")),
        pool("shown", &asking.at, &format!("ca = \"{ca}\", cert = \"{own_pem}\", key = \"{own_key}\"")),
        pool("own-word", &selfish.at, &format!("ca = \"{alone}\", name = \"alone.example\"")),
        pool("stranger", &selfish.at, &format!("ca = \"{ca}\", name = \"alone.example\"")),
        pool("other-name", &selfish.at, &format!("ca = \"{alone}\"")),
        ["trusted", "unknown", "anybody", "named", "misnamed", "shown", "own-word", "stranger", "other-name"]
            .map(|name| format!("  {{ path = \"/{name}/*\", pool = \"{name}\" }},\n"))
            .concat()
    );
    let served = Served::start(stage, &file);
    for (path, status) in
        [("trusted", 200), ("unknown", 502), ("anybody", 200), ("named", 200), ("misnamed", 502), ("shown", 200)]
            .into_iter()
            .chain([("own-word", 200), ("stranger", 502), ("other-name", 502)])
    {
        assert_eq!(get(served.http, &format!("/{path}/who")).status, status, "{path}: {}", served.hallway.said());
    }
    assert_eq!(post(served.http, "/trusted/length", &vec![b'x'; 1_000_000]).text(), "1000000");
    let said = served.hallway.said();
    assert!(
        said.contains("pool unknown")
            && said.contains("nobody who is trusted has signed its certificate; write tls = { ca ="),
        "{said}"
    );
    assert!(said.contains("pool misnamed") && said.contains("not valid for this name; write tls = { name ="), "{said}");
}

#[test]
fn http2_to_a_server_with_tls() {
    let stage = Stage::new();
    let [pem, ca, key] = certificate(&stage, "server");
    std::fs::create_dir(stage.dir.join("files")).unwrap();
    std::fs::write(stage.dir.join("files/a.txt"), vec![b'x'; 300_000]).unwrap();
    let at = super::served::free_address();
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let conf = format!(
        "{user} daemon off; worker_processes 1; pid DIR/nginx.pid; error_log DIR/nginx.log; events {{ }}\n\
         http {{ access_log off; client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fcgi;\n\
         scgi_temp_path DIR/scgi; uwsgi_temp_path DIR/uwsgi;\n\
         server {{ listen {at} ssl http2; ssl_certificate {pem}; ssl_certificate_key {key}; root DIR/files;\n\
         location /who {{ return 200 $server_protocol; }} }} }}\n"
    );
    std::fs::write(stage.dir.join("nginx.conf"), conf.replace("DIR", stage.dir.to_str().unwrap())).unwrap();
    let mut nginx = Command::new("/usr/sbin/nginx")
        .arg("-c")
        .arg(stage.dir.join("nginx.conf"))
        .arg("-e")
        .arg(stage.dir.join("e"))
        .spawn()
        .unwrap();
    wait_until(|| std::net::TcpStream::connect(at).is_ok().then_some(()));
    let file = format!(
        "[server]\nhttp = \"HTTP\"\n[pool.all]\nservers = [\"h2://{at}\"]\ntls = {{ ca = \"{ca}\" }}\n\
         [site.\"*\"]\nroutes = [{{ path = \"/*\", pool = \"all\" }}]\n"
    );
    let served = Served::start(stage, &file);
    assert_eq!(get(served.http, "/who").text(), "HTTP/2.0");
    for _ in 0..20 {
        assert_eq!(get(served.http, "/a.txt").body.len(), 300_000);
    }
    let pid = rustix::process::Pid::from_raw(nginx.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    nginx.wait().unwrap();
    assert_eq!(get(served.http, "/who").status, 502);
}
