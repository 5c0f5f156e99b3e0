//! In:     apps of several users, one of which is a thief with a compiled tool; a hallway that was started as root.
//! Out:    who runs as whom, and with what; the thief has nothing.
//! Actors: hallways, a C compiler, users by number.
//! Never:  does a thief pass because it tried nothing: it shows first that its tool works where it may.

use super::client::get;
use super::served::Served;
use super::stage::{Stage, signal, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

/// Answers with its environment, a variable on each line.
const APP: &str = r#"
import os
def app(environ, start_response):
    start_response("200 OK", [])
    return ["\n".join(f"{name}={value}" for name, value in sorted(os.environ.items())).encode()]
"#;

/// Lets the thief loose.
const THIEF: &str = r#"
import os, subprocess
def app(environ, start_response):
    if environ["PATH_INFO"].endswith("/go"):
        words = ["./thief", "report", "stop", str(os.getppid()), os.environ["KIND"]]
        subprocess.Popen(words, close_fds=False)
    start_response("200 OK", [])
    return [b"on"]
"#;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Who is not root can be nobody else, and is told so.
fn everything_is_one_user() {
    let stage = Stage::with_app(APP).file(
        "hallway.toml",
        "[app.web]\nwsgi = \"app:app\"\n[site.\"*\"]\nroutes = [{ path = \"/*\", app = \"web\" }]\n",
    );
    let mut check = Command::new(env!("CARGO_BIN_EXE_hallway"));
    let output = check.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("everything runs as '") && said.contains("nothing walls the edge and the apps"), "{said}");
}

/// A line of the kernel's account of a process.
fn field(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once(':').unwrap().1.split_ascii_whitespace().next().unwrap().to_owned()
}

