//! In:     files that a service user has put in the place of others, between a root that comes by and what that root could
//!         do there.
//! Out:    root follows nothing: what that user may not read or write stays unread and unwritten.
//! Actors: hallway as root; the story, which does what a service user could. Where the story is not root there is no such
//!         root, and only what holds for everybody is looked at.
//! Never:  does a secret of root's stand in an answer, a log or a message.

use super::client::{get, request};
use super::served::Served;
use super::stage::{ANY, Running, Stage, wait_until};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

const SECRET: &str = "TOPSECRET = [\n";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The number of a user that every system has.
fn nobody() -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("nobody:")).unwrap();
    line.split(':').nth(2).unwrap().parse().unwrap()
}

/// A stage with a secret of root's, and a directory of a service user.
fn stage() -> Stage {
    let stage =
        Stage::new().file("secret", SECRET).file("theirs/logs/keep", "").file("precious/access.log", "precious\n");
    for (name, mode) in [("secret", 0o600), ("precious/access.log", 0o600), ("precious", 0o700)] {
        fs::set_permissions(stage.dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    give(&stage.dir.join("theirs"));
    give(&stage.dir.join("theirs/logs"));
    stage
}

fn give(path: &Path) {
    if is_root() {
        chown(path, Some(nobody()), Some(nobody())).unwrap();
    }
}

fn file(user: &str, more: &str) -> String {
    let user = if is_root() { format!("user = \"{user}\"\n") } else { String::new() };
    format!(
        "[server]\nhttp = \"HTTP\"\n{user}[log]\naccess = {{ path = \"theirs/logs/access.log\" }}\n\
         [site.\"*\"]\nroutes = [{{ path = \"/x\", respond = {{ body = \"x\" }} }}]\n{more}"
    )
}

#[test]
fn a_log_that_a_service_user_replaces_is_not_followed() {
    let served = Served::start(stage(), &file("nobody", ""));
    let log = served.path("theirs/logs/access.log");
    let has_line = || {
        get(served.http, "/x");
        fs::read_to_string(&log).ok().filter(|text| text.contains("GET /x"))
    };
    wait_until(has_line);
    let meta = fs::metadata(&log).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o640);
    if !is_root() {
        return;
    }
    assert_eq!(meta.uid(), nobody(), "what lies in their directory is theirs");
    let secret = served.path("secret");
    let replace: [(&str, &dyn Fn()); 4] = [
        ("a link", &|| symlink(&secret, &log).unwrap()),
        ("another name of it", &|| fs::hard_link(&secret, &log).unwrap()),
        ("a link to where nothing is", &|| symlink(served.path("made"), &log).unwrap()),
        ("a pipe", &|| {
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, &log, kind, 0o666.into(), 0).unwrap();
        }),
    ];
    for (round, (what, replace)) in replace.into_iter().enumerate() {
        let refused = || served.hallway.said().matches("the access log could not be opened anew").count() > round;
        fs::rename(&log, served.path("theirs/logs/old.log")).unwrap();
        replace();
        served.hallway.signal("USR1");
        wait_until(|| refused().then_some(()));
        for _ in 0..5 {
            assert_eq!(get(served.http, "/x").text(), "x", "{what}");
        }
        fs::remove_file(&log).unwrap();
        served.hallway.signal("USR1");
        wait_until(has_line);
    }
    // The directory itself, which lies in one of theirs.
    fs::rename(served.path("theirs/logs"), served.path("theirs/before")).unwrap();
    symlink(served.path("precious"), served.path("theirs/logs")).unwrap();
    served.hallway.signal("USR1");
    wait_until(|| (served.hallway.said().matches("could not be opened anew").count() == 5).then_some(()));
    get(served.http, "/x");
    assert_eq!(fs::read_to_string(served.path("precious/access.log")).unwrap(), "precious\n");
    assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
    for name in ["secret", "precious/access.log", "precious"] {
        assert_eq!(fs::metadata(served.path(name)).unwrap().uid(), 0, "{name}: nothing was given away");
    }
    assert!(!served.path("made").exists());
    // At the start it is the same.
    let (code, said) = served.code_of(&["check"]);
    assert!(code == Some(78) && said.contains("belongs to the user 'nobody'"), "{code:?}: {said}");
}

