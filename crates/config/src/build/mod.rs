//! In:     the values of a configuration file.
//! Out:    the plan; or what is wrong with values that by themselves look right.
//! Actors: the file system is asked whether what is named exists.
//! Never:  is a plan made of values with problems.

mod app;
mod doubts;
mod env_file;
mod hierarchy;
mod modifiers;
mod place;
mod pool;
mod rights;
mod route;
mod server;
mod several;
mod site;
mod tls;

use super::machine::Machine;
use super::node::{Data, Entry, Node, Span, Table};
use super::problem::{Problems, Sources};
use super::shape;
use super::tables::FILE;
use crate::near::nearest;
use crate::settings::{duration_ms, size_bytes};
use hallway_core::plan::{AccessLog, Certificate, Plan, Pool, Zone};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest secret in a file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// What every part of a build needs.
pub(super) struct Builder<'a> {
    machine: &'a dyn Machine,
    sources: &'a Sources,
    problems: &'a mut Problems,
    /// The whole file.
    file: &'a Table,
    /// Whether there is any address for HTTPS.
    has_https: bool,
    /// Those of the sites so far.
    certificates: Vec<Certificate>,
    logs: Vec<AccessLog>,
    zones: Vec<Zone>,
    pools: Vec<Arc<Pool>>,
}

/// Makes the plan of a file's values. Problems are added to those of reading it; with any there is no plan.
pub(crate) fn plan(table: &Table, machine: &dyn Machine, sources: &Sources, problems: &mut Problems) -> Option<Plan> {
    shape::Shape { machine, problems }.check_table(table, FILE, "");
    let has_https = table.get("server").and_then(Node::table).is_some_and(|server| server.get("https").is_some())
        || machine.given().encrypted;
    let (certificates, logs, zones, pools) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut builder = Builder { machine, sources, problems, file: table, has_https, certificates, logs, zones, pools };
    let mut user = builder.user(table);
    let mut apps = builder.apps(table);
    let user_origin = machine.choose(&mut user, &mut apps);
    let names: Vec<String> = apps.iter().map(|app| app.name.clone()).collect();
    builder.pools(table);
    let log = builder.access_log(table);
    let sites = builder.sites(table, &names, log);
    if builder.problems.is_empty() {
        builder.doubt_unused(table, &sites);
    }
    let plan = Plan {
        listeners: builder.listeners(table),
        edge_threads: builder.threads(table),
        certificates: std::mem::take(&mut builder.certificates),
        sites,
        pools: std::mem::take(&mut builder.pools),
        resolvers: builder.resolvers(table),
        apps,
        trust: builder.trust(table),
        forward_proxy: builder.forward_proxy(table),
        spool_bytes_max: builder.spool_bytes_max(table),
        stop_timeout_ms: builder.stop_timeout_ms(table),
        watchdog_ms: builder.watchdog_ms(table),
        reloads: false,
        by_flags: false,
        user,
        user_origin,
        zones: std::mem::take(&mut builder.zones),
        logs: std::mem::take(&mut builder.logs),
        log,
        limits: builder.limits(table),
    };
    if builder.problems.is_empty() {
        builder.doubt_plan(table, &plan);
        builder.check_rights(table, &plan);
    }
    problems.is_empty().then_some(plan)
}

