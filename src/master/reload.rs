//! In:     another plan, while everything runs.
//! Out:    sockets bound and closed, the edge told, the supervisor told; or why nothing was changed.
//! Actors: the master's loop.
//! Never:  is a plan adopted in part.

use super::births::give_sockets;
use super::news::say;
use super::{Master, Served, tell};
use crate::certificates::{self, Stamp};
use crate::config;
use crate::htpasswd;
use crate::listen::Held;
use crate::settings::{FROM_PATH, Venvs, default_interpreter};
use hallway_core::control::Order;
use hallway_core::plan::{App, Plan};
use hallway_core::supervise::{AppSettings, Command, Event, Supervisor};
use hallway_workers::carry;
use rustix::fs::{Gid, Uid, fchown};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Between two looks at a file that is watched.
const WATCH_MS: u64 = 500;
/// Between two looks at the files of certificates and passwords.
const LOOK_MS: u64 = 3_000;

impl Master {
    /// Goes by another plan from now on; what is to be done for it, which is nothing where it is the same.
    ///
    /// # Errors
    /// What stands in the way, in the words of a person; then nothing has changed.
    pub(super) fn adopt(&mut self, mut plan: Plan, tree: &mut Supervisor) -> Result<Vec<Command>, String> {
        if plan.user != self.plan.user {
            say("another user counts from the next start on");
            plan.user.clone_from(&self.plan.user);
        }
        if plan.edge_threads != self.plan.edge_threads {
            say("another number of threads counts from the next start on");
            plan.edge_threads = self.plan.edge_threads;
        }
        certificates::read_missing(&mut plan)?;
        self.number_apps(&mut plan);
        self.listeners.bind(&mut plan)?;
        give_logs(&plan);
        let described = serde_json::to_vec(&plan).map_err(|error| error.to_string())?;
        // The edge is not told what only workers know.
        let is_known = |app: &App| self.plan.apps.iter().any(|old| old.number == app.number && old.starts_like(app));
        if described == self.described && plan.apps.iter().all(is_known) {
            return Ok(Vec::new());
        }
        let carried = carry("hallway plan", &described).map_err(|error| error.to_string())?;
        let before = std::mem::replace(&mut self.plan, plan);
        self.described = described;
        self.former.insert(self.serial);
        self.serial += 1;
        if let Some(edge) = self.briefed_edge() {
            let is_new = |held: &&Held| !before.listeners.iter().any(|listener| listener.at == held.at);
            give_sockets(edge, self.listeners.of(&self.plan).filter(is_new));
            tell(edge, Order::Plan { serial: self.serial }, &[carried.as_fd()]);
        }
        self.listeners.keep(&self.plan);
        self.weigh_soon();
        self.note_certificates();
        let changed = |app: &&App| before.apps.iter().any(|old| old.number == app.number && !old.starts_like(app));
        let changed: Vec<usize> = self.plan.apps.iter().filter(changed).map(|app| app.number).collect();
        let apps: Vec<(usize, AppSettings)> = self.plan.apps.iter().map(|app| (app.number, settings_of(app))).collect();
        let mut commands = tree.adopt(self.now_ms(), &apps, self.plan.graceful_timeout_ms());
        for app in changed {
            commands.extend(tree.step(self.now_ms(), Event::RollApp(app)));
        }
        commands.extend(tree.step(self.now_ms(), Event::Tick));
        Ok(commands)
    }

    /// Goes by the file as it is now; what follows.
    ///
    /// # Errors
    /// What is wrong with it; then nothing has changed.
    pub(super) fn reread(&mut self, served: &Served<'_>, tree: &mut Supervisor) -> Result<Vec<Event>, String> {
        let plan = (served.reread)()?;
        self.refuse_new_faults(&plan)?;
        let commands = self.adopt(plan, tree)?;
        Ok(self.obey_all(commands))
    }

    /// What is missing for an app keeps its own change from being adopted; where it was there before, and has gone
    /// since, that is nothing to the changes of others.
    fn refuse_new_faults(&self, plan: &Plan) -> Result<(), String> {
        for app in plan.apps.iter().filter(|app| !app.faults.is_empty()) {
            let is_known = self.plan.apps.iter().any(|old| {
                let hindered = app.hindrance.is_none() || app.hindrance == old.hindrance;
                let python = app.python_origin != old.python_origin || app.python == old.python;
                old.name == app.name && old.chdir == app.chdir && old.callable == app.callable && hindered && python
            });
            if !is_known {
                return Err(format!("{}: {}", app.name, app.faults.join("; ")));
            }
        }
        Ok(())
    }

    /// What follows from a change of the file, where it is watched.
    pub(super) fn watch(&mut self, served: &Served<'_>) -> Option<Event> {
        if !served.watch || self.watch_at_ms.is_some_and(|at| at > self.now_ms()) {
            return None;
        }
        self.watch_at_ms = Some(self.now_ms() + WATCH_MS);
        let seen = certificates::stamp_of(&files_of(served.file));
        let before = self.watched.replace(seen.clone());
        before.is_some_and(|before| before != seen).then_some(Event::Roll)
    }

