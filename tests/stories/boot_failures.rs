//! In:     apps that cannot be loaded.
//! Out:    the reason in Python's own words, and exit code 4; 3 where not even Python starts.
//! Actors: hallways that end by themselves.
//! Never:  does a broken start leave a process behind.

use super::stage::{Stage, wait_until};

#[test]
fn an_import_error_shows_its_traceback() {
    let stage = Stage::with_app("import helper\napp = helper.app\n").file("helper.py", "import no_such_package\n");
    let (code, said) = stage.run_to_end(&["-w", "2", "--bind", "127.0.0.1:0", "app:app"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("Traceback (most recent call last):"), "{said}");
    assert!(said.contains("helper.py\", line 1, in <module>"), "{said}");
    assert!(said.contains("ModuleNotFoundError: No module named 'no_such_package'"), "{said}");
    assert!(said.contains("the app failed to load: app:app in "), "{said}");
    assert!(!said.contains("importlib") && !said.contains("<string>"), "only the user's own frames: {said}");
}

#[test]
fn a_missing_name_is_answered_with_the_near_one() {
    let stage = Stage::with_app("def application(environ, start_response): ...\n");
    let (code, said) = stage.run_to_end(&["--bind", "127.0.0.1:0", "app:app"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("the module 'app' has no 'app'; did you mean 'app:application'?"), "{said}");
}

#[test]
fn a_missing_module_is_named_with_where_it_was_looked_for() {
    let (code, said) = Stage::with_app("").run_to_end(&["--bind", "127.0.0.1:0", "shop.wsgi:app"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("there is no module 'shop' in ") && said.contains("is --chdir right?"), "{said}");
    assert!(!said.contains("was ended by signal"), "what hallway ends itself is no news: {said}");
}

#[test]
fn what_is_not_callable_is_refused() {
    let (code, said) = Stage::with_app("app = 7\n").run_to_end(&["--bind", "127.0.0.1:0", "app:app"]);
    assert!(code == Some(4) && said.contains("'app:app' is not callable: it is 7"), "{said}");
}

#[test]
fn a_worker_that_dies_while_it_loads_is_a_boot_failure() {
    let stage = Stage::with_app("import os\nos._exit(9)\n");
    let (code, said) = stage.run_to_end(&["--bind", "127.0.0.1:0", "app:app"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("ended with exit code 9 before the app was loaded"), "{said}");
}

#[test]
fn a_log_that_cannot_be_written_is_told_before_anything_starts() {
    let (code, said) = Stage::with_app("").run_to_end(&["--access-log", "/no/such/directory/x.log", "app:app"]);
    assert!(code == Some(2) && said.contains("--access-log /no/such/directory/x.log: this file cannot be"), "{said}");
}

#[test]
fn an_app_that_takes_long_to_load_is_told_of() {
    let mut hallway = Stage::with_app(
        "import time\ntime.sleep(3)\ndef app(environ, start_response): start_response('200 OK', []); return []\n",
    )
    .run(&["-w", "1", "app:app"]);
    hallway.wait_for_line(|line| line.contains("loading app:app"));
}

#[test]
fn a_missing_interpreter_is_named() {
    let stage = Stage::with_app("");
    let (code, said) = stage.run_to_end(&["--bind", "127.0.0.1:0", "--python", "no-such-python", "app:app"]);
    assert!(code == Some(3) && said.contains("there is no interpreter 'no-such-python'"), "{said}");
    let (code, said) = Stage::with_app("").run_to_end(&["--python", "./no/such", "app:app"]);
    assert!(code == Some(2) && said.contains("--python ./no/such: there is no interpreter"), "{said}");
}

#[test]
fn an_app_that_breaks_later_does_not_end_what_serves() {
    let mut hallway =
        Stage::with_app("def app(environ, start_response): start_response('200 OK', []); return [b'ok']\n")
            .run(&["-w", "1", "app:app"]);
    let path = hallway.stage.as_ref().unwrap().dir.join("app.py");
    std::fs::write(&path, "import no_such_package\n").unwrap();
    let worker = hallway.children("hallway: app")[0];
    super::stage::signal(worker, "KILL");
    hallway.wait_for_line(|line| line.contains("the app failed to load"));
    std::fs::write(&path, "def app(environ, start_response): start_response('200 OK', []); return [b'mended']\n")
        .unwrap();
    wait_until(|| {
        let answer = super::client::get(hallway.address, "/");
        (answer.text() == "mended").then_some(())
    });
}
