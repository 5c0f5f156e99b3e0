//! In:     a name.
//! Out:    a server behind hallway, in Python, that says who it is and behaves as its path says.
//! Actors: one process for each.
//! Never:  does one outlive its story: it ends with its standard input.

use super::stage::python;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A server that runs.
pub struct Upstream {
    child: Child,
    /// `127.0.0.1:PORT`, or the path of its socket.
    pub at: String,
}

impl Upstream {
    /// At a free port.
    pub fn start(name: &str) -> Upstream {
        Upstream::start_with(&[name, "127.0.0.1:0"])
    }

    /// At a port that one had before.
    pub fn start_at(name: &str, at: &str) -> Upstream {
        Upstream::start_with(&[name, at])
    }

    /// With these arguments.
    pub fn start_with(arguments: &[&str]) -> Upstream {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/upstream.py");
        Upstream::launch(Command::new(python()).arg("-B").arg(script).args(arguments))
    }

    /// Any program that says on its first line where it listens.
    pub fn launch(command: &mut Command) -> Upstream {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut at = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut at).unwrap();
        assert!(!at.is_empty(), "a server did not start");
        Upstream { child, at: at.trim().into() }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.at.parse().unwrap()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server whose answers are written here, and what it was asked.
pub struct Canned {
    pub at: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    /// One whose answer to a head is this. It ends with the story's process.
    pub fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Canned {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (at, asked) = (listener.local_addr().unwrap().to_string(), Arc::<Mutex<Vec<String>>>::default());
        let (heads, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heads, answer) = (heads.clone(), answer.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    loop {
                        let mut head = String::new();
                        while !head.ends_with("\r\n\r\n") {
                            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                                return;
                            }
                        }
                        heads.lock().unwrap().push(head.clone());
                        let _ = reader.get_mut().write_all(answer(&head).as_bytes());
                    }
                });
            }
        });
        Canned { at, asked }
    }

    /// The heads of requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}
