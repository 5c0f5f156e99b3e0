//! In:     nginx in front of hallway; clients that say who they are.
//! Out:    an unmodified Flask app, with and without `ProxyFix`, sees the truth.
//! Actors: a real nginx; hallway; Flask.
//! Never:  does a forger succeed, through the proxy or past it.

use super::stage::{Running, Stage, wait_until};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

const APP: &str = r#"
from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)

@app.get("/<path:_>")
def who(_):
    return f"{request.remote_addr} {request.scheme} {request.host} {request.access_route[0]}"

fixed = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)
"#;

/// An nginx that passes everything on, as its documents have it.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _stage: Stage,
}

impl Nginx {
    fn start(to: SocketAddr) -> Nginx {
        let stage = Stage::new();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let dir = stage.dir.display().to_string();
        let stage = stage.file(
            "nginx.conf",
            &format!(
                "daemon off; pid {dir}/pid; error_log stderr;\nevents {{}}\nhttp {{\n access_log off;\n \
                 client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;\n \
                 scgi_temp_path {dir}/d; uwsgi_temp_path {dir}/e;\n server {{\n  listen {address};\n  location / {{\n   \
                 proxy_pass http://{to};\n   proxy_set_header Host $host;\n   \
                 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n   \
                 proxy_set_header X-Forwarded-Proto https;\n   proxy_set_header X-Forwarded-Host $host;\n  }}\n }}\n}}\n"
            ),
        );
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(stage.dir.join("nginx.conf")).args(["-e", "stderr"]).stderr(Stdio::null());
        let child = command.spawn().expect("nginx is there: `make test` installs it");
        wait_until(|| std::net::TcpStream::connect(address).ok());
        Nginx { child, address, _stage: stage }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        super::stage::signal(self.child.id(), "TERM");
        let _ = self.child.wait();
    }
}

/// What is answered to a client at this address.
fn ask(from: &str, to: SocketAddr, lines: &str) -> String {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&format!("{from}:0").parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let mut stream = std::net::TcpStream::from(socket);
    write!(stream, "GET /x HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{lines}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn start(flags: &[&str], app: &str) -> Running {
    Stage::with_app(APP).run(&[&["-w", "1", "--access-log", "-"], flags, &[app]].concat())
}

#[test]
fn behind_nginx_the_app_sees_the_client() {
    for app in ["app:app", "app:fixed"] {
        let hallway = start(&["--trusted-proxy", "127.0.0.1"], app);
        let nginx = Nginx::start(hallway.address);
        let truth = "127.0.0.9 https shop.example 127.0.0.9";
        assert_eq!(ask("127.0.0.9", nginx.address, ""), truth, "{app}");
        let forged = "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6;proto=http\r\n";
        assert_eq!(ask("127.0.0.9", nginx.address, forged), truth, "{app}: a forger, through the proxy");
        let past = ask("127.0.0.9", hallway.address, "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n");
        assert_eq!(past, "127.0.0.9 http shop.example 127.0.0.9", "{app}: a forger, past the proxy");
        wait_until(|| (hallway.written().matches("127.0.0.9 - - [").count() == 3).then_some(()));
    }
}

#[test]
fn nobody_is_believed_unasked() {
    let hallway = start(&[], "app:app");
    let nginx = Nginx::start(hallway.address);
    assert_eq!(ask("127.0.0.9", nginx.address, ""), "127.0.0.1 http shop.example 127.0.0.1");
}
