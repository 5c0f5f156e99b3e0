//! Looks at files as the processes that will need them.
//!
//! In:     a plan whose processes have users; where its parts are written.
//! Out:    what one of them may not read: a problem for who checks a file.
//! Actors: the file system, asked as those users.
//! Never:  is what root may read taken for what a process of another user may.

use super::builder::Builder;
use super::values::named;
use crate::machine::Access;
use crate::node::{Node, Span, Table};
use hallway_core::plan::{Place, Plan, User};
use std::path::PathBuf;

impl Builder<'_> {
    /// What the edge and the apps have to read, as who they will be.
    pub(super) fn check_rights(&mut self, table: &Table, plan: &Plan) {
        if !self.machine.is_root() {
            return;
        }
        if let Some(edge) = &plan.user {
            self.check_edge(table, plan, edge);
        }
        for (entry, written) in named(table, "app") {
            let Some(app) = plan.apps.iter().find(|app| app.name == entry.key) else { continue };
            let Some(user) = &app.user else { continue };
            let who = || format!("the user '{}', as which '{}' runs,", self.machine.name_of(user.uid), app.name);
            let at = |key: &str| written.get(key).map_or(entry.key_span, |node| node.span);
            if self.machine.is_directory(&app.chdir) && !self.machine.may(user, &app.chdir, Access::List) {
                let mend = "let that user read it, or write another user = \"…\"";
                self.problems.add_fault(at("chdir"), format!("{} may not read {}; {mend}", who(), app.chdir.display()));
            }
            if app.python.is_absolute()
                && self.machine.exists(&app.python)
                && !self.machine.may(user, &app.python, Access::Pass)
            {
                let mend = "put it where that user may run it";
                self.problems
                    .add_fault(at("python"), format!("{} may not run {}; {mend}", who(), app.python.display()));
            }
        }
    }

    fn check_edge(&mut self, table: &Table, plan: &Plan, edge: &User) {
        let who = format!("the user '{}', as which the edge runs,", self.machine.name_of(edge.uid));
        for (span, path, access) in self.directories(table) {
            if self.machine.is_directory(&path) && !self.machine.may(edge, &path, access) {
                let mend = "let that user read it (chmod o+rx on it and on the directories above it)";
                self.problems.add_fault(span, format!("{who} may not read {}; {mend}", path.display()));
            }
        }
        for (entry, _) in named(table, "pool") {
            let pool = plan.pools.iter().find(|pool| pool.name == entry.key);
            let sockets = pool.iter().flat_map(|pool| &pool.servers).filter_map(|server| match &server.at {
                Place::Unix(path) => Some(path.clone()),
                _ => None,
            });
            for path in sockets.filter(|path| self.machine.exists(path)) {
                if !self.machine.may(edge, &path, Access::Write) {
                    let text = format!("{who} may not write to {}, so it cannot ask that server", path.display());
                    self.problems.warn(entry.key_span, text);
                }
            }
        }
    }

    /// Directories that the edge serves or looks into, and what it needs of each.
    fn directories(&self, table: &Table) -> Vec<(Span, PathBuf, Access)> {
        let mut found = Vec::new();
        for (_, site) in named(table, "site") {
            for route in site.get("routes").map_or(&[][..], Node::members).iter().filter_map(Node::table) {
                let Some(files) = route.get("files") else { continue };
                let options = files.table();
                let lists = options.and_then(|options| options.get("list")).is_some();
                let access = if lists { Access::List } else { Access::Pass };
                let written = options.map_or(Some(files), |options| options.get("dir"));
                found.extend(written.and_then(|node| Some((node.span, self.path(node)?, access))));
            }
            // That a file is there is seen by who may look into its directory.
            let maintenance = site.get("maintenance").and_then(Node::table).and_then(|table| table.get("file"));
            found.extend(
                maintenance.and_then(|node| Some((node.span, self.path(node)?.parent()?.to_owned(), Access::Pass))),
            );
        }
        found
    }
}
