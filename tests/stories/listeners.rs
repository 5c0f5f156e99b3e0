//! In:     unix sockets, inherited sockets, several addresses, IPv6.
//! Out:    the same app at each of them.
//! Actors: one hallway for each way to listen.
//! Never:  is a socket file of a living server replaced, or a dead one's in the way.

use super::client::get;
use super::stage::{Running, Stage, python};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

const APP: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REMOTE_ADDR']}|{environ['SERVER_NAME']}|{environ['SERVER_PORT']}".encode()]
"#;

fn ask_unix(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_unix_socket_is_made_and_taken_away() {
    let stage = Stage::with_app(APP);
    let path = stage.dir.join("app.sock");
    let bind = format!("unix:{}", path.display());
    let mut hallway = stage.run(&["-w", "1", "--bind", &bind, "--access-log", "-", "app:app"]);
    let text = ask_unix(&path);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n|localhost|80"), "{text}");

    let (code, said) = Stage::with_app(APP).run_to_end(&["--bind", &bind, "app:app"]);
    assert!(code == Some(1) && said.contains("a server answers there"), "{said}");
    assert!(ask_unix(&path).ends_with("|localhost|80"), "the first one still serves");

    hallway.signal("KILL");
    hallway.wait_for_end();
    assert!(path.exists(), "a killed server leaves its file");
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "--bind", &bind, "app:app"]);
    assert!(ask_unix(&path).ends_with("|localhost|80"));
    hallway.signal("TERM");
    hallway.wait_for_end();
    assert!(!path.exists(), "one that ends well takes it away");
}

#[test]
fn a_file_that_is_no_socket_is_not_replaced() {
    let stage = Stage::with_app(APP).file("precious.txt", "data");
    let bind = format!("unix:{}", stage.dir.join("precious.txt").display());
    let mut command = stage.command(&["--bind", &bind, "app:app"]);
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(1) && said.contains("there is a file that is no socket"), "{said}");
    assert_eq!(std::fs::read_to_string(stage.dir.join("precious.txt")).unwrap(), "data");
}

#[test]
fn several_addresses_at_once() {
    let stage = Stage::with_app(APP);
    let path = stage.dir.join("app.sock");
    let unix = format!("unix:{}", path.display());
    let flags = ["-w", "1", "--bind", "127.0.0.1:0", "--bind", "[::1]:0", "--bind", &unix, "app:app"];
    let mut hallway = stage.run(&flags);
    let line = hallway.wait_for_line(|line| line.contains("hallway: serving"));
    let six = line.split("http://").nth(2).unwrap().split(',').next().unwrap();
    let answer = get(six.parse().unwrap(), "/");
    assert_eq!(answer.text(), format!("::1|::1|{}", six.rsplit(':').next().unwrap()));
    assert!(get(hallway.address, "/").text().starts_with("127.0.0.1|127.0.0.1|"));
    assert!(ask_unix(&path).ends_with("|localhost|80"));
}

#[test]
fn an_inherited_socket_is_served() {
    let stage = Stage::with_app(APP);
    let script = "import os, socket, sys\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n\
        os.dup2(s.fileno(), 9, inheritable=True)\n\
        print('hallway: serving nothing yet at http://127.0.0.1:%d' % s.getsockname()[1], file=sys.stderr, flush=True)\n\
        os.execv(sys.argv[1], sys.argv[1:])";
    let run = stage.command(&["-w", "1", "--bind", "fd://9", "app:app"]);
    let mut command = Command::new(python());
    command.args(["-c", script]).arg(run.get_program()).args(run.get_args());
    let mut hallway = Running::start(command, Some(stage));
    hallway.wait_for_line(|line| line.contains("serving app:app at fd://9"));
    assert_eq!(get(hallway.address, "/").text(), format!("127.0.0.1|127.0.0.1|{}", hallway.address.port()));
    assert!(TcpStream::connect(hallway.address).is_ok());
}
