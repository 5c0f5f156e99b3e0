//! In:     the files of an app, the flags of a run.
//! Out:    a running hallway, its address, what it said; or how it ended.
//! Actors: one hallway for each stage, and a thread that reads what it says.
//! Never:  does anything outlive the story: the tree is ended with it, by its process id.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for anything that must happen, also on a busy machine; a story that meets it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a claim that something does not wait for something else may take: that takes far longer, or has no end.
/// How fast things are is measured by `make bench`.
pub const AT_ONCE: Duration = Duration::from_secs(15);

static STAGES: AtomicU32 = AtomicU32::new(0);

/// So many workers as there are: some of them come and go.
pub const ANY: usize = usize::MAX;

/// The interpreter with the packages of `tests/requirements.txt`.
pub fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/test/bin/python");
    assert!(python.exists(), "the stories need {}: run `make test`, which makes it", python.display());
    python
}

/// A directory with the files of an app.
pub struct Stage {
    pub dir: PathBuf,
}

impl Stage {
    pub fn new() -> Stage {
        let number = STAGES.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("hallway-story-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        // The edge that root starts is somebody else.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        Stage { dir }
    }

    /// A stage whose app is `app.py`.
    pub fn with_app(source: &str) -> Stage {
        Stage::new().file("app.py", source)
    }

    pub fn file(self, name: &str, text: &str) -> Stage {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// `hallway run` on a free port with these flags, which end with the app.
    pub fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
        command.arg("run").arg("--python").arg(python()).arg("--chdir").arg(&self.dir).args(flags);
        for name in ["PORT", "WEB_CONCURRENCY", "VIRTUAL_ENV"] {
            command.env_remove(name);
        }
        command
    }

    /// Starts hallway and waits until it serves.
    pub fn run(self, flags: &[&str]) -> Running {
        let mut command = self.command(flags);
        if !flags.iter().any(|flag| flag.starts_with("--bind")) {
            command.args(["--bind", "127.0.0.1:0"]);
        }
        Running::start(command, Some(self))
    }

    /// Runs hallway until it ends by itself; its exit code and all it said on standard error.
    pub fn run_to_end(self, flags: &[&str]) -> (Option<i32>, String) {
        let mut running = Running::launch(self.command(flags), Some(self));
        let status = running.wait_for_end();
        (status.code(), running.said())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A hallway that runs.
pub struct Running {
    child: Child,
    said: Gathered,
    written: Gathered,
    pub stage: Option<Stage>,
    pub address: SocketAddr,
}

impl Running {
    /// Starts, waits until it says where it serves, and until every process of it has its title.
    pub fn start(command: Command, stage: Option<Stage>) -> Running {
        let mut running = Running::launch(command, stage);
        let line = running.wait_for_line(|line| line.contains("hallway: serving ") && line.contains(" at "));
        running.address = served_at(&line).unwrap_or(running.address);
        // It serves as soon as the first worker is ready; a story counts them all.
        let line = running.wait_for_line(|line| line.contains(" of ") && line.contains("; stop with Ctrl-C"));
        let (_, workers) = line.split_once("hallway: ").unwrap();
        let workers: usize = workers.split_ascii_whitespace().next().unwrap().parse().unwrap();
        running.wait_for_workers(workers);
        running
    }

    /// The same for a configuration file, whose apps have so many workers together.
    pub fn start_all(command: Command, stage: Option<Stage>, workers: usize) -> Running {
        let mut running = Running::launch(command, stage);
        let line = running.wait_for_line(|line| line.contains("hallway: serving ") && line.contains(" at "));
        running.address = served_at(&line).unwrap();
        running.wait_for_workers(workers);
        running
    }

    fn wait_for_workers(&self, workers: usize) {
        if workers == ANY {
            return;
        }
        // One that is about to become a worker has another title.
        let is_all = || self.children("hallway: edge").len() == 1 && self.children("hallway: app").len() == workers;
        wait_until(|| is_all().then_some(()));
    }

    /// Starts it, and waits for nothing.
    pub fn launch(mut command: Command, stage: Option<Stage>) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let said = gather(child.stderr.take().unwrap());
        let written = gather(child.stdout.take().unwrap());
        Running { child, said, written, stage, address: "127.0.0.1:1".parse().unwrap() }
    }

    /// All it wrote on standard error so far, its workers' words included.
    pub fn said(&self) -> String {
        self.said.text.lock().unwrap().clone()
    }

    /// All it wrote on standard output so far.
    pub fn written(&self) -> String {
        self.written.text.lock().unwrap().clone()
    }

    /// Waits for a line on standard error.
    pub fn wait_for_line(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.said().lines().find(|line| is_it(line)) {
                return line.to_owned();
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "it did not come ({ended:?}); said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Children whose title begins like this, oldest first.
    pub fn children(&self, title: &str) -> Vec<u32> {
        let mut found: Vec<u32> = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| parent_of(*pid) == Some(self.pid()) && title_of(*pid).starts_with(title))
            .collect();
        found.sort_unstable();
        found
    }

    /// Waits until exactly `count` children have this title: a process says its title a moment after its birth.
    pub fn wait_for_children(&self, title: &str, count: usize) -> Vec<u32> {
        wait_until(|| Some(self.children(title)).filter(|found| found.len() == count))
    }

    /// Waits until there is a child with this title that is not among `known`.
    pub fn wait_for_child(&self, title: &str, known: &[u32]) -> u32 {
        wait_until(|| self.children(title).into_iter().find(|pid| !known.contains(pid)))
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    pub fn wait_for_end(&mut self) -> ExitStatus {
        let status = wait_until(|| self.child.try_wait().unwrap());
        // What it said last may still be on its way through the pipe, which somebody it has started may hold open.
        let until = Instant::now() + Duration::from_secs(5);
        while !(self.said.has_ended() && self.written.has_ended()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("what hallway said:\n{}", self.said());
        }
    }
}

/// The first address in the line that says where hallway serves: `serving … at http://127.0.0.1:8000, …`.
fn served_at(line: &str) -> Option<SocketAddr> {
    let (_, places) = line.rsplit_once(" at ")?;
    places.split(", ").find_map(|place| place.trim().trim_start_matches("http://").trim_end_matches('/').parse().ok())
}

/// Waits until `look` sees something.
pub fn wait_until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < until, "it did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a process of the story's own.
pub fn signal(pid: u32, name: &str) {
    let signal = match name {
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "KILL" => Signal::KILL,
        "HUP" => Signal::HUP,
        "USR2" => Signal::USR2,
        "TTIN" => Signal::TTIN,
        "TTOU" => Signal::TTOU,
        "USR1" => Signal::USR1,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        other => panic!("no signal {other}"),
    };
    let process = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(process, signal).unwrap_or_else(|error| panic!("{name} to {pid}: {error}"));
}

pub fn is_alive(pid: u32) -> bool {
    // An ended child that nobody has waited for yet is not alive.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn title_of(pid: u32) -> String {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&raw).trim_end_matches('\0').to_owned()
}

/// What has come through a pipe.
struct Gathered {
    text: Arc<Mutex<String>>,
    reader: std::thread::JoinHandle<()>,
}

impl Gathered {
    fn has_ended(&self) -> bool {
        self.reader.is_finished()
    }
}

fn gather(pipe: impl Read + Send + 'static) -> Gathered {
    let text = Arc::new(Mutex::new(String::new()));
    let into = text.clone();
    let reader = std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    Gathered { text, reader }
}
