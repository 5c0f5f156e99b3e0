//! In:     what a route says of further targets: a share of clients, a copy, parts of an answer.
//! Out:    the same for the plan.
//! Actors: none.
//! Never:  is a further target taken that is not there.

use super::builder::Builder;
use super::values::{switch, time_ms, whole};
use crate::node::{Node, Table};
use hallway_core::plan::{Auth, AuthBy, Mirror, Part, Split, Target};
use hallway_core::route::Pattern;

/// For one part of an answer.
const PART_TIMEOUT_MS: u64 = 5_000;

impl Builder<'_> {
    /// The other target of a share of clients.
    pub(super) fn split(&mut self, node: &Node, apps: &[String]) -> Option<Split> {
        let table = node.table()?;
        let given: Vec<&str> = ["pool", "proxy", "app"].into_iter().filter(|key| table.get(key).is_some()).collect();
        let [target] = given[..] else {
            let text = "who gets the other share? write one of pool, proxy, app";
            self.problems.add_missing(node.span, (table, &["pool", "proxy", "app"]), text);
            return None;
        };
        let strip = table.get("strip").and_then(switch).unwrap_or(false);
        let to = match (target, table.get(target)) {
            ("app", Some(node)) => Target::App { app: self.target_app(node, apps)?, strip },
            _ => Target::Pool { pool: self.target_pool(table)?, strip },
        };
        let Some(percent) = table.get("percent").and_then(whole) else {
            self.problems.add_missing(node.span, (table, &["percent"]), "how many clients? write percent = 5");
            return None;
        };
        let by = match table.get("by") {
            Some(node) => self.hash_by(node)?,
            None => hallway_core::plan::HashBy::Client,
        };
        Some(Split { to, percent: percent as u32, by })
    }

    /// Who gets a copy of each request.
    pub(super) fn mirror(&mut self, node: &Node) -> Option<Mirror> {
        let as_pool = |node: &Node| {
            let entry = |key: &str| crate::node::Entry { key: key.into(), key_span: node.span, value: node.clone() };
            Table { entries: vec![entry("pool")] }
        };
        let (pool, percent) = match node.table() {
            None if node.text().is_some_and(|text| text.contains("://")) => {
                let mend = "write mirror = { proxy = \"…\" }";
                self.problems.add(node.span, format!("this is a server, not the name of a pool; {mend}"));
                return None;
            }
            None => (self.target_pool(&as_pool(node))?, 100),
            Some(table) => {
                if table.get("pool").is_none() && table.get("proxy").is_none() {
                    let text = "who gets the copies? write pool = \"…\" or proxy = \"http://…\"";
                    self.problems.add_missing(node.span, (table, &["pool", "proxy"]), text);
                    return None;
                }
                (self.target_pool(table)?, table.get("percent").and_then(whole).unwrap_or(100))
            }
        };
        Some(Mirror { pool, percent: percent as u32 })
    }

    /// Who is asked whether a request may pass.
    pub(super) fn auth(&mut self, node: &Node, apps: &[String]) -> Option<Auth> {
        let table = node.table()?;
        let given: Vec<&str> = ["app", "pool", "proxy"].into_iter().filter(|key| table.get(key).is_some()).collect();
        let [target] = given[..] else {
            let text = "who is asked whether a request may pass? write one of app, pool, proxy";
            self.problems.add_missing(node.span, (table, &["app", "pool", "proxy"]), text);
            return None;
        };
        let by = match (target, table.get(target)) {
            ("app", Some(node)) => AuthBy::App(self.target_app(node, apps)?),
            _ => AuthBy::Pool(self.target_pool(table)?),
        };
        let Some(path) = table.get("path") else {
            let text = "what is it asked for? write path = \"/whoami\"";
            self.problems.add_missing(node.span, (table, &["path"]), text);
            return None;
        };
        let is_path = |text: &str| text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
        let Some(text) = path.text().filter(|text| is_path(text)) else {
            self.problems.add(path.span, "this is asked for by a path, which begins with '/'");
            return None;
        };
        let mut copy = Vec::new();
        for node in table.get("copy").map_or(&[][..], Node::members) {
            let name = node.text().unwrap_or_default();
            self.check_sendable(name, node.span);
            copy.push(name.to_owned());
        }
        Some(Auth { by, path: text.into(), copy })
    }

    /// Several answers as one.
    pub(super) fn compose(&mut self, node: &Node, pattern: &Pattern) -> Option<Target> {
        let entries = node.table().map_or(&[][..], |table| &table.entries);
        if entries.is_empty() {
            self.problems.add(node.span, "an answer of which parts? write compose = { user = \"/api/user\" }");
            return None;
        }
        let mut parts = Vec::new();
        for entry in entries {
            let table = entry.value.table();
            let Some(path) = table.map_or(Some(&entry.value), |table| table.get("path")) else {
                let table = table.unwrap_or(self.file);
                let text = "which path? write path = \"/api/user\"";
                self.problems.add_missing(entry.value.span, (table, &["path"]), text);
                continue;
            };
            if path.text().is_some_and(|text| !text.starts_with('/')) {
                self.problems.add(path.span, "a part is a path of this site, which begins with '/'");
                continue;
            }
            let timeout = table.and_then(|table| table.get("timeout")).and_then(time_ms);
            let Some(to) = self.location(path, pattern) else { continue };
            parts.push(Part { name: entry.key.clone(), to, timeout_ms: timeout.unwrap_or(PART_TIMEOUT_MS) });
        }
        Some(Target::Compose(parts))
    }
}
