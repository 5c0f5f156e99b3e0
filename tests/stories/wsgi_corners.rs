//! In:     what applications may do with WSGI's objects beside the usual, and what they rely on.
//! Out:    what other servers let them do.
//! Actors: hallways with one or two workers.
//! Never:  does a name, a class or a library that others take fail here without a word.

use super::client::{Connection, get, post};
use super::served::Served;
use super::stage::{Running, Stage, wait_until};

const APP: &str = r#"
import collections, gc, sys

class Headers(list):
    def __iter__(self):
        yield from list.__iter__(self)
        yield ("X-Own", "iterator")

class Text(str):
    pass

Pair = collections.namedtuple("Pair", "name value")
kept = []
gc.disable()

def app(environ, start_response):
    path, wrap = environ["PATH_INFO"], environ["wsgi.file_wrapper"]
    plain = [("Content-Type", "text/plain")]
    if path == "/headers":
        start_response(status="200 OK", headers=plain)
    elif path == "/response_headers":
        start_response("200 OK", response_headers=plain, exc_info=None)
    elif path == "/exc_info":
        try:
            start_response("200 OK", plain)
            raise KeyError("late")
        except KeyError:
            start_response("503 Later", plain, exc_info=sys.exc_info())
    elif path == "/subclasses":
        start_response(Text("299 Own"), Headers([Pair(Text("X-Pair"), Text("named"))]))
    elif path == "/others":
        start_response("200 OK", (["X-List", "pair"],))
    elif path == "/dict":
        start_response("200 OK", {"X-Dict": "items"}.items())
    elif path == "/latin":
        start_response("200 D\u00e9j\u00e0 vu", plain)
    elif path == "/cyrillic":
        start_response("200 \u0434\u0430", plain)
    elif path == "/split":
        start_response("200 OK\r\nX-Split: yes", plain)
    elif path == "/none":
        start_response("200 OK")
    elif path == "/wrapper":
        start_response("200 OK", plain)
        return wrap(filelike=open("file.txt", "rb"), blksize=4)
    elif path == "/subclass":
        class Upper(wrap):
            def __init__(self, extra, file):
                super().__init__(file, blksize=3)
                self.extra = extra
            def __next__(self):
                return super().__next__().upper() + self.extra
        start_response("200 OK", plain)
        return Upper(b"-", open("file.txt", "rb"))
    elif path == "/attributes":
        wrapper = wrap(open("file.txt", "rb"), -1)
        start_response("200 OK", plain)
        return [f"{wrapper.filelike.name} {wrapper.blksize} ".encode(), *wrapper]
    elif path == "/upload":
        cycle = [environ]
        cycle.append(cycle)
        kept.append(environ["wsgi.input"])
        start_response("200 OK", plain)
        if environ["QUERY_STRING"] == "raise":
            raise ValueError("with the environ in its traceback")
        if environ["QUERY_STRING"] == "late":
            def pieces():
                yield str(len(environ["wsgi.input"].read())).encode()
            return pieces()
        return [str(len(environ["wsgi.input"].read(1000))).encode()]
    else:
        start_response("200 OK", plain)
        return [f"{environ['wsgi.multiprocess']} {environ['wsgi.multithread']}".encode()]
    return [b"ok"]
"#;

#[test]
fn arguments_have_names_and_subclasses_are_taken() {
    let hallway = Stage::with_app(APP).file("file.txt", "abcdefgh").run(&["-w", "1", "app:app"]);
    let ask = |path: &str| get(hallway.address, path);
    for path in ["/headers", "/response_headers", "/others", "/dict"] {
        assert_eq!((ask(path).status, ask(path).text().as_str()), (200, "ok"), "{path}: {}", hallway.said());
    }
    assert_eq!((ask("/others").header("x-list"), ask("/dict").header("x-dict")), (Some("pair"), Some("items")));
    assert_eq!(ask("/exc_info").status, 503);
    let own = ask("/subclasses");
    assert_eq!((own.status, own.header("x-pair"), own.header("x-own")), (299, Some("named"), Some("iterator")));
    assert_eq!(ask("/wrapper").text(), "abcdefgh");
    assert_eq!(ask("/subclass").text(), "ABC-DEF-GH-");
    assert_eq!(ask("/attributes").text(), "file.txt -1 abcdefgh");
    assert_eq!(ask("/none").status, 500);
}

#[test]
fn a_reason_is_latin_1_or_an_error() {
    let mut hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let mut raw = Connection::open(hallway.address);
    raw.send("GET /latin HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n");
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(raw.reader(), &mut bytes).unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200 D\xe9j\xe0 vu\r\n"), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(get(hallway.address, "/cyrillic").status, 500);
    hallway.wait_for_line(|line| line.contains("the status has a character outside Latin-1"));
    let split = get(hallway.address, "/split");
    assert_eq!((split.status, split.header("x-split")), (500, None));
    hallway.wait_for_line(|line| line.contains("the status has a character that cannot be sent"));
}

/// Spool files that processes of it hold.
fn spooled(hallway: &Running, title: &str) -> usize {
    let open = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links =
        hallway.children(title).into_iter().flat_map(open).filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let names = links.map(|link| link.to_string_lossy().into_owned());
    names.filter(|name| name.ends_with("(deleted)") && !name.starts_with("/memfd:")).count()
}