/// Of root's own directories nothing is given to anybody, and root's own links are followed.
#[test]
fn a_log_in_a_directory_of_roots_stays_roots() {
    let text = file("nobody", "").replace("theirs/logs/access.log", "ours/access.log");
    let served = Served::start(stage().file("ours/keep", ""), &text);
    let log = served.path("ours/access.log");
    wait_until(|| {
        get(served.http, "/x");
        fs::read_to_string(&log).ok().filter(|text| text.contains("GET /x"))
    });
    let meta = fs::metadata(&log).unwrap();
    assert_eq!((meta.mode() & 0o777, meta.uid()), (0o640, rustix::process::geteuid().as_raw()));
    fs::rename(&log, served.path("ours/old.log")).unwrap();
    symlink("real.log", &log).unwrap();
    served.hallway.signal("USR1");
    wait_until(|| {
        get(served.http, "/x");
        fs::read_to_string(served.path("ours/real.log")).ok().filter(|text| text.contains("GET /x"))
    });
}

/// Everything that a file names and root reads.
#[test]
fn what_root_reads_for_others_it_reads_with_their_rights() {
    let key = "-----BEGIN PRIVATE KEY-----";
    let cases = [
        ("errors = { 404 = \"theirs/file\" }\n", "a page"),
        ("maintenance = { file = \"theirs/closed\", page = \"theirs/file\" }\n", "the page of a closed site"),
        ("basic_auth = { file = \"theirs/file\" }\n", "passwords"),
        ("tls = { cert = \"theirs/file\", key = \"theirs/file\" }\n", "a certificate"),
        ("[app.web]\nwsgi = \"app:app\"\nenv_file = \"theirs/file\"\n", "variables"),
        ("[app.web]\nwsgi = \"app:app\"\nenv = { A = \"file:theirs/file\" }\n", "a secret"),
    ];
    for (more, what) in cases {
        let stage = stage().file("app.py", "");
        let text = file("nobody", more).replace("http = \"HTTP\"", "http = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"");
        fs::write(stage.dir.join("hallway.toml"), text).unwrap();
        symlink(stage.dir.join("secret"), stage.dir.join("theirs/file")).unwrap();
        let said = checked(&stage);
        assert!(!said.contains("TOPSECRET") && !said.contains(key), "{what}: {said}");
        if is_root() {
            assert!(said.contains("belongs to the user 'nobody', who may not open it"), "{what}: {said}");
        }
        // What they may read themselves is read: a directory of theirs is no reason to refuse what lies there.
        fs::remove_file(stage.dir.join("theirs/file")).unwrap();
        fs::write(stage.dir.join("theirs/file"), "A=1").unwrap();
        give(&stage.dir.join("theirs/file"));
        fs::set_permissions(stage.dir.join("theirs/file"), fs::Permissions::from_mode(0o600)).unwrap();
        let said = checked(&stage);
        assert!(!said.contains("who may not open it"), "{what}: {said}");
    }
}

fn checked(stage: &Stage) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
    let output = command.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn files_that_are_read_along_are_no_way_to_show_others() {
    let stage = stage().file("conf.d/keep", "");
    fs::write(stage.dir.join("hallway.toml"), file("nobody", "").replace("HTTP", "127.0.0.1:0")).unwrap();
    give(&stage.dir.join("conf.d"));
    symlink(stage.dir.join("secret"), stage.dir.join("conf.d/x.toml")).unwrap();
    let said = checked(&stage);
    if is_root() {
        assert!(!said.contains("TOPSECRET"), "{said}");
        assert!(said.contains("x.toml") && said.contains("belongs to the user 'nobody'"), "{said}");
    }
    fs::remove_file(stage.dir.join("conf.d/x.toml")).unwrap();
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, stage.dir.join("conf.d/x.toml"), kind, 0o666.into(), 0).unwrap();
    assert!(checked(&stage).contains("it is no regular file"), "and nothing is waited for");
}

#[test]
fn a_page_that_is_replaced_is_shown_to_nobody() {
    let text = file("nobody", "errors = { 404 = \"theirs/404.html\" }\n");
    let stage = stage().file("theirs/404.html", "not here");
    let served = Served::start(stage, &text);
    let page = || request(served.http, "GET", "/none", "Accept: text/html\r\n").text();
    assert_eq!(page(), "not here");
    fs::remove_file(served.path("theirs/404.html")).unwrap();
    symlink(served.path("secret"), served.path("theirs/404.html")).unwrap();
    let (ok, said) = served.order(&["reload", "--config"]);
    if is_root() {
        assert!(!ok && said.contains("belongs to the user 'nobody'"), "{said}");
        assert_eq!(page(), "not here");
    }
}

