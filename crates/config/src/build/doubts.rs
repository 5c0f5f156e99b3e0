//! In:     pools and routes that are valid.
//! Out:    warnings: what can be served, and is most likely not meant.
//! Actors: none.
//! Never:  does a doubt keep anything from being served.

use super::builder::Builder;
use super::values::{named, switch};
use crate::node::{Entry, Node, Span, Table};
use hallway_core::plan::{AuthBy, Listen, Place, Plan, Pool, Protocol, Server, Site, Target};
use std::collections::HashSet;

impl Builder<'_> {
    /// What can be served, and is most likely not meant.
    pub(super) fn doubt(&mut self, entry: &Entry, table: &Table, pool: &Pool) {
        let speaks = |protocol| pool.servers.iter().any(|server| server.protocol == protocol);
        match table.get("php") {
            None if speaks(Protocol::FastCgi) => {
                let mend = "PHP wants php = { root = \"/srv/app/public\" }";
                self.problems
                    .warn(entry.key_span, format!("the servers of '{}' are told of no scripts; {mend}", pool.name));
            }
            Some(node) if !speaks(Protocol::FastCgi) && !pool.servers.is_empty() => {
                let mend = "write servers = [\"fastcgi://unix:/run/php/php-fpm.sock\"]";
                self.problems.add(node.span, format!("'php' is for servers that speak FastCGI; {mend}"));
            }
            _ => {}
        }
        let is_pool = |server: &Server| matches!(server.at, Place::Pool(_));
        for key in ["request_headers", "host", "tls", "php"] {
            if let Some(node) = table.get(key).filter(|_| pool.servers.iter().any(is_pool)) {
                let text = format!("'{key}' is not for pools below; write it in each of them");
                if pool.servers.iter().all(is_pool) {
                    self.problems.add(node.span, text);
                } else {
                    self.problems.warn(node.span, text);
                }
            }
        }
        let asked = table
            .get("health")
            .and_then(|node| Some((node.span, node.text().is_some() || node.table()?.get("path").is_some())));
        if let Some((span, true)) = asked.filter(|_| speaks(Protocol::H2) || speaks(Protocol::H2c)) {
            self.problems
                .warn(span, "servers that speak HTTP/2 are well when they take a connection; no path is asked for");
        }
        if !pool.servers.is_empty() && pool.servers.iter().all(|server| server.weight == 0) {
            let text = format!("no server of '{}' gets any request: all weights are 0", pool.name);
            self.problems.warn(entry.key_span, text);
        }
    }

    /// Tells of pools and apps that nothing leads to.
    pub(super) fn doubt_unused(&mut self, table: &Table, sites: &[Site]) {
        self.doubt_unused_apps(table);
        let mut used = vec![false; self.pools.len()];
        let pool_of = |target: &Target| if let Target::Pool { pool, .. } = target { Some(*pool) } else { None };
        let routes = sites.iter().flat_map(|site| &site.routes);
        let mut left: Vec<usize> = routes
            .flat_map(|route| {
                let split = route.split.as_ref().and_then(|split| pool_of(&split.to));
                let auth = route
                    .auth
                    .as_ref()
                    .and_then(|auth| if let AuthBy::Pool(pool) = auth.by { Some(pool) } else { None });
                [pool_of(&route.target), split, route.mirror.as_ref().map(|mirror| mirror.pool), auth]
            })
            .flatten()
            .collect();
        while let Some(number) = left.pop() {
            if !std::mem::replace(&mut used[number], true) {
                let below = self.pools[number].servers.iter();
                left.extend(below.filter_map(|server| if let Place::Pool(at) = server.at { Some(at) } else { None }));
            }
        }
        for (entry, _) in named(table, "pool") {
            let number = self.pools.iter().position(|pool| pool.name == entry.key);
            if number.is_some_and(|number| !used[number]) {
                let text = format!("no route leads to the pool '{}'; write pool = \"{}\" in one", entry.key, entry.key);
                self.problems.warn(entry.key_span, text);
            }
        }
    }

    fn doubt_unused_apps(&mut self, table: &Table) {
        let routes = named(table, "site").flat_map(|(_, site)| site.get("routes").map_or(&[][..], Node::members));
        let used: HashSet<&str> = routes
            .filter_map(Node::table)
            .flat_map(|route| {
                let of = |key: &str| route.get(key).and_then(|node| node.table()?.text("app"));
                [route.text("app"), of("split"), of("auth")]
            })
            .flatten()
            .collect();
        for (entry, _) in named(table, "app").filter(|(entry, _)| !used.contains(entry.key.as_str())) {
            let text = format!("no route leads to the app '{}'; write app = \"{}\" in one", entry.key, entry.key);
            self.problems.warn(entry.key_span, text);
        }
    }

    /// What other servers would put a value for, and hallway sends as it stands.
    pub(super) fn doubt_variable(&mut self, text: &str, span: Span) {
        let mut after = text.split('$').skip(1);
        if after.any(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '{')) {
            let text = "there are no variables here, it is sent as it stands; X-Forwarded-For names the client, and Host is \
                        the client's without being set";
            self.problems.warn(span, text);
        }
    }

    /// Tells of what the whole shows.
    pub(super) fn doubt_plan(&mut self, table: &Table, plan: &Plan) {
        let spools = !plan.apps.is_empty() || !plan.pools.is_empty();
        let doubt = if spools { self.machine.doubt_spool() } else { None };
        doubt.into_iter().for_each(|doubt| self.problems.warn_of_all(doubt));
        for (entry, _) in named(table, "pool") {
            let pool = plan.pools.iter().find(|pool| pool.name == entry.key);
            if pool.is_some_and(|pool| pool.servers.iter().any(|server| is_ours(&server.at, plan))) {
                let text =
                    format!("a server of the pool '{}' is this hallway itself: a request would go round", entry.key);
                self.problems.warn(entry.key_span, text);
            }
        }
        for (_, site) in named(table, "site") {
            let routes = site.get("routes").map_or(&[][..], Node::members);
            let asks = |table: &Table| {
                table.get("intercept_errors").filter(|node| switch(node) == Some(true)).map(|node| node.span)
            };
            let asked = asks(site).or_else(|| routes.iter().filter_map(Node::table).find_map(asks));
            if let Some(span) = asked.filter(|_| site.get("errors").is_none()) {
                let text = "this site has no pages to show instead; write errors = { 503 = \"errors/503.html\" } in it";
                self.problems.warn(span, text);
            }
            let all = routes.iter().filter_map(Node::table);
            let below: Vec<&Table> =
                all.filter(|route| route.text("path").is_some_and(|path| path.ends_with("/*"))).collect();
            let paths: HashSet<&str> = routes.iter().filter_map(|route| route.table()?.text("path")).collect();
            for route in routes.iter().filter_map(Node::table) {
                self.doubt_path(route, &paths);
                self.doubt_guard(route, &below, plan);
            }
        }
    }

    /// A script that is guarded by its own name, and runs by `/a.php/x` all the same; `routes` are those that have what is
    /// below a path.
    fn doubt_guard(&mut self, route: &Table, routes: &[&Table], plan: &Plan) {
        let Some((node, path)) = route.get("path").and_then(|node| Some((node, node.text()?))) else { return };
        let guards = guards(route);
        let is_script = path.len() > 4 && path.as_bytes()[path.len() - 4..].eq_ignore_ascii_case(b".php");
        if !is_script || guards.is_empty() {
            return;
        }
        let behind = format!("{path}/x");
        let runs = |other: &&&Table| {
            let pool = plan.pools.iter().find(|pool| other.text("pool") == Some(pool.name.as_str()));
            pool.is_some_and(|pool| !pool.script.root.is_empty())
        };
        // The narrowest of those that have what stands behind the script.
        let below = |other: &&&Table| other.text("path").is_some_and(|path| is_below(&behind, path));
        let found = routes.iter().filter(below).max_by_key(|other| other.text("path").map_or(0, str::len));
        let is_open = |other: &&&Table| !guards.iter().all(|guard| self::guards(other).contains(guard));
        if found.filter(runs).filter(is_open).is_some() {
            let mend = format!("write path = \"{path}/*\", which is '{path}', too");
            self.problems
                .warn(node.span, format!("'{behind}' runs the same script, and is not guarded by this; {mend}"));
        }
    }

    /// A path that ends with a slash is that one alone; elsewhere it is all below.
    fn doubt_path(&mut self, route: &Table, paths: &HashSet<&str>) {
        let Some((node, path)) = route.get("path").and_then(|node| Some((node, node.text()?))) else { return };
        let below = format!("{path}*");
        // Of other frameworks: here these are characters of the path.
        let foreign = path.split('/').find(|part| part.len() > 1 && part.starts_with(':'));
        if let Some(part) = foreign {
            let text = format!("'{part}' is matched as it stands; write '{{{}}}' for any one segment", &part[1..]);
            self.problems.warn(node.span, text);
        }
        if path.ends_with('$') {
            self.problems.warn(node.span, "'$' is matched as it stands: a path is no regular expression");
        }
        let targets = ["redirect", "rewrite"].into_iter().filter_map(|key| route.get(key));
        for (node, text) in targets.filter_map(|node| Some((node, node.text()?))) {
            if text.split('$').skip(1).any(|rest| rest.starts_with(|first: char| first.is_ascii_alphanumeric())) {
                let text = "'$' is sent as it stands; write {host} or {path} of the request, {name} of the route's path, or '*' at \
                            its end for what its '*' found";
                self.problems.warn(node.span, text);
            }
        }
        let goes_on = ["app", "pool", "proxy"].iter().any(|target| route.get(target).is_some());
        if goes_on && path.ends_with('/') && !paths.contains(below.as_str()) {
            self.problems.warn(node.span, format!("this is '{path}' alone; write '{below}' for all below it, too"));
        }
    }
}

