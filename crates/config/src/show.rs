//! In:     a plan.
//! Out:    what it does, for a person: a summary, the routes in the order in which they are tried.
//! Actors: none.
//! Never:  is another order shown than the one that is matched by.

use hallway_core::network::Network;
use hallway_core::plan::{Auth, Files, LimitBy, LocationPart, Most, Plan, Pool, Rate, Route, Target, Zone};
use hallway_core::route::{Conditions, Pattern, Routes, Wanted};
use std::fmt::Write;

/// How much there is of what.
pub fn summary(plan: &Plan) -> String {
    let routes = plan.sites.iter().map(|site| site.routes.len()).sum();
    [counted(plan.sites.len(), "site"), counted(routes, "route"), counted(plan.apps.len(), "app")].join(", ")
}

/// A number with its word: `2 sites`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The routes of each site, the most specific first.
pub fn routes(plan: &Plan) -> String {
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
            .map(|route| (format!("{}{}", route.path, conditions(&route.conditions)), told(plan, route)))
            .collect();
        let width = lines.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
        for (left, right) in lines {
            let _ = writeln!(text, "  {left:width$}  {right}");
        }
    }
    text
}

/// What has to be true of a request, behind the path of its route; empty where nothing has.
pub fn conditions(conditions: &Conditions) -> String {
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
        parts.push(format!("client {}", shown_networks(&conditions.clients)));
    }
    if parts.is_empty() { String::new() } else { format!("  [{}]", parts.join(", ")) }
}

/// What answers, and who is let in how often.
fn told(plan: &Plan, route: &Route) -> String {
    let mut text = target(plan, route);
    if !route.rewrite.is_empty() {
        text += &format!("; asked for {}", location(&route.path, &route.rewrite));
    }
    for line in permits(plan, route) {
        text += &format!("; {line}");
    }
    text
}

/// Who is let in, how often, and with how much.
pub fn permits(plan: &Plan, route: &Route) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, networks) in [("allow", &route.access.allow), ("deny", &route.access.deny)] {
        if !networks.is_empty() {
            lines.push(format!("{key} {}", shown_networks(networks)));
        }
    }
    if let Some(auth) = &route.basic_auth {
        lines.push(format!("basic_auth '{}'", auth.realm));
    }
    if let Some(Auth { by, path, copy }) = &route.auth {
        let who = by.told(plan);
        let copied = if copy.is_empty() { String::new() } else { format!(", copies {}", copy.join(", ")) };
        lines.push(format!("auth {who} at {path}{copied}"));
    }
    let zones = route.limits.iter().filter_map(|zone| plan.zones.get(*zone));
    lines.extend(zones.map(|zone| format!("limit {}", shown_limit(zone))));
    lines.extend(route.body_bytes_max.map(|bytes| format!("body_max {}", shown_bytes(bytes))));
    lines.extend(route.timeout_ms.map(|time_ms| format!("timeout {}", shown_time(time_ms))));
    lines
}

fn shown_networks(networks: &[Network]) -> String {
    let private = Network::read("private").unwrap_or_default();
    if networks == private {
        return "private".into();
    }
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn shown_limit(zone: &Zone) -> String {
    let by = match &zone.by {
        LimitBy::Client => "by client".to_owned(),
        LimitBy::Header(name) => format!("by header {name}"),
        LimitBy::Cookie(name) => format!("by cookie {name}"),
        LimitBy::User => "by user".into(),
        LimitBy::All => "for all together".into(),
    };
    match zone.most {
        Most::AtOnce(most) => format!("{most} at a time {by}"),
        Most::Rate(Rate { interval_ns, burst }) => {
            let units = [("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000_u64)];
            let exact = units.iter().find_map(|(unit, unit_ns)| {
                let count = unit_ns / interval_ns.max(1);
                (count > 0 && unit_ns / count == interval_ns).then(|| (format!("{count}/{unit}"), count))
            });
            let (rate, count) = exact.unwrap_or((format!("one in {} ms", interval_ns / 1_000_000), 0));
            let at_once = if burst == count { String::new() } else { format!(", {burst} at once,") };
            format!("{rate}{at_once} {by}")
        }
    }
}

/// A size, in the largest unit that it fills.
pub fn shown_bytes(bytes: u64) -> String {
    match bytes {
        u64::MAX => "no limit".into(),
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

fn shown_time(time_ms: u64) -> String {
    match time_ms {
        0 => "none".into(),
        _ if time_ms.is_multiple_of(1000) => format!("{} s", time_ms / 1000),
        _ => format!("{time_ms} ms"),
    }
}

/// What answers on a route, and who else gets a share or a copy.
pub fn target(plan: &Plan, route: &Route) -> String {
    let mut text = one_target(plan, (&route.target, &route.path));
    if let Some(split) = &route.split {
        text += &format!("; {} % to {}", split.percent, one_target(plan, (&split.to, &route.path)));
    }
    if let Some(mirror) = &route.mirror {
        let name = &plan.pools[mirror.pool].name;
        text += &format!("; copies to {name}");
    }
    text
}

/// A target, and the path of its route.
pub fn one_target(plan: &Plan, (target, path): (&Target, &str)) -> String {
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
            let shown = parts.iter().map(|part| format!("{} = {}", part.name, location(path, &part.to)));
            format!("compose {}", shown.collect::<Vec<_>>().join(", "))
        }
        Target::Redirect { status, to } => format!("redirect {status} {}", location(path, to)),
        Target::Respond { status, .. } => format!("respond {status}"),
    }
}

/// An address as it is written: captures by their names.
fn location(path: &str, to: &[LocationPart]) -> String {
    let pattern = Pattern::parse(path).ok();
    let names: Vec<&str> = pattern.iter().flat_map(Pattern::names).collect();
    to.iter().map(|one| part(one, &names)).collect()
}

fn part(part: &LocationPart, names: &[&str]) -> String {
    match part {
        LocationPart::Text(text) => text.clone(),
        LocationPart::Capture(number) => format!("{{{}}}", names.get(*number).unwrap_or(&"?")),
        LocationPart::Rest => "*".into(),
        LocationPart::Host => "{host}".into(),
        LocationPart::Path => "{path}".into(),
    }
}
