//! In:     an app of the plan, a command.
//! Out:    the command, running as the app would: in its directory, with its environment and interpreter.
//! Actors: the operating system, which replaces this process.
//! Never:  does this return when the command could be started.

use crate::cli::nearest;
use hallway_core::plan::Plan;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Becomes the command; the first word names the app. What is returned is why it could not.
pub(crate) fn exec(plan: &Plan, words: &[OsString]) -> String {
    let [name, program, arguments @ ..] = words else {
        return "write 'hallway exec APP -- COMMAND', as in 'hallway exec shop -- python manage.py migrate'".into();
    };
    let Some(app) = plan.apps.iter().find(|app| name == app.name.as_str()) else {
        let names: Vec<&str> = plan.apps.iter().map(|app| &*app.name).collect();
        let near = nearest(&name.to_string_lossy(), names.iter().copied());
        let mend =
            near.map_or_else(|| format!("there are {}", names.join(", ")), |near| format!("did you mean '{near}'?"));
        return format!("there is no app '{}'; {mend}", name.display());
    };
    if let Some(why) = &app.hindrance {
        return why.clone();
    }
    let is_python = program == "python" || program == "python3";
    let mut command = if is_python { Command::new(&app.python) } else { Command::new(program) };
    command.args(arguments).current_dir(&app.chdir).envs(app.env.iter().cloned());
    // As if its virtual environment were activated: its other programs are found, too.
    if let Some(bin) = app.python.parent().filter(|bin| bin.is_absolute()) {
        let before = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&before));
        if let Ok(path) = std::env::join_paths(path) {
            command.env("PATH", path);
        }
        if bin.parent().is_some_and(|root| root.join("pyvenv.cfg").exists()) {
            command.env("VIRTUAL_ENV", bin.parent().unwrap_or(Path::new("")));
        }
    }
    let error = command.exec();
    format!("'{}' could not be started in {}: {error}", program.display(), app.chdir.display())
}