/// What keeps clients from a route.
fn guards(route: &Table) -> Vec<&'static str> {
    let is_there = |key: &&&str| route.get(key).is_some_and(|node| node.text() != Some("off"));
    let mut guards: Vec<&str> =
        ["allow", "deny", "basic_auth", "auth", "limit"].iter().filter(is_there).copied().collect();
    // An answer of hallway's own instead of the script's.
    guards.extend(["respond", "redirect"].iter().filter(|key| route.get(key).is_some()).copied());
    guards
}

/// Whether a pattern with a `*` has this path.
fn is_below(path: &str, pattern: &str) -> bool {
    let Some(before) = pattern.strip_suffix("/*") else { return false };
    let mut segments = path.split('/');
    let is_same = |part: &str| {
        let segment = segments.next();
        segment.is_some_and(|segment| segment == part || (part.starts_with('{') && !segment.is_empty()))
    };
    before.split('/').all(is_same)
}

/// Whether somebody listens there who is this instance.
fn is_ours(place: &Place, plan: &Plan) -> bool {
    let Place::Host { name, port: Some(port) } = place else { return false };
    let name = if name == "localhost" { "127.0.0.1" } else { name };
    let Ok(ip) = name.parse::<std::net::IpAddr>() else { return false };
    plan.listeners.iter().any(|listener| match &listener.at {
        Listen::Tcp(at) if at.port() == *port => at.ip() == ip || (at.ip().is_unspecified() && ip.is_loopback()),
        _ => false,
    })
}
