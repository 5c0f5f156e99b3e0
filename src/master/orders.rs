//! In:     orders that came by the control socket.
//! Out:    their answers; what follows from them.
//! Actors: the master's loop.
//! Never:  is an order carried out in part.

use super::greeting::shown;
use super::news::{say, tell_unchanged};
use super::proposal::{Awaiting, Then};
use super::{Hired, Master, Served, control};
use crate::asked::{Ask, Rolls};
use hallway_core::control::Order;
use hallway_core::plan::{App, Listener, Plan};
use hallway_core::supervise::{Event, Supervisor};
use hallway_workers::resident_bytes;
use serde_json::{Value, json};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

impl Master {
    /// Carries out what was asked for since the last time; what follows.
    pub(super) fn serve_orders(&mut self, served: &Served<'_>, tree: &Supervisor) -> Vec<Event> {
        let now_ms = self.now_ms();
        let asked = self.control.as_mut().map(|control| control.hear(now_ms)).unwrap_or_default();
        let mut events = Vec::new();
        for (stream, ask) in asked {
            match ask {
                Ask::Status { .. } => {
                    let stream = control::answer(stream, &self.status(served, tree));
                    // The edge says the rest: how the servers of its pools are.
                    if let (Some(stream), Some(edge)) = (stream, &self.edge) {
                        // One that takes no order just now is not asked.
                        let _ = edge.channel.send(&Order::Status.encode(), &[stream.as_fd()]);
                    }
                }
                Ask::Stop => {
                    events.push(Event::Stop);
                    // Whoever asked reads until the end of this process closes it.
                    self.stopping.extend(control::answer(stream, &json!({"ok": true, "pid": std::process::id()})));
                }
                Ask::Reload(rolls) => {
                    self.service.reloading();
                    self.deferred.push_back((stream, rolls));
                }
            }
        }
        // One after the other: a change waits until the edge has said what it makes of the one before.
        while self.proposal.is_none()
            && let Some((stream, rolls)) = self.deferred.pop_front()
        {
            events.extend(self.reload(stream, &rolls, served, tree));
        }
        events
    }

    /// Tells those whose plan is adopted and whose workers are replaced.
    pub(super) fn answer_reloads(&mut self, tree: &Supervisor) {
        if self.awaiting.is_empty() {
            return;
        }
        let adopted = self.adopted;
        let is_done = |one: &Awaiting| {
            let rolls = one.app.map_or_else(|| tree.is_rolling(), |app| tree.is_rolling_app(app));
            one.serial <= adopted && !rolls
        };
        let (done, waiting): (Vec<Awaiting>, _) = self.awaiting.drain(..).partition(is_done);
        self.awaiting = waiting;
        for Awaiting { app, stream, done, .. } in done {
            let failure = match app {
                Some(app) => self.roll_failures.get(&app),
                None => self.roll_failures.values().next(),
            };
            let outcome = match failure {
                Some((problem, code)) => json!({ "problem": problem, "code": code }),
                None => json!({"ok": true, "plan": adopted, "done": done}),
            };
            drop(control::answer(stream, &outcome));
        }
    }

    /// What follows from an order to reload.
    fn reload(&mut self, stream: UnixStream, rolls: &Rolls, served: &Served<'_>, tree: &Supervisor) -> Vec<Event> {
        if let Rolls::App(name) = rolls {
            return self.reload_app(stream, name);
        }
        self.roll_failures.clear();
        let is_proposed = match self.reread(served) {
            Ok(then) => then.is_some(),
            Err(problem) => {
                tell_unchanged(&problem);
                drop(control::answer(stream, &json!({ "problem": problem })));
                return Vec::new();
            }
        };
        let rolls_all = *rolls == Rolls::All;
        let done = self.told_reload(served, rolls_all);
        let then = Then { rolls_all, renews: false, asker: Some((stream, done)) };
        match self.proposal.as_mut().filter(|_| is_proposed) {
            Some(proposal) => {
                proposal.then = then;
                Vec::new()
            }
            None => self.do_then(then, tree),
        }
    }

