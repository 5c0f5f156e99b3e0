//! In:     a plan.
//! Out:    what it does, for a person: a summary, the routes in the order in which they are tried.
//! Actors: none.
//! Never:  is another order shown than the one that is matched by.

use hallway_core::plan::{Files, LocationPart, Plan, Pool, Route, Target};
use hallway_core::route::{Conditions, Pattern, Routes, Wanted};
use std::fmt::Write;

/// How much there is of what.
pub(crate) fn summary(plan: &Plan) -> String {
    let routes = plan.sites.iter().map(|site| site.routes.len()).sum();
    [counted(plan.sites.len(), "site"), counted(routes, "route"), counted(plan.apps.len(), "app")].join(", ")
}

pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The routes of each site, the most specific first.
pub(crate) fn routes(plan: &Plan) -> String {
    let mut text = String::new();
    for site in &plan.sites {
        let _ = writeln!(text, "{}", site.hosts.join(", "));
        let read =
            site.routes.iter().filter_map(|route| Some((Pattern::parse(&route.path).ok()?, route.conditions.clone())));
        let Ok(routes) = Routes::new(read) else { continue };
        let lines: Vec<(String, String)> = routes
            .in_order()
            .into_iter()
            .filter_map(|number| site.routes.get(number))
            .map(|route| (format!("{}{}", route.path, conditions(&route.conditions)), target(plan, route)))
            .collect();
        let width = lines.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
        for (left, right) in lines {
            let _ = writeln!(text, "  {left:width$}  {right}");
        }
    }
    text
}

pub(crate) fn conditions(conditions: &Conditions) -> String {
    let mut parts = Vec::new();
    if !conditions.methods.is_empty() {
        parts.push(conditions.methods.join("|"));
    }
    for (kind, pairs) in [("header", &conditions.headers), ("query", &conditions.query)] {
        for (name, wanted) in pairs {
            parts.push(match wanted {
                Wanted::Is(value) => format!("{kind} {name}={value}"),
                Wanted::Present => format!("{kind} {name}"),
                Wanted::Absent => format!("no {kind} {name}"),
            });
        }
    }
    if !conditions.clients.is_empty() {
        let networks: Vec<String> = conditions.clients.iter().map(ToString::to_string).collect();
        parts.push(format!("client {}", networks.join("|")));
    }
    if parts.is_empty() { String::new() } else { format!("  [{}]", parts.join(", ")) }
}

pub(crate) fn target(plan: &Plan, route: &Route) -> String {
    let mut text = one_target(plan, &route.target);
    if let Some(split) = &route.split {
        text += &format!("; {} % to {}", split.percent, one_target(plan, &split.to));
    }
    if let Some(mirror) = &route.mirror {
        let name = &plan.pools[mirror.pool].name;
        text += &format!("; copies to {name}");
    }
    text
}

pub(crate) fn one_target(plan: &Plan, target: &Target) -> String {
    match target {
        Target::Files(Files { directory, only: Some(name), .. }) => format!("file {}", directory.join(name).display()),
        Target::Files(Files { directory, fallback, .. }) => {
            let else_page = fallback.as_ref().map_or_else(String::new, |page| format!(", else {page}"));
            format!("files {}{else_page}", directory.display())
        }
        Target::App { app, strip } => format!("app {}{}", plan.apps[*app].name, if *strip { ", stripped" } else { "" }),
        Target::Pool { pool, strip } => {
            let Pool { name, servers, .. } = &*plan.pools[*pool];
            let stripped = if *strip { ", stripped" } else { "" };
            if name.contains(':') {
                return format!("proxy {name}{stripped}");
            }
            format!("pool {name} ({}){stripped}", counted(servers.len(), "server"))
        }
        Target::Compose(parts) => {
            let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
            format!("compose {}", names.join(", "))
        }
        Target::Redirect { status, to } => format!("redirect {status} {}", to.iter().map(part).collect::<String>()),
        Target::Respond { status, .. } => format!("respond {status}"),
    }
}

fn part(part: &LocationPart) -> String {
    match part {
        LocationPart::Text(text) => text.clone(),
        LocationPart::Capture(number) => format!("{{{}}}", number + 1),
        LocationPart::Rest => "*".into(),
        LocationPart::Host => "{host}".into(),
        LocationPart::Path => "{path}".into(),
    }
}
