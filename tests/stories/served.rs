//! In:     a configuration file with words for what is known only here: PYTHON, DIR, HTTP, HTTPS, PORT.
//! Out:    a hallway that serves it; answers to curl.
//! Actors: one hallway, curl.
//! Never:  are two stories at one port, or one state directory.

use super::stage::{Running, Stage, python, wait_until};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

/// A port that nobody has just now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A hallway that serves a file.
pub struct Served {
    pub hallway: Running,
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub other: SocketAddr,
    changes: usize,
}

impl Served {
    /// Serves a file whose apps have one worker each.
    pub fn start(stage: Stage, file: &str) -> Served {
        Served::start_all(stage, file, file.matches("[app.").count())
    }

    /// The same by another command.
    pub fn start_with(stage: Stage, file: &str, words: &[&str]) -> Served {
        Served::launch(stage, file, file.matches("[app.").count(), words)
    }

    /// The same by a command that is changed first: another environment, other descriptors.
    pub fn start_changed(stage: Stage, file: &str, change: impl FnOnce(Command) -> Command) -> Served {
        let addresses = [free_address(), free_address(), free_address()];
        let text = filled(file, &stage, addresses);
        let stage = stage.file("hallway.toml", &text);
        let command = change(command(&stage, &["serve"]));
        let hallway = Running::start_all(command, Some(stage), file.matches("[app.").count());
        let [http, https, other] = addresses;
        Served { hallway, http, https, other, changes: 0 }
    }

    /// The same for apps that have so many workers together.
    pub fn start_all(stage: Stage, file: &str, workers: usize) -> Served {
        Served::launch(stage, file, workers, &["serve"])
    }

    /// The same in a mount namespace of its own, in which this script of the shell runs first; it is run by root, or by
    /// who is root there.
    pub fn start_apart(stage: Stage, file: &str, script: &str) -> Served {
        let script = format!("set -e; cd {}; {script}\nexec \"$0\" \"$@\"", stage.dir.display());
        let wrap = |plain: Command| {
            let mut command = Command::new("unshare");
            let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
            // In a chroot `/` is no mount, whose propagation could be changed.
            let probe = Command::new("unshare").args([flags, "--propagation", "private", "true"]).output().unwrap();
            let propagation = if probe.status.success() { "private" } else { "unchanged" };
            command.args([flags, "--propagation", propagation, "sh", "-c", &script]);
            command.arg(plain.get_program()).args(plain.get_args());
            for (name, value) in plain.get_envs() {
                if let Some(value) = value {
                    command.env(name, value);
                }
            }
            command
        };
        Served::launch_by(stage, file, (file.matches("[app.").count(), &["serve"]), wrap)
    }

    fn launch(stage: Stage, file: &str, workers: usize, words: &[&str]) -> Served {
        Served::launch_by(stage, file, (workers, words), |command| command)
    }

    fn launch_by(
        stage: Stage,
        file: &str,
        (workers, words): (usize, &[&str]),
        wrap: impl Fn(Command) -> Command,
    ) -> Served {
        let [http, https, other] = [free_address(), free_address(), free_address()];
        let text = filled(file, &stage, [http, https, other]);
        let stage = stage.file("hallway.toml", &text);
        let command = wrap(command(&stage, words));
        let hallway = Running::start_all(command, Some(stage), workers);
        Served { hallway, http, https, other, changes: 0 }
    }

    /// Writes another file, which is not read yet.
    pub fn write(&self, file: &str) {
        let stage = self.hallway.stage.as_ref().unwrap();
        let text = filled(file, stage, [self.http, self.https, self.other]);
        std::fs::write(stage.dir.join("hallway.toml"), text).unwrap();
    }

    /// Has it go by another file, and waits until it does.
    pub fn change(&mut self, file: &str) {
        self.write(file);
        self.hallway.signal("HUP");
        self.changes += 1;
        let said =
            || self.hallway.said().matches("configuration reloaded; new requests use it").count() == self.changes;
        wait_until(|| said().then_some(()));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.hallway.stage.as_ref().unwrap().dir.join(name)
    }

    /// `hallway COMMAND -c FILE`; whether it went well, and what it said.
    pub fn order(&self, words: &[&str]) -> (bool, String) {
        let output = command(self.hallway.stage.as_ref().unwrap(), words).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// The exit code of `hallway COMMAND -c FILE`, and what it said.
    pub fn code_of(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = command(self.hallway.stage.as_ref().unwrap(), words).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// What curl prints. `URL` stands for https at this server, with its authority trusted.
    pub fn curl(&self, arguments: &[&str]) -> String {
        let port = self.https.port().to_string();
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "60"]);
        let authority = self.path("state/internal/authority.pem");
        if authority.exists() {
            command.arg("--cacert").arg(authority);
        }
        for name in ["shop.example", "blog.example", "closed.example", "none.example"] {
            command.arg("--resolve").arg(format!("{name}:{port}:127.0.0.1"));
        }
        command
            .args(arguments.iter().map(|word| word.replace("PORT", &port).replace("HTTP_AT", &self.http.to_string())));
        let output = command.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

fn command(stage: &Stage, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
    command.args(words).arg("-c").arg(stage.dir.join("hallway.toml"));
    command.env("STATE_DIRECTORY", stage.dir.join("state")).env("RUNTIME_DIRECTORY", stage.dir.join("run"));
    command
}

/// The text of a file. Apps of stories are who starts them: as root that has to be written. Stories of users write it, or
/// `user = "default"`.
fn filled(file: &str, stage: &Stage, [http, https, other]: [SocketAddr; 3]) -> String {
    as_starter(file)
        .replace("user = \"default\"\n", "")
        .replace("PYTHON", &python().display().to_string())
        .replace("DIR", &stage.dir.display().to_string())
        .replace("HTTPS", &https.to_string())
        .replace("HTTP", &http.to_string())
        .replace("OTHER", &other.to_string())
}

/// The same file whose apps that name nobody are who starts it: as root, `user = "root"` at the end of each.
pub fn as_starter(file: &str) -> String {
    if !rustix::process::geteuid().is_root() {
        return file.to_owned();
    }
    let mut lines: Vec<&str> = Vec::new();
    // Whether the table above is an app, and names nobody.
    let mut is_open = false;
    for line in file.lines() {
        let word = line.trim_start();
        if word.starts_with('[') {
            if std::mem::replace(&mut is_open, word.starts_with("[app.")) {
                lines.push("user = \"root\"");
            }
        } else if word.starts_with("user = ") {
            is_open = false;
        }
        lines.push(line);
    }
    if is_open {
        lines.push("user = \"root\"");
    }
    lines.join("\n") + "\n"
}
