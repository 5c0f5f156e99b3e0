//! In:     virtual environments beside apps, one that is activated, interpreters that are missing.
//! Out:    which of them runs an app, and who says so.
//! Actors: hallways; small environments of this machine's Python.
//! Never:  does an environment that happens to be activated change what a file serves.

use super::client::get;
use super::served::{as_starter, free_address};
use super::stage::{Running, Stage, wait_until};
use std::path::Path;
use std::process::Command;

const APP: &str = "import sys\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    return [sys.prefix.encode()]\n";

/// An environment without packages.
fn environment(at: &Path) {
    let made = Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(at).status().unwrap();
    assert!(made.success());
}

fn stage() -> Stage {
    let stage = Stage::new().file("own/app.py", APP).file("bare/app.py", APP);
    environment(&stage.dir.join("own/.venv"));
    environment(&stage.dir.join("activated"));
    stage
}

fn file(stage: &Stage, address: std::net::SocketAddr) {
    let app = |name: &str| format!("[app.{name}]\nwsgi = \"app:app\"\nchdir = \"{name}\"\nworkers = 1\n");
    let text = format!(
        "[server]\nhttp = \"{address}\"\n{}{}[site.\"*\"]\nroutes = [{{ path = \"/own\", app = \"own\" }}, {{ path = \"/bare\", app = \"bare\" }}]\n",
        app("own"),
        app("bare")
    );
    std::fs::write(stage.dir.join("hallway.toml"), as_starter(&text)).unwrap();
}

fn hallway(stage: &Stage, word: &str, activated: bool) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
    command.arg(word).arg("-c").arg(stage.dir.join("hallway.toml")).env_remove("VIRTUAL_ENV");
    command.env("STATE_DIRECTORY", stage.dir.join("state")).env("RUNTIME_DIRECTORY", stage.dir.join("run"));
    if activated {
        command.env("VIRTUAL_ENV", stage.dir.join("activated"));
    }
    command
}

fn said_by(mut command: Command) -> String {
    let output = command.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn an_environment_beside_an_app_goes_before_one_that_is_activated() {
    for activated in [true, false] {
        let (stage, address) = (stage(), free_address());
        file(&stage, address);
        let dir = stage.dir.clone();
        let shown = said_by(hallway(&stage, "config", activated));
        let line = |origin: &str| shown.lines().find(|line| line.contains(origin)).unwrap_or_default().to_owned();
        let own = line("# ./.venv of its directory");
        assert!(own.contains(&format!("python = \"{}\"", dir.join("own/.venv/bin/python").display())), "{shown}");
        let other = line(if activated { "# $VIRTUAL_ENV" } else { "# by $PATH" });
        let expected =
            if activated { dir.join("activated/bin/python").display().to_string() } else { "python3".into() };
        assert!(other.contains(&format!("python = {expected:?}")), "{shown}");
        let mut running = Running::start_all(hallway(&stage, "serve", activated), Some(stage), 2);
        assert_eq!(get(address, "/own").text(), dir.join("own/.venv").display().to_string());
        let bare = get(address, "/bare").text();
        assert_eq!(bare == dir.join("activated").display().to_string(), activated, "{bare}");
        running.wait_for_line(|line| line.contains("own/.venv/bin/python (./.venv of its directory)"));
        // One that comes later is taken from the next worker on, where there was none.
        if !activated {
            environment(&dir.join("bare/.venv"));
            let worker = running.children("hallway: app bare")[0];
            super::stage::signal(worker, "KILL");
            wait_until(|| (get(address, "/bare").text() == dir.join("bare/.venv").display().to_string()).then_some(()));
        }
    }
}

#[test]
fn who_runs_one_app_has_activated_its_environment() {
    let stage = stage();
    let dir = stage.dir.clone();
    let run = |activated: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
        command.args(["run", "-w", "1", "--bind", "127.0.0.1:0", "--chdir"]).arg(dir.join("own")).arg("app:app");
        command.env_remove("VIRTUAL_ENV").env_remove("PORT");
        if activated {
            command.env("VIRTUAL_ENV", dir.join("activated"));
        }
        Running::start(command, None)
    };
    let mut first = run(true);
    assert_eq!(get(first.address, "/").text(), dir.join("activated").display().to_string());
    first.wait_for_line(|line| line.contains("activated/bin/python ($VIRTUAL_ENV); stop with Ctrl-C"));
    assert_eq!(get(run(false).address, "/").text(), dir.join("own/.venv").display().to_string());
}

#[test]
fn errors_name_the_interpreter_and_where_it_is_from() {
    let (code, said) = Stage::with_app("import no_such_package\n").run_to_end(&["--bind", "127.0.0.1:0", "app:app"]);
    assert!(code == Some(4) && said.contains("/bin/python (--python)"), "{said}");
    // A link that leads nowhere is meant all the same: another interpreter would lack the packages.
    let stage = Stage::with_app(APP);
    std::fs::create_dir_all(stage.dir.join(".venv/bin")).unwrap();
    std::os::unix::fs::symlink("/no/such/python3.9", stage.dir.join(".venv/bin/python")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
    command.args(["run", "--bind", "127.0.0.1:0", "--chdir"]).arg(&stage.dir).arg("app:app").env_remove("VIRTUAL_ENV");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = format!(
        "there is no interpreter '{}' (./.venv of its directory)",
        stage.dir.join(".venv/bin/python").display()
    );
    assert!(output.status.code() == Some(3) && said.contains(&expected), "{said}");
}
