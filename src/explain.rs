//! In:     a plan, a request as a person writes it.
//! Out:    which site and route would answer it, and how; or why none.
//! Actors: none.
//! Never:  is it told in another way than it would be matched: the same code decides.

use hallway_config::show::{conditions, one_target, permits, shown_bytes, target};
use hallway_core::http1::parse_head;
use hallway_core::plan::{Balance, Files, HashBy, Place, Plan, Pool, Route, Server, Target};
use hallway_core::route::{Found, Matched, Pattern, Sites, rewrite, target_of};
use hallway_core::semantics::{redirect, to_https};
use hallway_core::{Fault, Head, permit};
use std::net::IpAddr;

/// A request to explain.
#[derive(Debug, Default)]
pub(crate) struct Question {
    /// `http://host/path?query`; the scheme may be left out.
    pub(crate) url: String,
    /// GET where it is not given.
    pub(crate) method: Option<String>,
    /// `Name: value`.
    pub(crate) headers: Vec<String>,
    /// The client's address.
    pub(crate) client: Option<IpAddr>,
}

/// What would happen to this request.
///
/// # Errors
/// Where it is no request.
pub(crate) fn explain(plan: &Plan, question: &Question) -> Result<String, String> {
    let mut head = Head::default();
    let method = question.method.as_deref().unwrap_or("GET");
    let read = read(question, method, plan, &mut head)?;
    let mut text = format!("{method} {}\n", question.url);
    let mut say = |name: &str, what: &str| text += &format!("  {name:<8} {what}\n");
    if let Err(fault) = read {
        say("answer", &format!("{} {}", fault.status(), fault.detail()));
        return Ok(text);
    }
    say("path", &String::from_utf8_lossy(head.path()));
    let sites = Sites::new(plan)?;
    let site = permit::admit(&head).and_then(|()| sites.site(head.host()).ok_or(Fault::Misdirected));
    let sent_on =
        site.ok().filter(|_| !question.url.starts_with("https://")).and_then(|site| sent_on(plan, site, &head));
    if let Some(location) = sent_on {
        say("answer", &format!("to HTTPS: {location}"));
        return Ok(text);
    }
    let answered = site.and_then(|site| sites.pick(plan, site, &head, question.client));
    let Matched { route, number, found, .. } = match answered {
        Ok(matched) => matched,
        Err(fault) => {
            let allow = if let Fault::MethodNotAllowed(methods) = fault {
                format!(" (Allow: {methods})")
            } else {
                String::new()
            };
            say("answer", &format!("{} {}{allow}", fault.status(), fault.detail()));
            return Ok(text);
        }
    };
    say("site", &site_of(plan, number).join(", "));
    say("route", &format!("{}{}", route.path, conditions(&route.conditions)));
    let names = Pattern::parse(&route.path)?;
    for (name, value) in names.names().zip(found.captures()) {
        say(&format!("{{{name}}}"), &String::from_utf8_lossy(value));
    }
    if let Err(fault) = permit::allow_client(&route.access, question.client) {
        say("answer", &format!("{} for this client ({})", fault.status(), shown(question.client)));
        return Ok(text);
    }
    // How large a body may be is told below, also where no route says it.
    for line in permits(plan, route).into_iter().filter(|line| !line.starts_with("body_max")) {
        say("permit", &line);
    }
    say("target", &target(plan, route));
    let client = question.client.map(|client| client.to_string()).unwrap_or_default();
    let chosen = target_of(route, &head, &client);
    if route.split.is_some() {
        say("split", &format!("this request: {}", one_target(plan, (chosen, &route.path))));
    }
    for (name, what) in details(plan, (route, chosen), &head, &found)? {
        say(name, &what);
    }
    let body_bytes_max = route.body_bytes_max.unwrap_or(plan.limits.body_bytes_max);
    match body_bytes_max {
        u64::MAX => say("body", "of any length"),
        _ => say("body", &format!("up to {}", shown_bytes(body_bytes_max))),
    }
    Ok(text)
}