    /// Only the code of this app: the file is not looked at.
    fn reload_app(&mut self, stream: UnixStream, name: &str) -> Vec<Event> {
        let Some(app) = self.plan.apps.iter().find(|app| app.name == *name) else {
            let names: Vec<&str> = self.plan.apps.iter().map(|app| &*app.name).collect();
            let problem = format!("there is no app '{name}'; there are {}", names.join(", "));
            tell_unchanged(&problem);
            drop(control::answer(stream, &json!({ "problem": problem })));
            return Vec::new();
        };
        say(&format!("replacing every worker of {name}, one by one"));
        let (done, number) = (format!("replaced: {}", workers_of(app)), app.number);
        self.roll_failures.remove(&number);
        self.awaiting.push(Awaiting { serial: self.serial, app: Some(number), done, stream });
        vec![Event::RollApp(number)]
    }

    /// What will have been done once the plan that is proposed is gone by.
    fn told_reload(&self, served: &Served<'_>, rolls_all: bool) -> String {
        let file = served.file.display();
        let now = self.proposal.as_ref().map_or(&self.plan, |proposal| &proposal.plan);
        let mut done = vec![match &self.proposal {
            None => format!("nothing has changed in {file}"),
            Some(_) => format!("{file} counts as it is now: {}", hallway_config::summary(now)),
        }];
        done.extend(told_changes(&self.plan, now));
        let is_replaced = |app: &&App| {
            let old = self.plan.apps.iter().find(|old| old.number == app.number);
            old.is_some_and(|old| rolls_all || !old.starts_like(app))
        };
        let replaced: Vec<String> = now.apps.iter().filter(is_replaced).map(workers_of).collect();
        done.push(match replaced.is_empty() {
            true => "no worker is replaced".into(),
            false => format!("replaced: {}", replaced.join(", ")),
        });
        done.join("; ")
    }

    /// What everything is doing.
    fn status(&self, served: &Served<'_>, tree: &Supervisor) -> Value {
        let worker = |(number, hired): (&u32, &Hired)| {
            let pid = hired.spawned.pid;
            let state = match (self.ready.contains(number), tree.is_to_be_replaced(*number)) {
                (false, _) => "loading",
                (true, false) => "ready",
                (true, true) => "leaving",
            };
            json!({"pid": pid, "state": state, "rss_bytes": resident_bytes(pid)})
        };
        let app = |app: &App| {
            let (ready, wanted) = tree.readiness(app.number);
            let own = self.workers.iter().filter(|(_, hired)| hired.app.number == app.number);
            let workers: Vec<Value> = own.map(worker).collect();
            let down = self.downs.status(app.number, self.now_ms());
            json!({"name": app.name, "ready": ready, "wanted": wanted, "workers": workers, "down": down})
        };
        let edge = self.edge.as_ref().map(|edge| edge.pid);
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "up_s": self.started.elapsed().as_secs(),
            "file": served.file,
            "plan": self.serial,
            "listeners": self.plan.listeners.iter().map(shown).collect::<Vec<String>>(),
            "edge": {"pid": edge, "rss_bytes": edge.and_then(resident_bytes)},
            "apps": self.plan.apps.iter().map(app).collect::<Vec<Value>>(),
        })
    }
}

fn workers_of(app: &App) -> String {
    hallway_config::show::counted(app.workers as usize, "worker") + " of " + &app.name
}

/// Addresses and apps that came and went.
fn told_changes(before: &Plan, now: &Plan) -> Vec<String> {
    let addresses = |of: &Plan, than: &Plan| -> Vec<String> {
        let is_new = |listener: &&Listener| !than.listeners.iter().any(|other| other.at == listener.at);
        of.listeners.iter().filter(is_new).map(shown).collect()
    };
    let apps = |of: &Plan, than: &Plan| -> Vec<String> {
        let is_new = |app: &&App| !than.apps.iter().any(|other| other.name == app.name);
        of.apps.iter().filter(is_new).map(|app| app.name.clone()).collect()
    };
    let changes = [
        ("listens at", addresses(now, before)),
        ("listens no more at", addresses(before, now)),
        ("started:", apps(now, before)),
        ("taken out:", apps(before, now)),
    ];
    let told = changes.into_iter().filter(|(_, names)| !names.is_empty());
    told.map(|(what, names)| format!("{what} {}", names.join(", "))).collect()
}
