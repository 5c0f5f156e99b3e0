//! In:     applications of others, as they come from the package index.
//! Out:    what their users do with them.
//! Actors: a hallway for each; clients in Python, pip among them.
//! Never:  is an application changed for hallway.

use super::stage::{Running, Stage, python};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps").join(name)
}

/// A stage with one of our files in it.
fn stage_with(name: &str) -> Stage {
    let stage = Stage::with_app("");
    fs::copy(ours(name), stage.dir.join(name)).unwrap();
    stage
}

/// Runs a client against hallway, in the directory of the app.
fn use_it(hallway: &Running, client: &str) {
    let stage = hallway.stage.as_ref().unwrap();
    let url = format!("http://{}", hallway.address);
    let output = Command::new(python()).arg(ours(client)).arg(url).current_dir(&stage.dir).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", hallway.said());
    assert!(String::from_utf8_lossy(&output.stdout).contains("all done"), "{said}");
    assert!(!hallway.said().contains("Traceback"), "{}", hallway.said());
}

#[test]
fn flask_admin() {
    let stage = stage_with("flask_admin_app.py");
    fs::create_dir(stage.dir.join("uploads")).unwrap();
    let files = format!("/uploads={}", stage.dir.join("uploads").display());
    let hallway = stage.run(&["-w", "2", "--static", &files, "flask_admin_app:app"]);
    use_it(&hallway, "flask_admin_client.py");
}

#[test]
fn the_admin_of_django() {
    let stage = Stage::with_app("");
    let prepared = Command::new(python()).arg(ours("django_prepare.py")).current_dir(&stage.dir).output().unwrap();
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    let files = format!("/static={}", stage.dir.join("static").display());
    let hallway = stage.run(&["-w", "2", "--threads", "2", "--static", &files, "site_.wsgi:application"]);
    use_it(&hallway, "django_client.py");
}

#[test]
fn webdav() {
    let hallway = stage_with("webdav_app.py").run(&["-w", "1", "--threads", "3", "webdav_app:app"]);
    use_it(&hallway, "webdav_client.py");
}

#[test]
fn an_index_of_packages() {
    let stage = Stage::with_app("").file("demo/pyproject.toml", "[project]\nname = 'hallway-demo'\nversion = '1.2'\n");
    let stage = stage.file("demo/hallway_demo.py", "told = 'a story'\n").file("packages/.keep", "");
    let stage = stage.file(
        "pypi.py",
        "import pypiserver\napp = pypiserver.app(roots=['packages'], password_file='.', authenticate=[])\n",
    );
    let dir = stage.dir.clone();
    let pip = |words: &[&str]| {
        let output = Command::new(python()).arg("-m").args(words).current_dir(&dir).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    pip(&["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "built", "./demo"]);
    let hallway = stage.run(&["-w", "2", "pypi:app"]);
    let url = format!("http://{}", hallway.address);
    let wheel = "built/hallway_demo-1.2-py3-none-any.whl";
    let words = ["twine", "upload", "--disable-progress-bar", "--repository-url", &url, "-u", "a", "-p", "b", wheel];
    pip(&words);
    let index = format!("{url}/simple/");
    pip(&["pip", "download", "--quiet", "--no-deps", "--index-url", &index, "--dest", "fetched", "hallway-demo==1.2"]);
    let (sent, fetched) = (fs::read(dir.join(wheel)), fs::read(dir.join(wheel.replace("built", "fetched"))));
    assert_eq!(sent.unwrap(), fetched.unwrap());
    assert!(!hallway.said().contains("Traceback"), "{}", hallway.said());
}