fn uid_of_name(name: &str) -> u32 {
    let output = Command::new("id").args(["-u", name]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

fn give(path: &Path, uid: u32) {
    chown(path, Some(uid), Some(uid)).unwrap();
}

fn compile(into: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/thief.c");
    assert!(Command::new("cc").arg("-o").arg(into).arg(source).status().unwrap().success());
}

/// Lets the thief look on while the edge and the other app's worker are replaced again and again; its report.
fn thieve(served: &Served, edges: usize) -> String {
    let report = || fs::read_to_string(served.path("thief/report")).unwrap_or_default();
    get(served.http, "/thief/go");
    wait_until(|| report().contains("CONTROL ").then_some(()));
    for round in 0..edges {
        let edge = served.hallway.wait_for_children("hallway: edge", 1)[0];
        // It knows of this one; the next one is what it waits for.
        wait_until(|| report().contains(&format!("SEEN {edge}\n")).then_some(()));
        let other = served.hallway.wait_for_children("hallway: app other", 1)[0];
        signal(edge, "KILL");
        if round % 3 == 0 {
            signal(other, "KILL");
        }
        served.hallway.wait_for_child("hallway: edge", &[edge]);
        wait_until(|| (get(served.http, "/other").status == 200).then_some(()));
    }
    served.hallway.signal("HUP");
    wait_until(|| served.hallway.said().contains("every worker is replaced").then_some(()));
    fs::write(served.path("thief/stop"), "").unwrap();
    wait_until(|| report().contains("TRIES ").then(report))
}

fn assert_nothing_was_got(report: &str, edges: usize) {
    let number = |word: &str| -> usize {
        let rest = report.split(word).nth(1).unwrap();
        rest.split_ascii_whitespace().next().unwrap().parse().unwrap()
    };
    assert!(!report.contains("GOT "), "{report}");
    assert!(number("CONTROL ") > 20, "its tool works: {report}");
    assert!(number("EDGES ") > edges && number("TRIES ") > 100 * edges, "it did its work: {report}");
}

fn walled() -> Stage {
    let stage = Stage::new().file("thief/app.py", THIEF).file("other/app.py", APP);
    compile(&stage.dir.join("thief/thief"));
    stage
}

const APART: &str = r#"
[server]
http = "HTTP"
[app.thief]
wsgi = "app:app"
chdir = "thief"
python = "/usr/bin/python3"
user = "default"
env = { KIND = "apart" }
workers = 1
[app.other]
wsgi = "app:app"
chdir = "other"
python = "/usr/bin/python3"
user = "default"
env = { SECRET = "of the other one" }
workers = 1
[site."*"]
routes = [{ path = "/thief/*", app = "thief" }, { path = "/other", app = "other" }]
"#;

#[test]
fn an_app_gets_nothing_of_master_edge_and_others() {
    if !is_root() {
        return everything_is_one_user();
    }
    let stage = walled();
    give(&stage.dir.join("thief"), 61_001);
    give(&stage.dir.join("other"), 61_002);
    let served = Served::start(stage, APART);
    let worker = |name: &str| served.hallway.children(&format!("hallway: app {name}"))[0];
    assert_eq!((field(worker("thief"), "Uid"), field(worker("other"), "Uid")), ("61001".into(), "61002".into()));
    assert_nothing_was_got(&thieve(&served, 8), 8);
}

/// Who writes one user for both has the app signal the edge; but it sees nothing of it, at no moment.
#[test]
fn an_app_of_the_edges_own_user_cannot_look_into_it() {
    if !is_root() {
        return everything_is_one_user();
    }
    let file = APART
        .replace("http = \"HTTP\"", "http = \"HTTP\"\nuser = \"games\"")
        .replace("user = \"default\"\nenv = { KIND = \"apart\"", "user = \"games\"\nenv = { KIND = \"alike\"");
    let stage = walled();
    give(&stage.dir.join("thief"), uid_of_name("games"));
    give(&stage.dir.join("other"), 61_002);
    let served = Served::start(stage, &file);
    let (_, said) = served.order(&["check"]);
    assert!(said.contains("the edge, thief all run as 'games': nothing walls them from each other"), "{said}");
    assert_nothing_was_got(&thieve(&served, 8), 8);
}

/// Ends a process of the story's, where it has not ended yet.
fn end(pid: u32) {
    let _ = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL);
}

/// Who has just become the app's user may be stopped by the app; nobody waits for it.
#[test]
fn a_worker_that_is_stopped_while_it_starts_holds_nobody_up() {
    if !is_root() {
        return everything_is_one_user();
    }
    let file = APART.replace("\"apart\"", "\"stop\"");
    let stage = walled();
    give(&stage.dir.join("thief"), 61_001);
    give(&stage.dir.join("other"), 61_002);
    let served = Served::start(stage, &file);
    let report = || fs::read_to_string(served.path("thief/report")).unwrap_or_default();
    get(served.http, "/thief/go");
    wait_until(|| report().contains("CONTROL ").then_some(()));
    let stopped: u32 = wait_until(|| {
        let seen = report();
        let pid = seen.split("STOPPED ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        if pid.is_none() {
            served.hallway.children("hallway: app thief").into_iter().for_each(end);
        }
        pid
    });
    for title in ["hallway: app other", "hallway: edge"] {
        let before = served.hallway.children(title)[0];
        signal(before, "KILL");
        served.hallway.wait_for_child(title, &[before]);
        wait_until(|| (get(served.http, "/other").status == 200).then_some(()));
    }
    assert!(served.order(&["status"]).0);
    fs::write(served.path("thief/stop"), "").unwrap();
    end(stopped);
    wait_until(|| (get(served.http, "/thief/x").status == 200).then_some(()));
}

const USERS: &str = r#"
[server]
http = "HTTP"
user = "games"
[app.own]
wsgi = "app:app"
chdir = "own"
python = "/usr/bin/python3"
user = "default"
workers = 1
[app.link]
wsgi = "app:app"
chdir = "current"
python = "/usr/bin/python3"
user = "default"
workers = 1
[app.roots]
wsgi = "app:app"
chdir = "roots"
python = "/usr/bin/python3"
user = "default"
workers = 1
[app.edges]
wsgi = "app:app"
chdir = "edges"
python = "/usr/bin/python3"
user = "default"
workers = 1
[app.moved]
wsgi = "app:app"
chdir = "open/moved"
python = "/usr/bin/python3"
user = "default"
workers = 1
[app.written]
wsgi = "app:app"
chdir = "own"
python = "/usr/bin/python3"
workers = 1
user = "root"
new_privileges = true
[site."*"]
routes = [{ path = "/own", app = "own" }, { path = "/link", app = "link" }, { path = "/roots", app = "roots" },
  { path = "/edges", app = "edges" }, { path = "/moved", app = "moved" }, { path = "/written", app = "written" }]
"#;

#[test]
fn each_app_has_its_user_and_check_says_which() {
    if !is_root() {
        return everything_is_one_user();
    }
    let names = ["own", "roots", "edges", "open/moved"];
    let stage = names.iter().fold(Stage::new(), |stage, name| stage.file(&format!("{name}/app.py"), APP));
    let games = uid_of_name("games");
    for (name, uid) in [("own", 61_001), ("edges", games), ("open/moved", 61_002)] {
        give(&stage.dir.join(name), uid);
    }
    std::os::unix::fs::symlink("own", stage.dir.join("current")).unwrap();
    fs::set_permissions(stage.dir.join("open"), fs::Permissions::from_mode(0o777)).unwrap();
    let served = Served::start(stage, USERS);
    let (valid, said) = served.order(&["check"]);
    assert!(valid, "{said}");
    for line in [
        "the edge runs as 'games': it is written",
        "own runs as '61001': it is the owner of ",
        "link runs as '61001': it is the owner of ",
        "roots runs as 'nobody': its directory ",
        "roots, edges, moved all run as 'nobody': nothing walls them from each other",
        "own, link all run as '61001': nothing walls them from each other",
        "can be changed by others than root and its owner",
        "written runs as 'root': it is written",
        "what runs as root can change this machine",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let shown = served.order(&["config"]).1;
    assert!(
        shown.contains("# user = \"nobody\"") && shown.contains("is root's, and root has to be written"),
        "{shown}"
    );
    let edge = served.hallway.children("hallway: edge")[0];
    assert_eq!(field(edge, "Uid"), games.to_string());
    let nobody = uid_of_name("nobody");
    for (name, uid, keeps) in [
        ("own", 61_001, false),
        ("link", 61_001, false),
        ("roots", nobody, false),
        ("edges", nobody, false),
        ("moved", nobody, false),
        ("written", 0, true),
    ] {
        let worker = served.hallway.children(&format!("hallway: app {name}"))[0];
        let seen = (field(worker, "Uid"), field(worker, "NoNewPrivs"), field(worker, "CapEff") == "0000000000000000");
        assert_eq!(seen, (uid.to_string(), u8::from(!keeps).to_string(), uid != 0), "{name}");
        assert_eq!(session_of(worker), worker, "{name} has no terminal of the master's");
        assert_eq!(get(served.http, &format!("/{name}")).status, 200);
    }
    assert_eq!((field(edge, "NoNewPrivs"), session_of(edge)), ("1".into(), edge));
    served.hallway.signal("HUP");
    wait_until(|| served.hallway.said().contains("every worker is replaced").then_some(()));
    assert!(served.hallway.said().contains("roots runs as 'nobody': its directory"), "the start says it, too");
}

fn session_of(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn an_app_of_a_file_has_no_variable_of_others() {
    let file = r#"
[server]
http = "HTTP"
[app.a]
wsgi = "app:app"
python = "/usr/bin/python3"
user = "default"
pass_env = ["NAMED", "ABSENT"]
env_file = "a.env"
env = { A_TOKEN = "${A_TOKEN}", TZ = "UTC" }
workers = 1
[app.b]
wsgi = "app:app"
python = "/usr/bin/python3"
user = "default"
env = { B_TOKEN = "${B_TOKEN}" }
workers = 1
[site."*"]
routes = [{ path = "/a", app = "a" }, { path = "/b", app = "b" }]
"#;
    let given = [
        ("A_TOKEN", "of a"),
        ("B_TOKEN", "of b"),
        ("NAMED", "passed"),
        ("OTHER", "x"),
        ("LC_TIME", "C"),
        ("HOME", "/root"),
        ("NOTIFY_SOCKET", "/nowhere"),
        ("WATCHDOG_USEC", "1"),
        ("LD_PRELOAD", ""),
    ];
    let stage = Stage::with_app(APP).file("a.env", "FROM_FILE=1\n");
    let mut served = Served::start_changed(stage, file, |mut command| {
        command.envs(given);
        command
    });
    let http = served.http;
    let of = |path: &str| -> Vec<(String, String)> {
        let text = get(http, path).text();
        text.lines().filter_map(|line| line.split_once('=').map(|(name, value)| (name.into(), value.into()))).collect()
    };
    let names = |path: &str| -> Vec<String> { of(path).into_iter().map(|(name, _)| name).collect() };
    let a = of("/a");
    for pair in [("A_TOKEN", "of a"), ("NAMED", "passed"), ("FROM_FILE", "1"), ("TZ", "UTC"), ("LC_TIME", "C")] {
        assert!(a.contains(&(pair.0.into(), pair.1.into())), "{pair:?}: {a:?}");
    }
    let listed = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ"];
    let is_listed = |name: &String| listed.contains(&name.as_str()) || name.starts_with("LC_");
    let unlisted = |path: &str| -> Vec<String> { names(path).into_iter().filter(|name| !is_listed(name)).collect() };
    assert_eq!(unlisted("/a"), ["A_TOKEN", "FROM_FILE", "NAMED"]);
    assert_eq!(unlisted("/b"), ["B_TOKEN"]);
    if is_root() {
        let edge = served.hallway.children("hallway: edge")[0];
        let edges = fs::read_to_string(format!("/proc/{edge}/environ")).unwrap();
        assert!(!edges.contains("TOKEN") && !edges.contains("NAMED"), "{edges:?}");
        assert!(!of("/b").contains(&("HOME".into(), "/root".into())), "that of its user");
    }
    // Another value is another worker, also where the edge has nothing to do with it.
    let before = served.hallway.children("hallway: app b")[0];
    let another = file.replace("${B_TOKEN}", "another");
    served.change(&another);
    let changed = ("B_TOKEN".to_owned(), "another".to_owned());
    wait_until(|| of("/b").contains(&changed).then_some(()));
    served.hallway.wait_for_child("hallway: app b", &[before]);
}

/// What who starts hallway has open is nobody's but what is named.
#[test]
fn descriptors_that_nobody_named_are_closed() {
    let stage = Stage::with_app(APP).file("secret", "of who started it");
    let file = "[server]\nhttp = [\"HTTP\", \"fd://9\"]\n[app.web]\nwsgi = \"app:app\"\npython = \"/usr/bin/python3\"\nuser = \"default\"\nworkers = 1\n\
                [site.\"*\"]\nroutes = [{ path = \"/*\", app = \"web\" }]\n";
    let script = "import os, socket, sys\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n\
        os.dup2(s.fileno(), 9, inheritable=True)\nos.dup2(s.fileno(), 11, inheritable=True)\n\
        os.dup2(os.open('secret', os.O_RDONLY), 7, inheritable=True)\n\
        os.dup2(os.open('secret', os.O_RDONLY), 900, inheritable=True)\nos.execv(sys.argv[1], sys.argv[1:])";
    let dir = stage.dir.clone();
    let mut served = Served::start_changed(stage, file, |serve| {
        let mut command = Command::new(super::stage::python());
        command.current_dir(&dir).args(["-c", script]).arg(serve.get_program()).args(serve.get_args());
        command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    });
    assert_eq!(get(served.http, "/").status, 200);
    let all = [vec![served.hallway.pid()], served.hallway.children("hallway: ")].concat();
    assert_eq!(all.len(), 3);
    if is_root() {
        for pid in all {
            for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
                let leads_to = fs::read_link(entry.path()).unwrap_or_default();
                assert!(!leads_to.ends_with("secret"), "{pid} has {leads_to:?}");
            }
        }
    }
    // What was not named at the start has gone, and what is hallway's own was never passed.
    for number in [11, 4, 7] {
        served.write(&file.replace("fd://9", &format!("fd://{number}")));
        served.hallway.signal("HUP");
        served.hallway.wait_for_line(|line| line.contains(&format!("fd://{number} was not inherited")));
    }
}

/// Children are of the version that runs, also when another one has taken its place.
#[test]
fn a_program_that_was_replaced_goes_on() {
    let stage = Stage::with_app(APP);
    let program = stage.dir.join("hallway");
    fs::copy(env!("CARGO_BIN_EXE_hallway"), &program).unwrap();
    let file = "[server]\nhttp = \"HTTP\"\n[app.web]\nwsgi = \"app:app\"\npython = \"/usr/bin/python3\"\nuser = \"default\"\nworkers = 1\n\
                [site.\"*\"]\nroutes = [{ path = \"/*\", app = \"web\" }]\n";
    let served = Served::start_changed(stage, file, |serve| {
        let mut command = Command::new(&program);
        command.args(serve.get_args()).envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    });
    fs::write(served.path("new"), "#!/bin/sh\nexit 9\n").unwrap();
    fs::set_permissions(served.path("new"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(served.path("new"), served.path("hallway")).unwrap();
    for title in ["hallway: app", "hallway: edge"] {
        let before = served.hallway.children(title)[0];
        signal(before, "KILL");
        served.hallway.wait_for_child(title, &[before]);
        wait_until(|| (get(served.http, "/").status == 200).then_some(()));
    }
}
