//! In:     an app that somebody works on: `--reload`, `serve --watch`.
//! Out:    what is saved is what answers, whatever is wrong with it in between.
//! Actors: hallway; an editor, played by the story.
//! Never:  does a mistake in the app end hallway, or need anything but the next save.

use super::client::get;
use super::served::Served;
use super::stage::{Running, Stage, wait_until};
use std::fs;
use std::path::PathBuf;

fn app(word: &str) -> String {
    format!("def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{word}']\n")
}

/// Saves a file as editors do: written beside it, then put in its place.
fn save(hallway: &Running, name: &str, text: &str) {
    let path: PathBuf = hallway.stage.as_ref().unwrap().dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

fn wait_for(hallway: &Running, word: &str) {
    wait_until(|| (get(hallway.address, "/").text() == word).then_some(()));
}

#[test]
fn what_is_saved_is_what_answers() {
    let helper = "WORD = b'one'\n";
    let main = "import os\nimport helper\n\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    \
                if environ['PATH_INFO'] == '/lazy':\n        import lazy\n        return [lazy.WORD]\n    \
                if environ['PATH_INFO'] == '/page':\n        return [PAGE]\n    return [helper.WORD]\n\n\
                PAGE = open('templates/page.html', 'rb').read()\nassert 'HALLWAY_SOURCES' not in os.environ\n";
    let stage = Stage::with_app(main)
        .file("helper.py", helper)
        .file("lazy.py", "WORD = b'lazy one'\n")
        .file("templates/page.html", "page one");
    let hallway = stage.run(&["--reload", "app:app"]);
    assert_eq!(hallway.children("hallway: app").len(), 1, "one worker, where no number is given");
    wait_for(&hallway, "one");
    // A module, of the same length within the same second.
    save(&hallway, "helper.py", "WORD = b'two'\n");
    wait_for(&hallway, "two");
    // One that was only imported by a request.
    assert_eq!(get(hallway.address, "/lazy").text(), "lazy one");
    save(&hallway, "lazy.py", "WORD = b'lazy two'\n");
    wait_until(|| (get(hallway.address, "/lazy").text() == "lazy two").then_some(()));
    // One that was not there before, and its change.
    save(&hallway, "fresh.py", "WORD = b'fresh'\n");
    save(&hallway, "helper.py", "from fresh import WORD\n");
    wait_for(&hallway, "fresh");
    save(&hallway, "fresh.py", "WORD = b'fresher'\n");
    wait_for(&hallway, "fresher");
    // A template.
    assert_eq!(get(hallway.address, "/page").text(), "page one");
    save(&hallway, "templates/page.html", "page two");
    wait_until(|| (get(hallway.address, "/page").text() == "page two").then_some(()));
    assert!(hallway.said().contains("templates/page.html has changed: its workers are replaced"));
}

#[test]
fn a_mistake_is_mended_by_the_next_save() {
    // From the start.
    let stage = Stage::with_app("def app(environ, start_response)\n");
    let mut command = stage.command(&["--reload", "--bind", "127.0.0.1:0", "app:app"]);
    command.env_remove("HALLWAY_RELOAD");
    let mut hallway = Running::launch(command, Some(stage));
    hallway.wait_for_line(|line| line.contains("SyntaxError"));
    let line = hallway.wait_for_line(|line| line.contains("hallway: serving "));
    hallway.address = line.rsplit_once("http://").unwrap().1.trim().parse().unwrap();
    assert_eq!(get(hallway.address, "/").status, 503);
    save(&hallway, "app.py", &app("one"));
    wait_for(&hallway, "one");
    // Later: the old code answers until the new one can.
    save(&hallway, "app.py", "import no_such_module_yet\n");
    hallway.wait_for_line(|line| line.contains("no_such_module_yet"));
    assert_eq!(get(hallway.address, "/").text(), "one");
    // What was missing comes, and is wrong; then it is right.
    save(&hallway, "no_such_module_yet.py", "raise RuntimeError('not yet')\n");
    hallway.wait_for_line(|line| line.contains("RuntimeError: not yet"));
    save(&hallway, "no_such_module_yet.py", "");
    save(&hallway, "app.py", &format!("import no_such_module_yet\n{}", app("two")));
    wait_for(&hallway, "two");
    hallway.signal("TERM");
    assert_eq!(hallway.wait_for_end().code(), Some(0));
}

#[test]
fn without_being_asked_nobody_looks() {
    let hallway = Stage::with_app(&app("one")).run(&["-w", "1", "app:app"]);
    let worker = hallway.wait_for_children("hallway: app", 1);
    // Of another length: Python tells a file from what it has compiled of it by size and second.
    save(&hallway, "app.py", &app("another"));
    // As soon as somebody asks for it, it counts; until then nothing has.
    assert_eq!(get(hallway.address, "/").text(), "one");
    assert_eq!(hallway.children("hallway: app"), worker);
    hallway.signal("HUP");
    wait_for(&hallway, "another");
    assert!(!hallway.said().contains("has changed"), "{}", hallway.said());
}

const FILE: &str = r#"
[server]
http = "HTTP"
[app.one]
wsgi = "one:app"
python = "PYTHON"
workers = 1
[app.two]
wsgi = "two:app"
python = "PYTHON"
workers = 1
[site."*"]
routes = [{ path = "/*", app = "one" }, { path = "/two", app = "two" }]
"#;

#[test]
fn a_file_that_is_watched_has_its_apps_watched() {
    let stage = Stage::new().file("one.py", &app("one")).file("two.py", &app("two"));
    let mut served = Served::start_with(stage, FILE, &["serve", "--watch"]);
    let two = served.hallway.children("hallway: app two");
    save(&served.hallway, "one.py", &app("other one"));
    wait_until(|| (get(served.http, "/").text() == "other one").then_some(()));
    assert_eq!(served.hallway.children("hallway: app two"), two, "the other app is left alone");
    served.hallway.wait_for_line(|line| line.contains("one: ") && line.contains("one.py has changed"));
    save(
        &served.hallway,
        "hallway.toml",
        &fs::read_to_string(served.path("hallway.toml")).unwrap().replace("/two", "/2"),
    );
    wait_until(|| (get(served.http, "/2").text() == "two").then_some(()));
}
