//! In:     files that may have changed, while everything runs.
//! Out:    the plan that the edge is asked to go by; or why nothing was changed.
//! Actors: the master's loop; the file system.
//! Never:  does what is wrong with a file reach the edge.

use super::news::{say, tell_unchanged};
use super::proposal::Then;
use super::{Master, Served};
use crate::certificates::{self, Stamp};
use crate::htpasswd;
use crate::machine::ThisMachine;
use hallway_core::plan::Plan;
use hallway_core::supervise::Event;
use std::path::{Path, PathBuf};

/// Between two looks at a file that is watched.
const WATCH_MS: u64 = 500;
/// Between two looks at the files of certificates and passwords.
const LOOK_MS: u64 = 3_000;
/// The same after one that the edge could not go by.
const LOOK_AGAIN_MS: u64 = 10_000;

impl Master {
    /// Asks the edge to go by the file as it is now; what is to be done then may be said, nothing where it is the same.
    ///
    /// # Errors
    /// What is wrong with it; then nothing has changed.
    pub(super) fn reread(&mut self, served: &Served<'_>) -> Result<Option<&mut Then>, String> {
        let plan = (served.reread)()?;
        self.refuse_new_faults(&plan)?;
        self.propose(plan)
    }

    /// The file is to be read anew, and every worker to be replaced; what follows.
    pub(super) fn reread_and_roll(&mut self, served: &Served<'_>) -> Option<Event> {
        if self.proposal.is_some() {
            // One after the other: the file may change while the edge is being asked.
            self.rolls_again = true;
            return None;
        }
        match self.reread(served) {
            Ok(Some(then)) => {
                then.rolls_all = true;
                None
            }
            Ok(None) => Some(Event::Roll),
            Err(problems) => {
                tell_unchanged(&problems);
                None
            }
        }
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

    /// Asks the edge to go by newer certificates and passwords, where there are some.
    pub(super) fn renew_files(&mut self) {
        if self.proposal.is_some() {
            return;
        }
        let Some(plan) = self.newer_files() else { return };
        match self.propose(plan) {
            Ok(Some(then)) => then.renews = true,
            Ok(None) => {}
            Err(problem) => {
                tell_unchanged(&problem);
                self.look_again();
            }
        }
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
            let read = certificates::read_for(certificate.source.clone(), self.plan.user.as_ref());
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

    /// What is newer could not be gone by just now: it is read once more.
    pub(super) fn look_again(&mut self) {
        self.stamps.clear();
        self.passwords.forget();
        self.look_at_ms = Some(self.now_ms() + LOOK_AGAIN_MS);
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
    std::iter::once(file.to_owned()).chain(hallway_config::neighbours(file, &ThisMachine)).collect()
}

/// The sites that use a certificate, by their first names.
fn users_of(plan: &Plan, certificate: usize) -> String {
    let users = plan.sites.iter().filter(|site| site.tls.as_ref().is_some_and(|tls| tls.certificate == certificate));
    users.filter_map(|site| site.hosts.first().cloned()).collect::<Vec<_>>().join(", ")
}
