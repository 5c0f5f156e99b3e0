//! In:     a file with apps that cannot be started, each for another reason, beside one that is well.
//! Out:    answers of the one that is well, 503 for the others, words that say why; and what follows once they are mended.
//! Actors: one hallway with many apps, and those who ask it.
//! Never:  does a site feel what is wrong with an app that it does not use.

use super::client::{get, request};
use super::served::Served;
use super::stage::{ANY, Running, Stage, signal, wait_until};
use std::net::SocketAddr;

const WELL: &str = "def app(environ, start_response): start_response('200 OK', []); return [b'well']\n";

/// Each app's name, the lines of its table, its module, and a word of what `status` says of it.
const ILL: [(&str, &str, &str, &str); 12] = [
    ("fails", "", "import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'"),
    ("syntax", "", "def app(\n", "SyntaxError"),
    ("none", "", "other = 1\n", "the module 'none' has no 'app'"),
    ("exits", "", "import sys\nsys.exit(0)\n", "SystemExit: 0"),
    ("dies", "", "import os\nos._exit(9)\n", "exit code 9 while it loaded dies:app"),
    ("crashes", "", "import os\nos.kill(os.getpid(), 11)\n", "signal 11 while it loaded crashes:app"),
    ("interpreter", "python = \"no/such/python\"\n", WELL, "there is no interpreter"),
    ("directory", "chdir = \"no/such/dir\"\n", WELL, "no/such/dir is not there"),
    ("secret", "env = { KEY = \"file:no-such-secret\" }\n", WELL, "no-such-secret"),
    ("unset", "env = { KEY = \"${NO_SUCH_VARIABLE}\" }\n", WELL, "the variable NO_SUCH_VARIABLE is not set"),
    ("lines", "env_file = \"lines.env\"\n", WELL, "lines.env:2: write NAME=VALUE"),
    ("user", "user = \"nobody-of-this-name\"\n", WELL, "there is no user 'nobody-of-this-name'"),
];

fn table(name: &str, lines: &str) -> String {
    let python = if lines.contains("python") { "" } else { "python = \"PYTHON\"\n" };
    format!("[app.{name}]\nwsgi = \"{name}:app\"\nworkers = 2\n{python}{lines}")
}

fn file(apps: &str, names: &[&str], more: &str) -> String {
    let route = |name: &&str| format!("{{ path = \"/{name}/*\", app = \"{name}\" }}, ");
    let routes: String = names.iter().map(route).collect();
    format!(
        "[server]\nhttp = \"HTTP\"\n{apps}[site.\"*\"]\nroutes = [{routes}{{ path = \"/said\", respond = {{ body = \"{more}\" }} }}]\n"
    )
}

fn status(address: SocketAddr, path: &str) -> u16 {
    get(address, path).status
}

