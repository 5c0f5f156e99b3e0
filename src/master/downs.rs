//! In:     workers that could not be started.
//! Out:    why, for the log and for who asks how everything is.
//! Actors: the file system is asked what is missing.
//! Never:  is a reason kept that does not hold any more.

use hallway_core::control::Step;
use hallway_core::plan::App;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

/// What is wrong with apps, by their numbers.
#[derive(Default)]
pub(super) struct Downs {
    /// Why the last worker of each could not be started.
    blamed: BTreeMap<usize, String>,
    down: BTreeMap<usize, Down>,
}

/// An app that nobody answers for.
struct Down {
    tries: u32,
    next_try_ms: u64,
}

impl Downs {
    /// Why a worker could not be started. Whether that is news.
    pub(super) fn blame(&mut self, app: usize, why: String) -> bool {
        let is_news = self.blamed.get(&app) != Some(&why);
        self.blamed.insert(app, why);
        is_news
    }

    /// Nobody answers for this app until then. Whether that is news.
    pub(super) fn add(&mut self, app: usize, next_try_ms: u64) -> bool {
        let down = self.down.entry(app).or_insert(Down { tries: 0, next_try_ms });
        (down.tries, down.next_try_ms) = (down.tries + 1, next_try_ms);
        down.tries == 1
    }

    /// Workers of this app are there. Whether that is news.
    pub(super) fn remove(&mut self, app: usize) -> bool {
        self.blamed.remove(&app);
        self.down.remove(&app).is_some()
    }

    pub(super) fn contains(&self, app: usize) -> bool {
        self.down.contains_key(&app)
    }

    /// What keeps this app from being started; null where nothing does.
    pub(super) fn status(&self, app: usize, now_ms: u64) -> Value {
        let Some(down) = self.down.get(&app) else { return Value::Null };
        let why = self.blamed.get(&app).map_or("its worker ended before it was ready", String::as_str);
        let next_try_s = down.next_try_ms.saturating_sub(now_ms).div_ceil(1000);
        json!({"why": why, "tries": down.tries, "next_try_s": next_try_s})
    }
}

/// Why a worker of this app could not be started: the system names neither the file nor the user.
pub(super) fn explain_start(app: &App, (step, error): (Step, &io::Error), named: &dyn Fn(&str) -> String) -> String {
    if let Some(why) = &app.hindrance {
        return why.clone();
    }
    let (python, chdir) = (app.python.display(), app.chdir.display());
    let user = app.user.as_ref().map_or_else(crate::users::own_name, |user| user.name.clone());
    let shown = format!("the interpreter '{python}' ({})", app.python_origin);
    match (step, error.kind()) {
        (Step::User, _) => format!("its worker could not become the user '{user}': {error}"),
        (Step::Directory, ErrorKind::NotFound) => {
            format!("its directory {chdir} is not there; make it, or name another with {}", named("chdir"))
        }
        (Step::Directory, ErrorKind::NotADirectory) => {
            format!("{chdir} is no directory; name one with {}", named("chdir"))
        }
        (Step::Directory, ErrorKind::PermissionDenied) => format!(
            "its directory {chdir} cannot be entered: the user '{user}', as which it runs, may not do that; let that \
             user in, or name another one with {}",
            named("chdir")
        ),
        (Step::Directory, _) => format!("its directory {chdir} cannot be entered: {error}"),
        (Step::Interpreter, ErrorKind::NotFound) if app.python.components().count() > 1 && app.python.exists() => {
            format!("{shown} names another one in its first line, or needs a loader, that is not there")
        }
        (Step::Interpreter, ErrorKind::NotFound) => {
            format!("there is no interpreter '{python}' ({}); name one with {}", app.python_origin, named("python"))
        }
        (Step::Interpreter, ErrorKind::PermissionDenied) => {
            format!("{shown} is not for the user '{user}', as which it runs: {error}")
        }
        (Step::Interpreter, _) => format!("{shown} could not be started: {error}"),
    }
}