impl Builder<'_> {
    /// A path as it was written, from the directory of its file.
    fn path(&self, node: &Node) -> Option<PathBuf> {
        self.machine.absolute(&self.sources.directory(node.span.file).join(node.text()?)).ok()
    }

    /// A string as it stands, or what is in the file that it names.
    fn secret(&mut self, node: &Node) -> Option<String> {
        let read = self.read_secret(node);
        read.unwrap_or_else(|problem| {
            self.problems.add(node.span, problem);
            None
        })
    }

    /// The same; the error says what is wrong with that file.
    fn read_secret(&self, node: &Node) -> Result<Option<String>, String> {
        let Some(text) = node.text() else { return Ok(None) };
        let Some(file) = text.strip_prefix("file:") else { return Ok(Some(text.into())) };
        let path = self.sources.directory(node.span.file).join(file);
        self.machine
            .read_text(&path, SECRET_BYTES_MAX)
            .map(|content| Some(content.trim_end_matches(['\r', '\n']).into()))
            .map_err(|error| self.why_unreadable(&path, &error))
    }

    /// The same, for a directory that has to be there.
    fn directory(&mut self, node: &Node) -> Option<PathBuf> {
        let path = self.path(node)?;
        if self.machine.is_directory(&path) {
            return Some(path);
        }
        let why = self.why_no_directory(&path);
        self.problems.add(node.span, why);
        None
    }

    /// A file that cannot be read.
    fn unreadable(&mut self, span: Span, path: &Path, error: &io::Error) {
        let why = self.why_unreadable(path, error);
        self.problems.add(span, why);
    }

    /// What is wrong with a path that is to be a directory.
    fn why_no_directory(&self, path: &Path) -> String {
        let shown = path.display();
        if self.machine.exists(path) {
            format!("{shown} is no directory; write the directory that it is in")
        } else {
            format!("there is no such directory: {shown}; {}", self.mend_path(path, "make it: mkdir -p "))
        }
    }

    /// What is wrong with a file that cannot be read.
    fn why_unreadable(&self, path: &Path, error: &io::Error) -> String {
        let shown = path.display();
        match error.kind() {
            io::ErrorKind::NotFound => format!("there is no such file: {shown}; {}", self.mend_path(path, "")),
            io::ErrorKind::PermissionDenied => format!(
                "{shown} cannot be read by the user '{}', as which this runs; let that user read it",
                self.machine.own_name()
            ),
            _ => format!("{shown} cannot be read: {error}"),
        }
    }

    /// What to do about a path that is not there: take the one beside it that was most likely meant, or `make` it.
    fn mend_path(&self, path: &Path, make: &str) -> String {
        let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = path.parent().map(|parent| self.machine.names_in(parent)).unwrap_or_default();
        let names: Vec<String> = beside.into_iter().filter_map(|name| name.into_string().ok()).collect();
        if let Some(near) = nearest(&wanted, names.iter().map(String::as_str)) {
            return format!("did you mean '{near}'?");
        }
        let written = "a path is relative to the file that it is written in";
        match make {
            "" => format!("make it, or write another path: {written}"),
            make => format!("{make}{}, or write another path: {written}", path.display()),
        }
    }
}

/// The entries of a table of names: `[app.…]`, `[site.…]`.
fn named<'t>(table: &'t Table, key: &str) -> impl Iterator<Item = (&'t Entry, &'t Table)> {
    let entries = table.get(key).and_then(Node::table).map_or(&[][..], |table| &table.entries);
    entries.iter().filter_map(|entry| Some((entry, entry.value.table()?)))
}

fn time_ms(node: &Node) -> Option<u64> {
    match &node.data {
        Data::Text(text) => duration_ms(text).ok(),
        Data::Whole(seconds) => u64::try_from(*seconds).ok()?.checked_mul(1000),
        _ => None,
    }
}

fn bytes(node: &Node) -> Option<u64> {
    match &node.data {
        Data::Text(text) => size_bytes(text).ok(),
        Data::Whole(bytes) => u64::try_from(*bytes).ok(),
        _ => None,
    }
}

fn whole(node: &Node) -> Option<u64> {
    match &node.data {
        Data::Whole(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn count(node: &Node) -> Option<usize> {
    whole(node).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

fn switch(node: &Node) -> Option<bool> {
    match &node.data {
        Data::Switch(switch) => Some(*switch),
        _ => None,
    }
}

/// Texts and where they stand.
fn texts(node: Option<&Node>) -> impl Iterator<Item = (&str, Span)> {
    let members = node.map_or(&[][..], Node::members);
    members.iter().filter_map(|member| Some((member.text()?, member.span)))
}
