//! In:     what happened, what the supervisor made of it.
//! Out:    words for the operator.
//! Actors: none.
//! Never:  is something told that nobody has to know, or twice.

use super::{Hired, Master, greeting};
use hallway_core::plan::App;
use hallway_core::supervise::{BOOT_MS, Child, EDGE_START_MS, Event, Supervisor, Tidings};
use hallway_edge::Voice;
use hallway_workers::Spawned;
use std::collections::BTreeMap;

impl Master {
    /// Tells what the supervisor has to say.
    pub(super) fn tell_tidings(&mut self, tidings: Tidings) {
        let worker = |worker: u32| self.workers.get(&worker);
        match tidings {
            Tidings::EdgeStartsTooLong => {
                say(&format!(
                    "the edge was not ready within {}: it is ended, and another one is tried",
                    seconds(EDGE_START_MS)
                ));
            }
            Tidings::EdgeOverstays => say("the edge does not end by itself: what it has is cut"),
            Tidings::Missing(number) => {
                let Some(Hired { app, spawned: Spawned { pid, .. }, .. }) = worker(number) else { return };
                let (name, time) = (&app.name, seconds(app.timeout_ms));
                say(&format!(
                    "{name}: worker {pid} has not come to the new edge for {time}: it shows its stacks and is replaced"
                ));
            }
            Tidings::Overstays(number) => {
                let Some(Hired { app, spawned: Spawned { pid, .. }, .. }) = worker(number) else { return };
                let (name, time) = (&app.name, seconds(app.graceful_timeout_ms));
                say(&format!(
                    "worker {pid} of {name} was told to leave and has not ended within its graceful timeout ({time}): it \
                     shows its stacks and is killed; what it still had to do is lost"
                ));
            }
            Tidings::LoadsTooLong(number) => {
                let Some(Hired { app, spawned: Spawned { pid, .. }, .. }) = worker(number) else { return };
                let why = format!("{} was not loaded within {}", app.callable, seconds(BOOT_MS));
                say(&format!("{}: {why}: worker {pid} shows its stacks and is ended", app.name));
                let number = app.number;
                self.downs.blame(number, why);
            }
            Tidings::AppIsDown { app, next_try_ms } => {
                let name = self.name_of(app);
                if self.downs.add(app, next_try_ms) && self.stays() {
                    say(&format!(
                        "{name}: its routes answer 503 until it can be started; it is tried again, after 10 s at the latest"
                    ));
                }
                self.announce();
            }
            Tidings::AppIsUp { app } => {
                if self.downs.remove(app) && self.stays() {
                    say(&format!("{}: started; its routes are served", self.name_of(app)));
                }
            }
            Tidings::NotReplaced { app, code } => self.tell_not_replaced(app, code),
        }
    }

    fn tell_not_replaced(&mut self, app: usize, code: i32) {
        let name = if self.plan.apps.len() > 1 { format!("{}: ", self.name_of(app)) } else { String::new() };
        let serves = self.workers.iter().any(|(number, it)| it.app.number == app && self.ready.contains(number));
        let text = if serves {
            "the app does not load: the old workers go on serving; reload again when it is mended"
        } else {
            "the app does not load: nobody answers for it; it is tried again"
        };
        say(&format!("{name}{text}"));
        self.roll_failures.insert(app, (format!("{name}{text} (its own words are in the log)"), code));
    }

    /// A worker, by its app and its process.
    pub(super) fn worker_name(&self, worker: u32) -> String {
        let hired = self.workers.get(&worker);
        hired.map_or_else(String::new, |Hired { app, spawned, .. }| format!("{}: worker {}", app.name, spawned.pid))
    }

    fn name_of(&self, app: usize) -> String {
        self.numbers.get(app).cloned().unwrap_or_default()
    }

    /// Tells how a roll has ended.
    pub(super) fn narrate_roll(&mut self, event: Event) {
        if matches!(event, Event::Ready(_)) && self.rolls_all && self.roll_failures.is_empty() {
            say("every worker is replaced");
        }
        self.rolls_all = false;
    }