#[test]
fn nobody_else_feels_what_is_wrong_with_an_app() {
    let mut stage = Stage::new().file("well.py", WELL).file("lines.env", "export A=1\nset -a\n");
    let mut apps = table("well", "");
    let mut names = vec!["well"];
    for (name, lines, module, _) in ILL {
        stage = stage.file(&format!("{name}.py"), module);
        apps += &table(name, lines);
        names.push(name);
    }
    let whole = file(&apps, &names, "first");
    let mut served = Served::start_all(stage, &whole, ANY);
    let at = served.http;
    wait_until(|| (get(at, "/well/").text() == "well").then_some(()));
    for (name, _, _, why) in ILL {
        wait_until(|| {
            let (_, said) = served.order(&["status"]);
            let place = said.find(&format!("app     {name}: 0 of 2 workers ready"))?;
            let of_it = said[place..].lines().nth(1)?;
            (of_it.contains("answers 503: ") && of_it.contains(why)).then_some(())
        });
        let answer = get(at, &format!("/{name}/x"));
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")), "{name}");
        served.hallway.wait_for_line(|line| line.contains(&format!("{name}: its routes answer 503")));
        assert_eq!(get(at, "/well/").text(), "well");
    }
    // Commands are for the app that they name.
    let (ok, said) = served.order(&["routes"]);
    assert!(ok && said.contains("app well"), "{said}");
    let exec = |app: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallway"));
        command.args(["exec", "-c"]).arg(served.path("hallway.toml")).args([
            app,
            "--",
            "python",
            "-c",
            "print('done')",
        ]);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(exec("well").contains("done\n"), "{}", exec("well"));
    assert!(exec("secret").ends_with("when that is mended, write 'hallway reload'\n"), "{}", exec("secret"));
    // The edge has to be told anew of apps that are down; a change of the file is for the others.
    let edge = served.hallway.children("hallway: edge")[0];
    signal(edge, "KILL");
    served.hallway.wait_for_child("hallway: edge", &[edge]);
    wait_until(|| (get(at, "/well/").text() == "well").then_some(()));
    wait_until(|| (status(at, "/fails/") == 503).then_some(()));
    served.change(&file(&apps, &names, "second"));
    assert_eq!(get(at, "/said").text(), "second");
    // What comes of an order is known by its exit code, as `run` has them.
    let (code, said) = served.code_of(&["reload", "fails"]);
    assert!(code == Some(4) && said.contains("fails: the app does not load"), "{code:?} {said}");
    for name in ["interpreter", "directory", "dies", "crashes", "user"] {
        let (code, said) = served.code_of(&["reload", name]);
        assert_eq!(code, Some(3), "{name}: {said}");
    }
    assert_eq!(served.code_of(&["reload", "well"]).0, Some(0));
    // Mended: at once by an order, by itself otherwise.
    for name in ["fails", "syntax"] {
        std::fs::write(served.path(&format!("{name}.py")), WELL).unwrap();
    }
    assert_eq!(served.code_of(&["reload", "fails"]), (Some(0), "replaced: 2 workers of fails\n".into()));
    // The master knows of a worker that has loaded a moment before the edge takes its hello.
    wait_until(|| (get(at, "/fails/").text() == "well").then_some(()));
    std::fs::create_dir_all(served.path("no/such/dir")).unwrap();
    std::fs::write(served.path("no/such/dir/directory.py"), WELL).unwrap();
    wait_until(|| (status(at, "/syntax/") == 200 && status(at, "/directory/") == 200).then_some(()));
    served.hallway.wait_for_line(|line| line.contains("syntax: started; its routes are served"));
    served.hallway.signal("TERM");
    assert_eq!(served.hallway.wait_for_end().code(), Some(0));
}

#[test]
fn an_app_that_hangs_while_it_loads_keeps_nobody() {
    let hangs = "import time\ntime.sleep(1000)\n";
    let stage = Stage::new().file("well.py", WELL).file("hangs.py", hangs);
    let apps = table("well", "max_requests = 5\n") + &table("hangs", "queue = { max_wait = \"300ms\" }\n");
    let mut served = Served::start_all(stage, &file(&apps, &["well", "hangs"], "first"), ANY);
    let at = served.http;
    assert_eq!(get(at, "/well/").text(), "well");
    served.hallway.wait_for_line(|line| line.contains("loading hangs:app"));
    assert_eq!(get(at, "/hangs/").status, 503);
    // Workers of the other app are replaced meanwhile, by every way.
    let replaced = |served: &Served, known: &[u32]| {
        wait_until(|| {
            let now = served.hallway.children("hallway: app well");
            (now.len() == 2 && now.iter().all(|pid| !known.contains(pid))).then_some(now)
        })
    };
    let first = served.hallway.wait_for_children("hallway: app well", 2);
    served.hallway.signal("HUP");
    let second = replaced(&served, &first);
    assert_eq!(served.code_of(&["reload", "well"]).0, Some(0), "it waits for nobody else's");
    let third = replaced(&served, &second);
    for _ in 0..40 {
        assert_eq!(get(at, "/well/").text(), "well");
    }
    replaced(&served, &third);
    std::fs::write(served.path("hangs.py"), WELL).unwrap();
    assert_eq!(served.code_of(&["reload", "hangs"]), (Some(0), "replaced: 2 workers of hangs\n".into()));
    assert_eq!(get(at, "/hangs/").text(), "well");
}