#[test]
fn the_file_of_a_body_is_closed_after_the_call() {
    let body = vec![b'x'; 2_000_000];
    for threads in ["1", "2"] {
        let hallway = Stage::with_app(APP).run(&["-w", "1", "--threads", threads, "app:app"]);
        for (path, status, text) in
            [("/upload", 200, "1000"), ("/upload?raise", 500, ""), ("/upload?late", 200, "2000000")]
        {
            let answer = post(hallway.address, path, &body);
            assert!(answer.status == status && (text.is_empty() || answer.text() == text), "{path}: {}", answer.status);
        }
        // The app holds on to all of them.
        wait_until(|| {
            (spooled(&hallway, "hallway: app") == 0 && spooled(&hallway, "hallway: edge") == 0).then_some(())
        });
    }
}

#[test]
fn one_process_is_not_several() {
    for (flags, expected) in [
        (["-w", "1", "--threads", "1"], "False False"),
        (["-w", "2", "--threads", "1"], "True False"),
        (["-w", "1", "--threads", "2"], "False True"),
    ] {
        let hallway = Stage::with_app(APP).run(&[&flags[..], &["app:app"]].concat());
        assert_eq!(get(hallway.address, "/").text(), expected);
    }
    // A reload that makes several of one replaces the one.
    let file = |workers: usize| {
        format!(
            "[server]\nhttp = \"HTTP\"\n[app.web]\nwsgi = \"app:app\"\npython = \"PYTHON\"\nworkers = {workers}\n\
             [site.\"*\"]\nroutes = [{{ path = \"/*\", app = \"web\" }}]\n"
        )
    };
    let mut served = Served::start(Stage::with_app(APP), &file(1));
    assert_eq!(get(served.http, "/").text(), "False False");
    served.change(&file(2));
    served.hallway.wait_for_line(|line| line.contains("every worker is replaced"));
    for _ in 0..10 {
        assert_eq!(get(served.http, "/").text(), "True False");
    }
}

#[test]
fn threads_that_are_none_are_refused() {
    let app = "from gevent import monkey\nmonkey.patch_all()\nimport time\n\
               def app(environ, start_response):\n    time.sleep(0.05)\n    start_response('200 OK', []); return [b'green']\n";
    let stage = Stage::with_app(app);
    let (code, said) = stage.run_to_end(&["--bind", "127.0.0.1:0", "--threads", "4", "app:app"]);
    assert!(code == Some(4) && said.contains("has gevent take the place of threads, and --threads 4"), "{said}");
    // With one thread it works, and ends; so it does with threads that were left alone.
    for (app, threads) in [(app.to_owned(), "1"), (app.replace("patch_all()", "patch_all(thread=False)"), "4")] {
        let mut hallway = Stage::with_app(&app).run(&["-w", "1", "--threads", threads, "app:app"]);
        for _ in 0..8 {
            assert_eq!(get(hallway.address, "/").text(), "green");
        }
        hallway.signal("TERM");
        assert_eq!(hallway.wait_for_end().code(), Some(0));
    }
    // Patched by the first request only: its threads are there already.
    let late = "def app(environ, start_response):\n    from gevent import monkey\n    monkey.patch_all()\n    \
                start_response('200 OK', []); return [b'late']\n";
    let mut hallway = Stage::with_app(late).run(&["-w", "1", "--threads", "3", "app:app"]);
    for _ in 0..8 {
        assert_eq!(get(hallway.address, "/").text(), "late");
    }
    hallway.signal("TERM");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
}

#[test]
fn a_fork_is_not_warned_of_because_of_hallway() {
    // Before 3.12 Python does not say it; the words are its own.
    let app = r#"
import os, sys, threading, warnings

def app(environ, start_response):
    if environ["PATH_INFO"] == "/threads":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    try:
        if sys.version_info < (3, 12):
            words = "This process (pid=1) is multi-threaded, use of fork() may lead to deadlocks in the child."
            warnings.warn(words, DeprecationWarning)
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        answer = b"quiet"
    except DeprecationWarning:
        answer = b"warned"
    start_response("200 OK", [])
    return [answer]
"#;
    let hallway =
        Stage::with_app(app).run(&["-w", "1", "--env", "PYTHONWARNINGS=error::DeprecationWarning", "app:app"]);
    assert_eq!(get(hallway.address, "/").text(), "quiet");
    assert_eq!(get(hallway.address, "/threads").text(), "warned", "the app's own threads are its own affair");
}

#[test]
fn a_directory_of_spool_files_that_cannot_be_used_is_named() {
    let stage = Stage::with_app(APP).file(
        "hallway.toml",
        "[app.web]\nwsgi = \"app:app\"\n[site.\"*\"]\nroutes = [{ path = \"/*\", app = \"web\" }]\n",
    );
    let check = |directory: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallway"));
        command.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).env("TMPDIR", directory);
        let output = command.output().unwrap();
        assert!(output.status.success(), "it works all the same");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = check("/proc/self");
    assert!(
        said.contains("warning: TMPDIR cannot be used for spool files (/proc/self: ") && said.contains("(os error "),
        "{said}"
    );
    let said = check("/no/such/directory");
    assert!(said.contains("(/no/such/directory: No such file or directory (os error 2))"), "{said}");
    assert_eq!(check(stage.dir.to_str().unwrap()), "");
}