/// What the target sees of the request.
fn details(
    plan: &Plan,
    (route, target): (&Route, &Target),
    head: &Head,
    found: &Found<'_>,
) -> Result<Vec<(&'static str, String)>, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut lines = Vec::new();
    if let Target::Pool { pool, .. } = target {
        let pool = &plan.pools[*pool];
        // A server that the route names itself has been told already.
        if !pool.name.contains(':') {
            lines.extend(pool.servers.iter().map(|server| ("server", shown_server(plan, server))));
            lines.push(("chosen", shown_balance(pool)));
        }
        lines.push(("Host", pool.host.clone().unwrap_or_else(|| text(head.host()))));
    }
    if matches!(target, Target::Pool { pool, .. } if plan.pools[*pool].raw_path) {
        lines.push(("PATH", text(head.raw_target())));
    }
    let rewritten = rewrite(head, route, found).map_err(|fault| fault.detail().to_owned())?;
    if let Some(rewritten) = &rewritten {
        lines.push(("PATH", text(rewritten.path())));
        return Ok(lines);
    }
    let (before, rest) = head.path().split_at(found.before(head.path()));
    match target {
        Target::Redirect { status, to } => {
            let answer = redirect(head, *status, to, found);
            lines.push(("Location", answer.fields.iter().next().map_or_else(String::new, |field| text(field.value))));
        }
        Target::App { strip: true, .. } => lines.extend([("SCRIPT", text(before)), ("PATH", text(rest))]),
        Target::Pool { strip: true, .. } => {
            lines.push(("PATH", text(if rest.is_empty() { b"/" } else { rest })));
            lines.push(("X-Forwarded-Prefix", text(before)));
        }
        Target::Files(Files { only: None, .. }) => lines.push(("file", text(found.rest))),
        _ => {}
    }
    Ok(lines)
}

/// A server of a pool as it is written.
fn shown_server(plan: &Plan, server: &Server) -> String {
    let scheme = server.protocol.scheme();
    let mut text = match &server.at {
        Place::Host { name, port: Some(port) } if name.contains(':') => format!("{scheme}://[{name}]:{port}"),
        Place::Host { name, port: Some(port) } => format!("{scheme}://{name}:{port}"),
        Place::Host { name, port: None } => format!("{scheme}://{name}"),
        Place::Unix(path) => format!("{scheme}://unix:{}", path.display()),
        Place::Pool(number) => format!("pool:{}", plan.pools[*number].name),
    };
    if server.weight != 1 {
        text += &format!(", weight {}", server.weight);
    }
    if server.connections_max > 0 {
        text += &format!(", {} at a time", server.connections_max);
    }
    if server.is_backup { text + ", backup" } else { text }
}

fn shown_balance(pool: &Pool) -> String {
    let by = match &pool.balance {
        Balance::RoundRobin => "round-robin".to_owned(),
        Balance::LeastOutstanding => "least-outstanding".into(),
        Balance::Latency => "latency".into(),
        Balance::Hash(HashBy::Path) => "hash:path".into(),
        Balance::Hash(HashBy::Client) => "hash:client".into(),
        Balance::Hash(HashBy::Header(name)) => format!("hash:header:{name}"),
        Balance::Hash(HashBy::Cookie(name)) => format!("hash:cookie:{name}"),
    };
    match &pool.sticky {
        Some(sticky) => format!("{by}; a client with the cookie '{}' keeps its server", sticky.cookie),
        None => by,
    }
}

/// Where a site sends requests that are not encrypted.
fn sent_on(plan: &Plan, site: usize, head: &Head) -> Option<String> {
    plan.sites[site].tls.as_ref().filter(|tls| tls.redirects)?;
    let listener = plan.listeners.iter().find(|listener| listener.tls);
    let port =
        listener.and_then(|listener| listener.address()).map(|address| address.port()).filter(|port| *port != 443);
    let answer = to_https(head, port);
    answer.fields.named(b"location").map(|to| String::from_utf8_lossy(to).into_owned())
}

/// Reads the request as it would come over the wire.
fn read(question: &Question, method: &str, plan: &Plan, head: &mut Head) -> Result<Result<(), Fault>, String> {
    let rest = question.url.split_once("://").map_or(&*question.url, |(_, rest)| rest);
    let (host, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    if host.is_empty() {
        return Err(format!("'{}' has no host; write http://HOST/PATH", question.url));
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut raw = format!("{method} {slash}{path} HTTP/1.1\r\nHost: {host}\r\n");
    for header in &question.headers {
        if !header.contains(':') || header.contains(['\r', '\n']) {
            return Err(format!("-H '{header}': write 'Name: value'"));
        }
        raw += &format!("{header}\r\n");
    }
    raw += "\r\n";
    Ok(parse_head(raw.as_bytes(), plan.limits, head))
}

/// The names of the site that has the route with this number.
fn site_of(plan: &Plan, number: u32) -> &[String] {
    let mut left = number as usize;
    for site in &plan.sites {
        if left < site.routes.len() {
            return &site.hosts;
        }
        left -= site.routes.len();
    }
    &[]
}

fn shown(client: Option<IpAddr>) -> String {
    client.map_or_else(|| "none was named: --client ADDRESS".into(), |client| client.to_string())
}