#[test]
fn commands_of_an_app_run_as_the_app() {
    let user = if is_root() { "user = \"nobody\"\n" } else { "" };
    let text = format!(
        "[app.web]\nwsgi = \"app:app\"\nchdir = \"theirs\"\n{user}python = \"/usr/bin/python3\"\nenv = {{ OWN = \"own\" }}\n\
         [site.\"*\"]\nroutes = [{{ path = \"/*\", app = \"web\" }}]\n"
    );
    let stage = stage();
    fs::write(stage.dir.join("hallway.toml"), text).unwrap();
    let program = "import os; print(os.getresuid(), os.getgroups(), os.getcwd(), os.environ.get('OWN'), \
                   os.environ.get('B_TOKEN'), open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])";
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
    command.args(["exec", "-c"]).arg(stage.dir.join("hallway.toml")).args(["web", "--", "python", "-c", program]);
    let output = command.env("B_TOKEN", "secret").output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let uid = if is_root() { nobody() } else { rustix::process::geteuid().as_raw() };
    assert!(said.starts_with(&format!("({uid}, {uid}, {uid}) ")), "{said}");
    assert!(said.contains("/theirs own None 1"), "{said}");
    assert!(!is_root() || !said.contains("[0"), "{said}");
}

/// Has the command type at its own terminal, as an app could that root runs a command of.
#[test]
fn commands_of_an_app_type_nothing_at_the_terminal_of_root() {
    let (user, python) = (if is_root() { "user = \"nobody\"\n" } else { "" }, "/usr/bin/python3");
    for lifted in ["", "new_privileges = true\n"] {
        let text = format!(
            "[app.web]\nwsgi = \"app:app\"\nchdir = \"theirs\"\n{user}{lifted}python = \"{python}\"\n\
             [site.\"*\"]\nroutes = [{{ path = \"/*\", app = \"web\" }}]\n"
        );
        let stage = stage();
        fs::write(stage.dir.join("hallway.toml"), text).unwrap();
        // TIOCSTI, and TIOCLINUX in the words of a program that fills the upper half of the argument, too.
        let program = "import ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\n\
                       for order in [0x5412, 0x541c, 0x5412 + (1 << 32)]:\n    \
                       failed = libc.syscall({'x86_64': 16}.get(__import__('os').uname().machine, 29), 0, \
                       ctypes.c_ulong(order), ctypes.c_char_p(b'x'))\n    \
                       print('said', failed, errno.errorcode.get(ctypes.get_errno()))";
        let mut command = Command::new(python);
        command.args(["-c", "import pty, sys; pty.spawn(sys.argv[1:])", env!("CARGO_BIN_EXE_hallway"), "exec", "-c"]);
        command.arg(stage.dir.join("hallway.toml")).args(["web", "--", "python", "-c", program]);
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        // Who is root there already, or stays who it is, is not walled off from its own terminal.
        let kept = said.matches("said -1 EPERM").count();
        assert!(if is_root() { kept == 3 } else { said.contains("said ") }, "{said}");
    }
}

/// `serve` with these directories; its exit code and what it said, where it ends.
fn refused(stage: &Stage, state: &Path, run: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
    command.args(["serve", "-c"]).arg(stage.dir.join("hallway.toml"));
    command.env("STATE_DIRECTORY", state).env("RUNTIME_DIRECTORY", run);
    let mut running = Running::launch(command, None);
    let code = running.wait_for_end().code();
    (code, running.said())
}