#[test]
fn an_app_that_dies_in_a_loop_is_started_with_pauses() {
    let dies = format!(
        "import os, threading\nopen('starts', 'a').write('x')\nthreading.Timer(0.02, os._exit, (1,)).start()\n{WELL}"
    );
    let stage = Stage::new().file("well.py", WELL).file("dies.py", &dies);
    let apps = table("well", "") + &table("dies", "");
    let served = Served::start_all(stage, &file(&apps, &["well", "dies"], "first"), ANY);
    let starts = || std::fs::read_to_string(served.path("starts")).unwrap_or_default().len();
    wait_until(|| (starts() > 6).then_some(()));
    // Every pause is a second by now, for each of its two places.
    let pauses = wait_until(|| {
        let (before, since) = (starts(), std::time::Instant::now());
        wait_until(|| (starts() >= before + 4).then_some(()));
        (since.elapsed() > std::time::Duration::from_millis(1_000)).then_some(since.elapsed())
    });
    println!("four starts within {pauses:?}");
    assert_eq!(get(served.http, "/well/").text(), "well");
}

#[test]
fn check_calls_it_a_problem_and_run_ends() {
    for (name, lines, module, _) in ILL.into_iter().filter(|(_, lines, ..)| !lines.is_empty()) {
        let stage = Stage::new().file(&format!("{name}.py"), module);
        let text = file(&table(name, lines), &[name], "").replace("PYTHON", "python3").replace("HTTP", "127.0.0.1:0");
        let stage = stage.file("hallway.toml", &text);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallway"));
        let output = command.arg("check").arg("-c").arg(stage.dir.join("hallway.toml")).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for (name, _, module, _) in ILL.into_iter().filter(|(_, lines, ..)| lines.is_empty()) {
        let stage = Stage::new().file(&format!("{name}.py"), module);
        let target = format!("{name}:app");
        let (code, said) = stage.run_to_end(&["-w", "2", "--bind", "127.0.0.1:0", &target]);
        let expected = if matches!(name, "dies" | "crashes") { 3 } else { 4 };
        assert_eq!(code, Some(expected), "{name}: {said}");
    }
}

#[test]
fn a_new_fault_is_refused_and_an_old_one_is_nothing_to_others() {
    let stage = Stage::new().file("well.py", WELL).file("here/also.py", WELL);
    let apps = |chdir: &str| table("well", "") + &table("also", &format!("chdir = \"{chdir}\"\n"));
    let names = ["well", "also"];
    let mut served = Served::start_all(stage, &file(&apps("here"), &names, "first"), 4);
    served.write(&file(&apps("there"), &names, "second"));
    let (code, said) = served.code_of(&["reload"]);
    assert!(code == Some(1) && said.contains("also: there is no such directory"), "{said}");
    assert_eq!(get(served.http, "/said").text(), "first", "nothing was changed");
    // The directory goes away while it is served: a change of a site is adopted all the same.
    std::fs::rename(served.path("here"), served.path("gone")).unwrap();
    served.change(&file(&apps("here"), &names, "third"));
    assert_eq!(get(served.http, "/said").text(), "third");
    assert_eq!(get(served.http, "/also/").text(), "well", "its old workers serve on");
}

#[test]
fn requests_that_wait_are_told_as_soon_as_it_is_known() {
    // The only worker ends with a request in it, and its app does not load any more.
    let app = "import os\nif os.path.exists('broken'): raise RuntimeError('not any more')\n\
               def app(environ, start_response):\n    if environ['PATH_INFO'].endswith('/die'): os._exit(1)\n    \
               start_response('200 OK', []); return [b'well']\n";
    let stage = Stage::new().file("once.py", app);
    let apps = table("once", "").replace("workers = 2", "workers = 1\nqueue = { max_wait = \"10m\" }");
    let mut served = Served::start_all(stage, &file(&apps, &["once"], ""), 1);
    assert_eq!(get(served.http, "/once/").text(), "well");
    std::fs::write(served.path("broken"), "").unwrap();
    // It may be repeated, so it goes to the next worker; there is none.
    let answer = request(served.http, "GET", "/once/die", "");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    served.hallway.wait_for_line(|line| line.contains("RuntimeError: not any more"));
    std::fs::remove_file(served.path("broken")).unwrap();
    wait_until(|| (status(served.http, "/once/") == 200).then_some(()));
    let _: &Running = &served.hallway;
}
