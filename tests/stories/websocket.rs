//! In:     a WebSocket server behind hallway.
//! Out:    the same answers as without hallway between; connections that outlive reloads.
//! Actors: one hallway, a server on `websockets`, clients on raw connections and on `websockets`.
//! Never:  does hallway say or hold back a frame of its own.

use super::client::Connection;
use super::served::Served;
use super::stage::{Stage, python};
use super::upstream::Upstream;
use std::io::Read;
use std::path::Path;
use std::process::Command;

fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps").join(name));
    command
}

fn file(at: &str) -> String {
    format!(
        "[server]\nhttp = \"HTTP\"\n[pool.all]\nservers = [\"http://{at}\"]\neject = {{ after = 0 }}\n\
         [site.\"*\"]\nroutes = [{{ path = \"/*\", pool = \"all\" }}]\n"
    )
}

#[test]
fn every_case_is_answered_as_without_hallway() {
    let server = Upstream::launch(&mut script("websocket_server.py"));
    let served = Served::start(Stage::new(), &file(&server.at));
    let output = script("websocket_cases.py").arg(&server.at).arg(served.http.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let count: usize = said.split(' ').next().unwrap().parse().unwrap_or(0);
    assert!(count >= 400 && said.contains(", 0 answered otherwise"), "{said}");
}

/// A text of less than 126 bytes, masked with nothing.
fn text(words: &str) -> Vec<u8> {
    [&[0x81, 0x80 | words.len() as u8, 0, 0, 0, 0], words.as_bytes()].concat()
}

#[test]
fn connections_outlive_reloads() {
    let server = Upstream::launch(&mut script("websocket_server.py"));
    let mut served = Served::start(Stage::new(), &file(&server.at));
    let mut clients: Vec<Connection> = (0..20)
        .map(|_| {
            let mut client = Connection::open(served.http);
            client.send(
                "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            );
            let head = client.head();
            assert!(head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
            client
        })
        .collect();
    for turn in 0..5 {
        for (number, client) in clients.iter_mut().enumerate() {
            let words = format!("turn {turn} of {number}");
            client.send(text(&words));
            let mut heard = vec![0; words.len() + 2];
            client.reader().read_exact(&mut heard).unwrap();
            assert_eq!(&heard[2..], words.as_bytes());
        }
        // Another plan, in which the pool has another name and the route another answer.
        let other = file(&server.at).replace("[pool.all]", &format!("[pool.other{turn}]"));
        served.change(&other.replace("pool = \"all\"", &format!("pool = \"other{turn}\"")));
    }
}
