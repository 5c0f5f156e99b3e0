//! In:     the tables `[app.…]`.
//! Out:    the applications of the plan.
//! Actors: the file system is asked for directories, interpreters and files of variables.
//! Never:  is an app taken that could not be started.

use super::{Builder, bytes, named, switch, time_ms, whole};
use crate::config::node::{Entry, Node, Table};
use crate::settings::{callable, default_interpreter};
use hallway_core::plan::{App, User};
use std::path::{Path, PathBuf};

impl Builder<'_> {
    /// The applications; those that name no user run as this one.
    pub(super) fn apps(&mut self, table: &Table, user: Option<&User>) -> Vec<App> {
        let mut apps: Vec<App> = named(table, "app").map(|(entry, app)| self.app(entry, app)).collect();
        for app in apps.iter_mut().filter(|app| app.user.is_none()) {
            app.user = user.cloned();
        }
        apps
    }

    /// The user that a table names.
    pub(super) fn user_of(&mut self, table: &Table) -> Option<User> {
        let node = table.get("user")?;
        crate::users::find(node.text()?).map_err(|mend| self.problems.add(node.span, mend)).ok()
    }

    fn app(&mut self, entry: &Entry, app: &Table) -> App {
        let chdir = match app.get("chdir") {
            Some(node) => self.directory(node),
            None => Some(self.sources.directory(entry.key_span.file)),
        };
        let chdir = chdir.unwrap_or_default();
        let time = |key: &str, default: u64| app.get(key).and_then(time_ms).unwrap_or(default);
        let count = |key: &str| app.get(key).and_then(whole).unwrap_or(0);
        let queue = app.get("queue").and_then(Node::table);
        let queue_size = queue.and_then(|queue| queue.get("size")).and_then(whole);
        let queue_wait = queue.and_then(|queue| queue.get("max_wait")).and_then(time_ms);
        let workers = app.get("workers").and_then(whole).map_or(self.cores.max(2) as u32, narrow);
        let defaults = App::new(&entry.key, self.callable(entry, app), workers);
        App {
            factory: app.get("factory").and_then(switch).unwrap_or(defaults.factory),
            python: self.python(app, &chdir),
            env: self.variables(app),
            user: self.user_of(app),
            chdir,
            threads: app.get("threads").and_then(whole).map_or(defaults.threads, narrow),
            timeout_ms: time("timeout", defaults.timeout_ms),
            graceful_timeout_ms: time("graceful_timeout", defaults.graceful_timeout_ms),
            max_requests: count("max_requests"),
            max_requests_jitter: count("max_requests_jitter"),
            max_rss_bytes: app.get("max_rss").and_then(bytes).unwrap_or(defaults.max_rss_bytes),
            queue_size: queue_size.map_or(defaults.queue_size, |size| usize::try_from(size).unwrap_or(usize::MAX)),
            queue_max_wait_ms: queue_wait.unwrap_or(defaults.queue_max_wait_ms),
            ..defaults
        }
    }

    fn callable(&mut self, entry: &Entry, app: &Table) -> String {
        let Some(node) = app.get("wsgi") else {
            if app.get("asgi").is_none() && app.get("command").is_none() {
                let name = &entry.key;
                let text = format!("the app '{name}' has no wsgi = \"MODULE:APP\"; write one");
                self.problems.add_missing(entry.key_span, (app, &["wsgi", "asgi", "command"]), text);
            }
            return String::new();
        };
        let text = node.text().unwrap_or_default();
        match callable(text) {
            Ok(callable) => callable,
            Err(mend) => {
                self.problems.add(node.span, mend);
                String::new()
            }
        }
    }

    /// Made absolute without resolving symlinks: a virtual environment's interpreter is one.
    fn python(&mut self, app: &Table, chdir: &Path) -> PathBuf {
        let Some(node) = app.get("python") else { return default_interpreter(chdir) };
        let text = node.text().unwrap_or_default();
        if !text.contains('/') {
            return PathBuf::from(text);
        }
        let path = self.path(node).unwrap_or_default();
        if !path.is_file() {
            let inside = path.join("bin/python");
            let mend = if inside.is_file() { format!("; did you mean {text}/bin/python?") } else { String::new() };
            let make = format!("; make it: python3 -m venv {}", venv_of(&path).display());
            let mend = if mend.is_empty() { make } else { mend };
            self.problems.add(node.span, format!("there is no interpreter {}{mend}", path.display()));
        }
        path
    }

    fn variables(&mut self, app: &Table) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        if let Some(node) = app.get("env_file") {
            let path = self.path(node).unwrap_or_default();
            match std::fs::read_to_string(&path) {
                Err(error) => self.unreadable(node.span, &path, &error),
                Ok(text) => {
                    for (number, line) in text.lines().map(str::trim).enumerate() {
                        match line.split_once('=') {
                            _ if line.is_empty() || line.starts_with('#') => {}
                            Some((name, value)) if !name.trim().is_empty() => {
                                variables.push((name.trim().to_owned(), unquoted(value.trim()).to_owned()));
                            }
                            _ => {
                                let place = format!("{}:{}", path.display(), number + 1);
                                self.problems.add(node.span, format!("{place}: write NAME=VALUE"));
                            }
                        }
                    }
                }
            }
        }
        let given = app.get("env").and_then(Node::table).map_or(&[][..], |env| &env.entries);
        for entry in given {
            let value = self.secret(&entry.value).unwrap_or_default();
            variables.retain(|(name, _)| *name != entry.key);
            variables.push((entry.key.clone(), value));
        }
        variables
    }
}

/// The virtual environment that would have this interpreter.
fn venv_of(python: &Path) -> &Path {
    let is_inside = |path: &&Path| path.file_name().is_some_and(|name| name == "bin");
    python.parent().filter(is_inside).and_then(Path::parent).unwrap_or(python)
}

fn unquoted(value: &str) -> &str {
    let between = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    between('"').or_else(|| between('\'')).unwrap_or(value)
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
