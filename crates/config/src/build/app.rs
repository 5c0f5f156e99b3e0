//! In:     the tables `[app.…]`.
//! Out:    the applications of the plan.
//! Actors: the file system is asked for directories, interpreters and files of variables.
//! Never:  does what is missing for one app keep a file from being served; `check` calls it a problem all the same.

use super::builder::Builder;
use super::env_file;
use super::values::{bytes, named, switch, texts, time_ms, whole};
use crate::node::{Entry, Node, Span, Table};
use crate::own_variables::is_own;
use crate::settings::{Venvs, callable, default_interpreter};
use hallway_core::plan::App;
use std::path::{Path, PathBuf};

/// The longest file of variables.
const VARIABLES_BYTES_MAX: u64 = 1024 * 1024;

impl Builder<'_> {
    /// The applications.
    pub(super) fn apps(&mut self, table: &Table) -> Vec<App> {
        named(table, "app").map(|(entry, app)| self.app(entry, app)).collect()
    }

    /// What is missing for this app alone; with `hinders` it cannot be started as long as this file is gone by.
    fn fault(&mut self, (app, span): (&mut App, Span), text: String, hinders: bool) {
        if hinders {
            app.hindrance.get_or_insert(format!("{text}; when that is mended, write 'hallway reload'"));
        }
        app.faults.push(text.clone());
        self.problems.add_fault(span, text);
    }

    fn app(&mut self, entry: &Entry, table: &Table) -> App {
        let time = |key: &str, default: u64| table.get(key).and_then(time_ms).unwrap_or(default);
        let count = |key: &str| table.get(key).and_then(whole).unwrap_or(0);
        let queue = table.get("queue").and_then(Node::table);
        let queue_size = queue.and_then(|queue| queue.get("size")).and_then(whole);
        let queue_wait = queue.and_then(|queue| queue.get("max_wait")).and_then(time_ms);
        let workers = table.get("workers").and_then(whole).map_or(self.machine.cores().max(2) as u32, narrow);
        let defaults = App::new(&entry.key, self.callable(entry, table), workers);
        let mut app = App {
            factory: table.get("factory").and_then(switch).unwrap_or(defaults.factory),
            chdir: self.sources.directory(entry.key_span.file),
            threads: table.get("threads").and_then(whole).map_or(defaults.threads, narrow),
            timeout_ms: time("timeout", defaults.timeout_ms),
            graceful_timeout_ms: time("graceful_timeout", defaults.graceful_timeout_ms),
            max_requests: count("max_requests"),
            max_requests_jitter: count("max_requests_jitter"),
            max_rss_bytes: table.get("max_rss").and_then(bytes).unwrap_or(defaults.max_rss_bytes),
            queue_size: queue_size.map_or(defaults.queue_size, |size| usize::try_from(size).unwrap_or(usize::MAX)),
            queue_max_wait_ms: queue_wait.unwrap_or(defaults.queue_max_wait_ms),
            new_privileges: table.get("new_privileges").and_then(switch).unwrap_or(defaults.new_privileges),
            is_raw: table.text("output") == Some("raw"),
            request_lines: table.get("request_headers").map(|node| self.request_lines(node)).unwrap_or_default(),
            ..defaults
        };
        self.put_unset(&mut app, table);
        self.put_chdir(&mut app, table);
        self.put_python(&mut app, table);
        self.put_user(&mut app, table);
        app.env = self.variables(&mut app, table);
        self.put_passed(&mut app, table);
        app
    }

    /// Variables of the environment that are not set.
    fn put_unset(&mut self, app: &mut App, table: &Table) {
        for value in table.entries.iter().map(|entry| &entry.value) {
            if let Some(text) = self.problems.soften(value.span) {
                app.hindrance.get_or_insert(format!("{text}; or write the value, and then 'hallway reload'"));
                app.faults.push(text);
            }
            value.table().into_iter().for_each(|below| self.put_unset(app, below));
        }
    }

    fn put_chdir(&mut self, app: &mut App, table: &Table) {
        let Some((node, path)) = table.get("chdir").and_then(|node| Some((node, self.path(node)?))) else { return };
        if !self.machine.is_directory(&path) {
            let why = self.why_no_directory(&path);
            self.fault((app, node.span), why, false);
        }
        app.chdir = path;
    }

    fn put_user(&mut self, app: &mut App, table: &Table) {
        let Some((node, name)) = table.get("user").and_then(|node| Some((node, node.text()?))) else { return };
        match self.machine.find(name) {
            Ok(user) => app.user = Some(user),
            Err(mend) => self.fault((app, node.span), mend, true),
        }
    }

    fn put_passed(&mut self, app: &mut App, table: &Table) {
        for (name, span) in texts(table.get("pass_env")) {
            if is_own(name.as_ref()) {
                let text = format!("'{name}' is said to hallway itself, and would not be true of an app; take it out");
                self.problems.add(span, text);
            } else if name.is_empty() || name.contains(['=', '\0', '*', '$']) {
                self.problems.add(span, format!("'{name}': write the name of a variable, as in \"AWS_REGION\""));
            } else {
                app.pass_env.push(name.into());
            }
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
        match callable(text, false) {
            Ok(callable) => callable,
            Err(mend) => {
                self.problems.add(node.span, mend);
                String::new()
            }
        }
    }

    /// Made absolute without resolving symlinks: a virtual environment's interpreter is one.
    fn put_python(&mut self, app: &mut App, table: &Table) {
        let Some(node) = table.get("python") else {
            (app.python, app.python_origin) = default_interpreter(self.machine, &app.chdir, Venvs::OwnFirst);
            return;
        };
        let text = node.text().unwrap_or_default();
        app.python_origin = format!("python of [app.{}]", app.name);
        if !text.contains('/') {
            app.python = PathBuf::from(text);
            return;
        }
        let path = self.path(node).unwrap_or_default();
        if !self.machine.is_file(&path) {
            let inside = path.join("bin/python");
            let mend = if self.machine.is_file(&inside) {
                format!("; did you mean {text}/bin/python?")
            } else {
                String::new()
            };
            let mend = if mend.is_empty() { self.mend_interpreter(&path) } else { mend };
            self.fault((app, node.span), format!("there is no interpreter {}{mend}", path.display()), false);
        }
        app.python = path;
    }

    fn variables(&mut self, app: &mut App, table: &Table) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        if let Some(node) = table.get("env_file") {
            let path = self.path(node).unwrap_or_default();
            match self.machine.read_text(&path, VARIABLES_BYTES_MAX) {
                Err(error) => {
                    let why = self.why_unreadable(&path, &error);
                    self.fault((app, node.span), why, true);
                }
                Ok(text) => match env_file::read(&text) {
                    Ok(read) => variables = read,
                    Err((number, mend)) => {
                        self.fault((app, node.span), format!("{}:{number}: {mend}", path.display()), true);
                    }
                },
            }
        }
        let given = table.get("env").and_then(Node::table).map_or(&[][..], |env| &env.entries);
        for entry in given {
            match self.read_secret(&entry.value) {
                Ok(value) => {
                    variables.retain(|(name, _)| *name != entry.key);
                    variables.push((entry.key.clone(), value.unwrap_or_default()));
                }
                Err(problem) => self.fault((app, entry.value.span), problem, true),
            }
        }
        variables
    }

    /// What to do where there is no such interpreter: a virtual environment is made, but never in a directory of something else.
    fn mend_interpreter(&self, path: &Path) -> String {
        let venv = venv_of(path);
        if !self.machine.exists(venv) || self.machine.is_file(&venv.join("pyvenv.cfg")) {
            format!("; make it: python3 -m venv {}", venv.display())
        } else {
            "; write the path of one, as .venv/bin/python".into()
        }
    }
}

/// The virtual environment that would have this interpreter.
fn venv_of(python: &Path) -> &Path {
    let is_inside = |path: &&Path| path.file_name().is_some_and(|name| name == "bin");
    python.parent().filter(is_inside).and_then(Path::parent).unwrap_or(python)
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