    /// Tells the operator what is worth knowing.
    pub(super) fn narrate(&mut self, tree: &Supervisor, event: Event) {
        match event {
            Event::Ready(Child::Worker(worker)) if self.ready.insert(worker) => {
                self.loaded.extend(tree.app_of(worker));
                self.announce();
            }
            Event::Ready(Child::Edge) => {
                (self.edge_was_ready, self.edge_is_ready, self.edge_failed) = (true, true, false);
                self.announce();
            }
            Event::Exited(Child::Worker(worker), Some(4)) if !tree.is_stopping() && tree.is_booting(worker) => {
                let app = tree.app_of(worker).and_then(|number| self.plan.apps.iter().find(|app| app.number == number));
                if let Some(App { callable, chdir, python, python_origin, .. }) = app {
                    let (chdir, python) = (chdir.display(), python.display());
                    say(&format!("the app failed to load: {callable} in {chdir}, under {python} ({python_origin})"));
                }
            }
            Event::Exited(Child::Edge, _) if !tree.is_stopping() && self.announced => {
                say("the edge has ended; another one takes over");
            }
            Event::Roll if !tree.is_stopping() => {
                (self.rolls_all, self.roll_failures) = (true, BTreeMap::new());
                say("replacing every worker, one by one");
            }
            Event::More => self.tell_counts(tree, |workers| workers + 1),
            Event::Fewer if self.plan.apps.iter().all(|app| tree.readiness(app.number).1 == 1) => {
                say("the last worker stays")
            }
            Event::Fewer => self.tell_counts(tree, |workers| workers.saturating_sub(1).max(1)),
            Event::Spent(worker) if !tree.is_stopping() && !tree.is_to_be_replaced(worker) => {
                let who = self.worker_name(worker);
                let why = match self.overgrown_mib.remove(&worker) {
                    Some(mib) => format!("has grown to {mib} MiB ({})", self.named("max_rss")),
                    None => format!("has served enough ({})", self.named("max_requests")),
                };
                say(&format!("{who} {why}; another one takes its place"));
            }
            Event::Stop if tree.is_second_stop(self.now_ms()) => say("stopping at once"),
            Event::Stop if !tree.is_stopping() => {
                self.service.stopping();
                say("stopping when all requests are answered; once more to stop at once")
            }
            _ => {}
        }
    }

    /// Whether an app that cannot be started is waited for, while what there is is served.
    fn stays(&self) -> bool {
        self.control.is_some() || self.reloads
    }

    /// What a setting is called where it was written: a flag, or a key.
    pub(super) fn named(&self, key: &str) -> String {
        if self.plan.by_flags { format!("--{}", key.replace('_', "-")) } else { key.to_owned() }
    }

    /// What it serves, and where.
    pub(super) fn serving(&self) -> String {
        format!("serving {}", greeting::served(&self.plan))
    }

    /// Says where it serves, once there is something to serve with.
    fn announce(&mut self) {
        // What is wrong with one app of a file is no reason not to serve the others.
        let is_settled = |app: &App| {
            let is_known = self.loaded.contains(&app.number) || self.downs.contains(app.number);
            is_known || (self.said_loading && self.stays())
        };
        let is_up = self.edge_was_ready || !self.stays();
        if self.announced || !is_up || !self.plan.apps.iter().all(is_settled) {
            return;
        }
        self.announced = true;
        let status = self.serving();
        say(&status);
        self.service.ready(&status);
        let several = self.plan.apps.len() > 1;
        for app in self.plan.apps.iter().filter(|app| !self.downs.contains(app.number)) {
            let name = if several { format!(" ({})", app.name) } else { String::new() };
            let python = app.python.display();
            say(&format!("{} of {python} ({}){name}; stop with Ctrl-C", counted(app.workers), app.python_origin));
        }
    }

    /// Tells which apps take long to load.
    pub(super) fn tell_loading(&mut self) {
        let loads = |app: &&App| !self.loaded.contains(&app.number) && !self.downs.contains(app.number);
        let callables: Vec<&str> = self.plan.apps.iter().filter(loads).map(|app| &*app.callable).collect();
        if !callables.is_empty() {
            say(&format!("loading {} ...", callables.join(", ")));
        }
        self.announce();
    }

    fn tell_counts(&self, tree: &Supervisor, change: impl Fn(u32) -> u32) {
        for app in &self.plan.apps {
            let name = if self.plan.apps.len() > 1 { format!("{}: ", app.name) } else { String::new() };
            say(&format!("{name}{} from now on", counted(change(tree.readiness(app.number).1))));
        }
    }
}

/// Tells why a change was not adopted.
pub(super) fn tell_unchanged(problems: &str) {
    problems.lines().for_each(say);
    say("nothing was changed");
}

pub(super) fn seconds(time_ms: u64) -> String {
    format!("{} s", time_ms as f64 / 1000.0)
}

fn counted(workers: u32) -> String {
    format!("{workers} worker{}", if workers == 1 { "" } else { "s" })
}

pub(super) fn say(text: &str) {
    Voice::of_process().say(text);
}