    /// Goes by newer certificates and passwords, where there are some; what follows.
    pub(super) fn renew_files(&mut self, tree: &mut Supervisor) -> Vec<Event> {
        let Some(plan) = self.newer_files() else { return Vec::new() };
        let commands = self.adopt(plan, tree).unwrap_or_default();
        self.obey_all(commands)
    }

    /// A plan with newer certificates or passwords, where files have changed since the last look, a few seconds ago.
    fn newer_files(&mut self) -> Option<Plan> {
        if self.look_at_ms.is_none_or(|at| at > self.now_ms()) {
            return None;
        }
        self.look_later();
        let stamps: Vec<Stamp> = self.plan.certificates.iter().map(|one| certificates::stamp(&one.source)).collect();
        let mut plan = self.plan.clone();
        let (told, mut is_newer) = self.passwords.renew(&mut plan);
        told.iter().for_each(|one| say(one));
        for (at, certificate) in plan.certificates.iter_mut().enumerate() {
            if self.stamps.get(at) == stamps.get(at) {
                continue;
            }
            let read = certificates::read(certificate.source.clone());
            match read.and_then(|read| hallway_edge::vet(&read, &[]).map(|_| read)) {
                Ok(read) => {
                    say(&format!("the certificate of {} has changed", users_of(&self.plan, at)));
                    (*certificate, is_newer) = (read, true);
                }
                Err(problem) => {
                    say(&format!(
                        "the certificate of {}: {problem}; the one from before stays",
                        users_of(&self.plan, at)
                    ));
                }
            }
        }
        self.stamps = stamps;
        is_newer.then_some(plan)
    }

    /// The certificates are those of the plan now; the next look is a few seconds away.
    fn look_later(&mut self) {
        let has_some = !self.plan.certificates.is_empty() || !self.passwords.is_empty();
        self.look_at_ms = has_some.then_some(self.now_ms() + LOOK_MS);
    }

    /// Remembers of which state the certificates of the plan are, and its files of passwords.
    pub(super) fn note_certificates(&mut self) {
        self.stamps = self.plan.certificates.iter().map(|one| certificates::stamp(&one.source)).collect();
        self.passwords = htpasswd::Watched::of(&self.plan);
        self.look_later();
    }

    /// An app keeps its number for as long as there is one of its name, and nobody else gets it.
    fn number_apps(&mut self, plan: &mut Plan) {
        for app in &mut plan.apps {
            let known = self.numbers.iter().position(|name| *name == app.name);
            app.number = known.unwrap_or_else(|| {
                self.numbers.push(app.name.clone());
                self.numbers.len() - 1
            });
        }
    }

    /// Everything goes by this plan from now on.
    pub(super) fn plan_is_adopted(&mut self, serial: u32) {
        let is_news = self.adopted != 0 && serial > self.adopted;
        self.adopted = serial;
        if is_news && serial == self.serial {
            say("the configuration has changed: what comes from now on goes by it");
        }
    }

    /// Nothing goes by this plan any more: once that holds of all former ones, what only they had is not needed.
    pub(super) fn plan_is_over(&mut self, serial: u32) -> Vec<Event> {
        self.former.remove(&serial);
        if !self.former.is_empty() {
            return Vec::new();
        }
        let is_wanted = |number: &usize| self.plan.apps.iter().any(|app| app.number == *number);
        (0..self.numbers.len()).filter(|number| !is_wanted(number)).map(Event::Dismiss).collect()
    }
}

/// A configuration file, and what is read with it.
fn files_of(file: &Path) -> Vec<PathBuf> {
    std::iter::once(file.to_owned()).chain(config::neighbours(file)).collect()
}

/// An app as it is started now: its virtual environment may have come since the file was read.
pub(super) fn fitted(app: &App) -> App {
    let mut app = app.clone();
    if app.python_origin == FROM_PATH {
        (app.python, app.python_origin) = default_interpreter(&app.chdir, Venvs::OwnFirst);
    }
    app
}

/// What the supervisor has to know of an app.
pub(super) fn settings_of(app: &App) -> AppSettings {
    AppSettings { workers: app.workers, timeout_ms: app.timeout_ms, graceful_timeout_ms: app.graceful_timeout_ms }
}

/// Has the files of the access logs be there and belong to who writes them: the edge may not be allowed to make
/// files where they are.
pub(super) fn give_logs(plan: &Plan) {
    let Some(user) = &plan.user else { return };
    for path in plan.logs.iter().filter_map(|log| log.path.as_ref()) {
        let given = hallway_edge::open_log(path)
            .and_then(|file| Ok(fchown(file, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?));
        if let Err(error) = given {
            say(&format!("{} cannot be given to its writer: {error}", path.display()));
        }
    }
}

/// The sites that use a certificate, by their first names.
fn users_of(plan: &Plan, certificate: usize) -> String {
    let users = plan.sites.iter().filter(|site| site.tls.as_ref().is_some_and(|tls| tls.certificate == certificate));
    users.filter_map(|site| site.hosts.first().cloned()).collect::<Vec<_>>().join(", ")
}
