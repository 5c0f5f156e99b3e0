//! In:     one route's table, the names of the apps.
//! Out:    the route of the plan.
//! Actors: the file system is asked for directories.
//! Never:  has a route two targets, or none.

use super::builder::Builder;
use super::modifiers::{Modifiers, networks};
use super::values::{switch, texts, whole};
use crate::near::{listed, nearest};
use crate::node::{Data, Node, Span, Table};
use hallway_core::fields::{Name, is_value};
use hallway_core::files::relative_path;
use hallway_core::plan::{Adjust, Files, LocationPart, Route, Target};
use hallway_core::route::{Conditions, Pattern, Wanted};

/// What can answer; a route has exactly one of these.
const TARGETS: [&str; 8] = ["files", "app", "redirect", "respond", "pool", "proxy", "compose", "jobs"];

impl Builder<'_> {
    pub(super) fn route(
        &mut self,
        (span, table): (Span, &Table),
        apps: &[String],
        (site, outer): (&str, &Modifiers),
    ) -> Option<Route> {
        let given: Vec<&str> = TARGETS.into_iter().filter(|target| table.get(target).is_some()).collect();
        match given[..] {
            [_] => {}
            [] => self.problems.add_missing(
                span,
                (table, &TARGETS),
                "this route has no target; write one of files, app, pool, proxy, compose, redirect, respond",
            ),
            _ => self.problems.add(span, format!("this route has several targets: {}; keep one", given.join(", "))),
        }
        let Some(path) = table.text("path") else {
            if table.get("path").is_none() {
                let text = "this route has no path; write path = \"/*\" for every one";
                self.problems.add_missing(span, (table, &["path"]), text);
            }
            return None;
        };
        let pattern = Pattern::parse(path).ok()?;
        let target = self.target(table, &pattern, apps);
        self.check_company(table);
        let mut route = Route::new(path, target?);
        route.conditions = Self::conditions(table);
        if let Some(node) = table.get("rewrite") {
            route.rewrite = self.rewrite(node, &pattern)?;
        }
        self.check_raw_path(table, &route);
        route.split = table.get("split").and_then(|node| self.split(node, apps));
        route.mirror = table.get("mirror").and_then(|node| self.mirror(node));
        route.auth = table.get("auth").and_then(|node| self.auth(node, apps));
        let inner = self.modifiers(table, &format!("{site} {path} {:?}", route.conditions));
        Modifiers::apply(outer, inner, &mut route);
        Some(route)
    }

    /// What came cannot go on as it came and be another path.
    fn check_raw_path(&mut self, table: &Table, route: &Route) {
        let is_raw = matches!(&route.target, Target::Pool { pool, .. } if self.pools[*pool].raw_path);
        for key in ["strip", "rewrite"] {
            let is_on = |node: &&Node| switch(node) != Some(false);
            if let Some(node) = table.get(key).filter(|_| is_raw).filter(is_on) {
                let text = format!("'{key}' changes the path, which the pool's 'raw_path' keeps; take one of them out");
                self.problems.add(node.span, text);
            }
        }
    }

    fn target(&mut self, table: &Table, pattern: &Pattern, apps: &[String]) -> Option<Target> {
        if let Some(node) = table.get("files") {
            return self.files(node, pattern);
        }
        if let Some(node) = table.get("app") {
            let app = self.target_app(node, apps)?;
            let strip = table.get("strip").and_then(switch).unwrap_or(false);
            return Some(Target::App { app, strip });
        }
        if table.get("pool").is_some() || table.get("proxy").is_some() {
            let strip = table.get("strip").and_then(switch).unwrap_or(false);
            return Some(Target::Pool { pool: self.target_pool(table)?, strip });
        }
        if let Some(node) = table.get("compose") {
            return self.compose(node, pattern);
        }
        if let Some(node) = table.get("redirect") {
            let status = table.get("status").and_then(whole).unwrap_or(302) as u16;
            return Some(Target::Redirect { status, to: self.location(node, pattern)? });
        }
        let respond = table.get("respond")?.table()?;
        let body = respond.text("body").unwrap_or_default();
        let media_type = respond.text("type").unwrap_or(if body.is_empty() { "" } else { "text/plain; charset=utf-8" });
        let status = respond.get("status").and_then(whole).unwrap_or(200) as u16;
        Some(Target::Respond { status, media_type: media_type.into(), body: body.into() })
    }

    pub(super) fn target_app(&mut self, node: &Node, apps: &[String]) -> Option<usize> {
        let name = node.text()?;
        let found = apps.iter().position(|app| app == name);
        if found.is_none() && !self.problems.means(self.file, &["app"]) {
            let near = nearest(name, apps.iter().map(String::as_str));
            let mend = match (near, apps.is_empty()) {
                (Some(near), _) => format!("did you mean '{near}'?"),
                (None, true) => format!("write [app.{name}]"),
                (None, false) => format!("there are {}", listed(apps.iter().map(String::as_str))),
            };
            self.problems.add(node.span, format!("there is no app '{name}'; {mend}"));
        }
        found
    }

    /// A directory for a path with a `*`; else one file.
    fn files(&mut self, node: &Node, pattern: &Pattern) -> Option<Target> {
        let table = node.table();
        let option = |key: &str| table.and_then(|table| table.get(key));
        let given = option("fallback");
        let node = option("dir").unwrap_or(node);
        if node.table().is_some() {
            let table = node.table().unwrap_or(self.file);
            self.problems.add_missing(node.span, (table, &["dir"]), "which files? write dir = \"DIRECTORY\"");
            return None;
        }
        if pattern.below {
            let mut files = Files::below(self.directory(node)?);
            files.fallback = given.and_then(|given| self.fallback(given, &files.directory));
            files.lists = option("list").and_then(switch).unwrap_or(files.lists);
            files.fingerprints = option("fingerprints").and_then(switch).unwrap_or(files.fingerprints);
            return Some(Target::Files(files));
        }
        for key in ["fallback", "list"] {
            if let Some(given) = option(key) {
                self.problems.add(given.span, format!("'{key}' is for paths that end with '/*'"));
            }
        }
        let path = self.path(node)?;
        if self.machine.is_directory(&path) {
            self.problems.add(node.span, "this is a directory; end the path of its route with '/*'");
            return None;
        }
        if !self.machine.is_file(&path) {
            self.unreadable(node.span, &path, &std::io::ErrorKind::NotFound.into());
            return None;
        }
        let only = path.file_name()?.to_str()?.replace('%', "%25");
        Some(Target::Files(Files { only: Some(only), ..Files::below(path.parent()?.to_owned()) }))
    }

    /// A file below the directory, as a request would name it.
    fn fallback(&mut self, node: &Node, directory: &std::path::Path) -> Option<String> {
        let name = node.text()?.trim_start_matches('/');
        if relative_path(name.as_bytes()).is_some_and(|path| self.machine.is_file(&directory.join(path))) {
            return Some(name.into());
        }
        self.unreadable(node.span, &directory.join(name), &std::io::ErrorKind::NotFound.into());
        None
    }

    /// The parts of an address that clients are sent to: `/new/{id}/*`.
    pub(super) fn location(&mut self, node: &Node, pattern: &Pattern) -> Option<Vec<LocationPart>> {
        let text = node.text()?;
        let names: Vec<&str> = pattern.names().collect();
        if !(text.starts_with('/') || text.starts_with("http://") || text.starts_with("https://"))
            || text.starts_with("//")
        {
            self.problems
                .add(node.span, format!("'{text}' is no address to send to; begin with '/', http:// or https://"));
            return None;
        }
        if !text.is_ascii() || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            self.problems.add(node.span, "an address has only visible ASCII; write the others as %XX");
            return None;
        }
        let mut parts = Vec::new();
        let (mut rest, has_star) = match text.strip_suffix('*') {
            Some(before) if pattern.below => (before, true),
            _ => (text, false),
        };
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else {
                self.problems.add(node.span, format!("'{text}' has a '{{' without its '}}'"));
                return None;
            };
            parts.push(LocationPart::Text(before.into()));
            parts.push(match (names.iter().position(|known| *known == name), name) {
                (Some(number), _) => LocationPart::Capture(number),
                (None, "host") => LocationPart::Host,
                (None, "path") => LocationPart::Path,
                (None, _) => {
                    let mend = if names.is_empty() {
                        "the path captures nothing".into()
                    } else {
                        format!("there are {}", names.join(", "))
                    };
                    self.problems.add(node.span, format!("'{{{name}}}' is not captured by this route's path; {mend}"));
                    return None;
                }
            });
            rest = behind;
        }
        parts.push(LocationPart::Text(rest.into()));
        parts.extend(has_star.then_some(LocationPart::Rest));
        parts.retain(|part| *part != LocationPart::Text(String::new()));
        Some(parts)
    }

    /// A path that is passed on.
    fn rewrite(&mut self, node: &Node, pattern: &Pattern) -> Option<Vec<LocationPart>> {
        if !node.text()?.starts_with('/') {
            self.problems.add(node.span, "what is passed on is a path, which begins with '/'");
            return None;
        }
        self.location(node, pattern)
    }

    fn conditions(table: &Table) -> Conditions {
        Conditions {
            methods: texts(table.get("method")).map(|(method, _)| method.into()).collect(),
            headers: wanted(table.get("header")),
            query: wanted(table.get("query")),
            clients: networks(table.get("client")),
        }
    }

    pub(super) fn adjust(&mut self, table: &Table) -> Adjust {
        let cache_control = table.get("cache_control").and_then(|node| self.value(node));
        let mut adjust = Adjust { cache_control, ..Adjust::default() };
        let Some(headers) = table.get("headers").and_then(Node::table) else { return adjust };
        for key in ["set", "add"] {
            for entry in headers.get(key).and_then(Node::table).map_or(&[][..], |table| &table.entries) {
                self.check_settable(&entry.key, entry.key_span);
                let values: Vec<String> = entry.value.members().iter().filter_map(|node| self.value(node)).collect();
                let lines = values.into_iter().map(|value| (entry.key.clone(), value));
                if key == "set" { adjust.set.extend(lines) } else { adjust.add.extend(lines) }
            }
        }
        for (name, span) in texts(headers.get("remove")) {
            self.check_settable(name, span);
            adjust.remove.push(name.into());
        }
        adjust
    }

    /// A value that can stand in a header.
    fn value(&mut self, node: &Node) -> Option<String> {
        let text = node.text()?.trim();
        if is_value(text.as_bytes()) {
            return Some(text.into());
        }
        self.problems.add(node.span, "the value of a header has no line breaks or other control characters");
        None
    }

    /// Where a body ends, and who speaks to whom, is hallway's to say.
    fn check_settable(&mut self, name: &str, span: Span) {
        let is_ours = matches!(
            Name::of(name.as_bytes()),
            Name::ContentLength
                | Name::TransferEncoding
                | Name::Connection
                | Name::KeepAlive
                | Name::Upgrade
                | Name::Te
                | Name::Trailer
        );
        if is_ours {
            self.problems
                .add(span, format!("'{name}' says how the answer is sent, which is hallway's to say; take it out"));
        }
    }

    /// Keys that mean nothing without another one.
    fn check_company(&mut self, table: &Table) {
        for (key, targets, mend) in [
            ("status", &["redirect"][..], "an answer of its own has it inside: respond = { status = … }"),
            ("strip", &["app", "pool", "proxy"], "it takes the beginning off the path that an app sees"),
            ("request_headers", &["app", "pool", "proxy"], "headers of the answer are headers = { set = { … } }"),
        ] {
            let is_alone = targets.iter().all(|target| table.get(target).is_none());
            if let Some(node) = table.get(key).filter(|_| is_alone) {
                let target = targets[0];
                self.problems.add(node.span, format!("'{key}' belongs to '{target}', which is not here; {mend}"));
            }
        }
        let is_below = table.text("path").is_some_and(|path| path.ends_with("/*"));
        if let Some(node) = table.get("strip").filter(|node| switch(node) == Some(true) && !is_below) {
            self.problems.add(node.span, "'strip' takes off what stands before '*'; end the path with '/*'");
        }
    }
}

fn wanted(node: Option<&Node>) -> Vec<(String, Wanted)> {
    let entries = node.and_then(Node::table).map_or(&[][..], |table| &table.entries);
    let of = |node: &Node| match &node.data {
        Data::Switch(true) => Wanted::Present,
        Data::Switch(false) => Wanted::Absent,
        _ => Wanted::Is(node.text().unwrap_or_default().into()),
    };
    entries.iter().map(|entry| (entry.key.clone(), of(&entry.value))).collect()
}