#[test]
fn directories_of_somebody_elses_making_are_not_used() {
    let stage = stage().file("tmp/keep", "");
    // Not who has the directory that is theirs.
    let user = if is_root() { "user = \"games\"\n" } else { "" };
    let site = "[site.\"*\"]\ntls = \"internal\"\nroutes = [{ path = \"/*\", respond = {} }]\n";
    let text = format!("[server]\nhttps = \"127.0.0.1:0\"\n{user}{site}");
    fs::write(stage.dir.join("hallway.toml"), text).unwrap();
    let tmp = stage.dir.join("tmp");
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)).unwrap();
    let make = |name: &str, mode: u32, is_theirs: bool| {
        let path = tmp.join(name);
        fs::create_dir_all(path.join("internal")).unwrap();
        for path in [path.clone(), path.join("internal")] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            if is_theirs && is_root() {
                chown(&path, Some(54_321), Some(54_321)).unwrap();
            }
        }
        path
    };
    let (state, run) = (make("state", 0o700, false), make("run", 0o700, false));
    let open = make("open", 0o777, false);
    let (code, said) = refused(&stage, &state, &open);
    assert!(code == Some(1) && said.contains("others may write to it; write: chmod 700"), "{code:?}: {said}");
    let (code, said) = refused(&stage, &open, &run);
    assert!(code == Some(1) && said.contains("may write to") && said.contains("chmod 700"), "{code:?}: {said}");
    symlink(&run, tmp.join("link")).unwrap();
    let (code, said) = refused(&stage, &state, &tmp.join("link"));
    assert!(code == Some(1) && said.contains("it is a link"), "{code:?}: {said}");
    if !is_root() {
        return;
    }
    let theirs = make("theirs", 0o755, true);
    let below = stage.dir.join("theirs/below");
    fs::create_dir_all(below.join("internal")).unwrap();
    for (state, run, what) in
        [(&theirs, &run, "state"), (&state, &theirs, "run"), (&below, &run, "state"), (&state, &below, "run")]
    {
        let (code, said) = refused(&stage, state, run);
        let is_told = said.contains("'54321'") || said.contains("'nobody'");
        assert!(code == Some(1) && said.contains("is not used") && is_told, "{what}: {code:?}: {said}");
    }
    assert_eq!(fs::read_dir(theirs.join("internal")).unwrap().count(), 0, "no key was put there");
}

#[test]
fn the_state_directory_is_made_for_the_edge_and_its_keys_are_roots() {
    let text = "[server]\nhttp = \"HTTP\"\nhttps = \"HTTPS\"\nUSER\n[site.\"*\"]\ntls = \"internal\"\nroutes = [{ path = \"/*\", respond = {} }]\n";
    let text = text.replace("USER", if is_root() { "user = \"nobody\"" } else { "" });
    let served = Served::start_all(stage(), &text, ANY);
    let meta = |name: &str| {
        let meta = fs::metadata(served.path(name)).unwrap();
        (meta.uid(), meta.mode() & 0o777)
    };
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(meta("state"), (if is_root() { nobody() } else { own }, 0o700));
    assert_eq!(meta("state/internal"), (own, 0o700));
    assert_eq!(meta("state/internal/authority.key"), (own, 0o600));
    assert_eq!((meta("run").0, meta("run").1 & 0o022), (own, 0));
}

#[test]
fn check_looks_with_the_eyes_of_who_will_run() {
    let text = "[server]\nhttp = \"127.0.0.1:0\"\nUSER\n[app.web]\nwsgi = \"app:app\"\nchdir = \"precious\"\npython = \"/usr/bin/python3\"\nUSER\n\
                [site.\"*\"]\nroutes = [{ path = \"/f/*\", files = \"precious\" }, { path = \"/*\", app = \"web\" }]\n";
    let text = text.replace("USER", if is_root() { "user = \"nobody\"" } else { "" });
    let stage = stage();
    fs::write(stage.dir.join("hallway.toml"), text).unwrap();
    let said = checked(&stage);
    if is_root() {
        assert!(said.contains("the user 'nobody', as which the edge runs, may not read"), "{said}");
        assert!(said.contains("the user 'nobody', as which 'web' runs, may not read"), "{said}");
    }
    fs::set_permissions(stage.dir.join("precious"), fs::Permissions::from_mode(0o755)).unwrap();
    let said = checked(&stage);
    assert!(said.contains(": valid: "), "{said}");
}

/// A socket is made, and a stale one taken away, with the rights of whose directory it is in.
#[test]
fn a_socket_in_a_directory_of_others_is_theirs() {
    let text = "[server]\nhttp = [\"HTTP\", \"unix:DIR/theirs/web.sock\"]\nUSER\n[site.\"*\"]\nroutes = [{ path = \"/*\", respond = { body = \"x\" } }]\n";
    let text = text.replace("USER", if is_root() { "user = \"nobody\"" } else { "" });
    let served = Served::start(stage(), &text);
    let socket = served.path("theirs/web.sock");
    let meta = fs::symlink_metadata(&socket).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.uid(), if is_root() { nobody() } else { rustix::process::geteuid().as_raw() });
    assert_eq!(request(served.http, "GET", "/", "").text(), "x");
    let mut served = served;
    served.hallway.signal("TERM");
    served.hallway.wait_for_end();
    assert!(!socket.exists());
}
