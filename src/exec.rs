//! In:     an app of the plan, a command.
//! Out:    the command, running as the app would: as its user, in its directory, with its environment and interpreter.
//! Actors: the operating system, which replaces this process.
//! Never:  does this return when the command could be started.

use crate::environment;
use hallway_config::nearest;
use hallway_core::plan::{App, Plan};
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
    let environment = environment::of_app(app, std::env::vars_os());
    if let Err(problem) = become_user_of(app) {
        return problem;
    }
    let is_python = program == "python" || program == "python3";
    let mut command = if is_python { Command::new(&app.python) } else { Command::new(program) };
    let path = environment.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone()).unwrap_or_default();
    command.args(arguments).current_dir(&app.chdir).env_clear().envs(environment);
    // What it runs at is a terminal, which no worker has.
    if let Some(terminal) = std::env::var_os("TERM") {
        command.env("TERM", terminal);
    }
    // As if its virtual environment were activated: its other programs are found, too.
    if let Some(bin) = app.python.parent().filter(|bin| bin.is_absolute()) {
        if let Ok(path) = std::env::join_paths(std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path))) {
            command.env("PATH", path);
        }
        if bin.parent().is_some_and(|root| root.join("pyvenv.cfg").exists()) {
            command.env("VIRTUAL_ENV", bin.parent().unwrap_or(Path::new("")));
        }
    }
    let error = command.exec();
    format!("'{}' could not be started in {}: {error}", program.display(), app.chdir.display())
}

/// Has this process be what a worker of the app is: its user, without a way back, and without rights from the programs that
/// it starts.
fn become_user_of(app: &App) -> Result<(), String> {
    let failed = |error: std::io::Error| {
        let user = app.user.as_ref().map_or_else(crate::users::own_name, |user| crate::users::name_of(user.uid));
        format!("this process cannot become the user '{user}', as which {} runs: {error}", app.name)
    };
    if !app.new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(|error| failed(error.into()))?;
    }
    if let Some(user) = &app.user {
        // The terminal is still that of who started this. A kernel without such filters has no other way either.
        let _ = hallway_workers::forbid_typing();
        hallway_workers::become_user(user).map_err(failed)?;
    }
    Ok(())
}
