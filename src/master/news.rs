//! In:     what happened, what the supervisor made of it.
//! Out:    words for the operator.
//! Actors: none.
//! Never:  is something told that nobody has to know, or twice.

use super::{Hired, Master};
use hallway_core::plan::{App, Listen, Listener};
use hallway_core::supervise::{Child, Command, Event, Supervisor};
use hallway_edge::Voice;
use hallway_workers::Spawned;

impl Master {
    /// Tells what is done only because its time is over.
    pub(super) fn narrate_time(&self, tree: &Supervisor, commands: &[Command]) {
        for command in commands {
            match command {
                Command::Kill(Child::Edge) if tree.is_stopping() => {
                    say("the edge does not end by itself: what it has is cut");
                }
                Command::DumpStacks(worker) => self.narrate_missing(*worker),
                _ => {}
            }
        }
    }

    /// Tells of a worker that is still busy with what it had when the last edge died.
    fn narrate_missing(&self, worker: u32) {
        let Some(Hired { app, spawned: Spawned { pid, .. } }) = self.workers.get(&worker) else { return };
        let seconds = app.timeout_ms as f64 / 1000.0;
        say(&format!("worker {pid} has not come to the new edge for {seconds} s: it shows its stacks and is replaced"));
    }

    /// Tells how a roll has ended.
    pub(super) fn narrate_roll(&mut self, event: Event) {
        match event {
            Event::Exited(..) => {
                let text = "the app does not load: the old workers go on serving; reload again when it is mended";
                self.roll_failure = Some(format!("{text} (its own words are in the log)"));
                say(text);
            }
            Event::Ready(_) if self.rolls_all => say("every worker is replaced"),
            _ => {}
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
            Event::Ready(Child::Edge) => self.announce(),
            Event::Exited(Child::Worker(worker), Some(4)) if !tree.is_stopping() && tree.is_booting(worker) => {
                let app = tree.app_of(worker).and_then(|number| self.plan.apps.iter().find(|app| app.number == number));
                if let Some(App { callable, chdir, .. }) = app {
                    say(&format!("the app failed to load: {callable} in {}", chdir.display()));
                }
            }
            Event::Exited(Child::Edge, _) if !tree.is_stopping() && self.announced => {
                say("the edge has ended; another one takes over");
            }
            Event::Roll if !tree.is_stopping() => {
                self.rolls_all = true;
                say("replacing every worker, one by one");
            }
            Event::More => self.tell_counts(tree, |workers| workers + 1),
            Event::Fewer if self.plan.apps.iter().all(|app| tree.readiness(app.number).1 == 1) => {
                say("the last worker stays")
            }
            Event::Fewer => self.tell_counts(tree, |workers| workers.saturating_sub(1).max(1)),
            Event::Spent(worker) if !tree.is_stopping() && !tree.is_to_be_replaced(worker) => {
                let pid = self.workers.get(&worker).map_or(0, |hired| hired.spawned.pid);
                let why = match self.overgrown_mib.remove(&worker) {
                    Some(mib) => format!("has grown to {mib} MiB (--max-rss)"),
                    None => "has served enough (--max-requests)".into(),
                };
                say(&format!("worker {pid} {why}; another one takes its place"));
            }
            Event::Stop if tree.is_second_stop(self.now_ms()) => say("stopping at once"),
            Event::Stop if !tree.is_stopping() => {
                say("stopping when all requests are answered; once more to stop at once")
            }
            _ => {}
        }
    }

    /// Says where it serves, once there is something to serve with.
    fn announce(&mut self) {
        if self.announced || self.loaded.len() < self.plan.apps.len() {
            return;
        }
        self.announced = true;
        let addresses: Vec<String> = self.plan.listeners.iter().map(shown).collect();
        let what = match &self.plan.apps[..] {
            [only] if self.plan.sites.len() == 1 => only.callable.clone(),
            _ => self.plan.sites.iter().flat_map(|site| &site.hosts).cloned().collect::<Vec<_>>().join(", "),
        };
        say(&format!("serving {what} at {}", addresses.join(", ")));
        let several = self.plan.apps.len() > 1;
        for app in &self.plan.apps {
            let name = if several { format!(" ({})", app.name) } else { String::new() };
            say(&format!("{} of {}{name}; stop with Ctrl-C", counted(app.workers), app.python.display()));
        }
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

fn counted(workers: u32) -> String {
    format!("{workers} worker{}", if workers == 1 { "" } else { "s" })
}

pub(super) fn shown(listener: &Listener) -> String {
    match &listener.at {
        Listen::Tcp(address) if listener.forward => format!("proxy {address}"),
        Listen::Tcp(address) => format!("{}://{address}", if listener.tls { "https" } else { "http" }),
        Listen::Unix(path) => format!("unix:{}", path.display()),
        Listen::Inherited(number) => match listener.local {
            Some(address) => format!("fd://{number} ({address})"),
            None => format!("fd://{number}"),
        },
    }
}

pub(super) fn say(text: &str) {
    Voice::of_process().say(text);
}
