//! In:     what stands in a route, or in a site for all of its routes.
//! Out:    the same for the plan; that of a site and that of a route as one.
//! Actors: the file system is asked for files of passwords.
//! Never:  does a route lose what its site says because it says something of another kind.

use super::builder::Builder;
use super::values::{bytes, switch, texts, time_ms, whole};
use crate::machine::Unread;
use crate::node::{Node, Span, Table};
use crate::settings::{rate, unless_zero};
use hallway_core::fields::is_token;
use hallway_core::network::Network;
use hallway_core::plan::{Access, Adjust, Bandwidth, BasicAuth, Cors, LimitBy, Most, Rate, RequestLines, Route, Zone};
use hallway_core::semantics::Coding;

/// What may stand in a route and in a site.
#[derive(Clone, Default)]
pub(super) struct Modifiers {
    access: Access,
    adjust: Adjust,
    body_bytes_max: Option<u64>,
    timeout_ms: Option<u64>,
    limits: Vec<usize>,
    /// Inside: nothing where it is turned off.
    basic_auth: Option<Option<BasicAuth>>,
    cors: Option<Option<Cors>>,
    compress: Option<Vec<Coding>>,
    request_lines: RequestLines,
    bandwidth: Option<Bandwidth>,
    maps_outward: Option<bool>,
    intercepts_errors: Option<bool>,
}

impl Modifiers {
    /// Gives a route what its site and it itself say; what it says itself counts more.
    pub(super) fn apply(outer: &Modifiers, inner: Modifiers, route: &mut Route) {
        let both = |outer: &[Network], inner: Vec<Network>| outer.iter().copied().chain(inner).collect();
        route.access = Access {
            allow: if inner.access.allow.is_empty() { outer.access.allow.clone() } else { inner.access.allow },
            deny: both(&outer.access.deny, inner.access.deny),
        };
        route.adjust = merged(outer.adjust.clone(), inner.adjust);
        route.body_bytes_max = inner.body_bytes_max.or(outer.body_bytes_max);
        route.timeout_ms = inner.timeout_ms.or(outer.timeout_ms);
        route.limits = outer.limits.iter().copied().chain(inner.limits).collect();
        route.basic_auth = inner.basic_auth.or(outer.basic_auth.clone()).flatten();
        route.cors = inner.cors.or(outer.cors.clone()).flatten();
        route.compress = inner.compress.or(outer.compress.clone()).unwrap_or_default();
        route.request_lines = outer.request_lines.merged(inner.request_lines);
        route.bandwidth = inner.bandwidth.or(outer.bandwidth.clone()).unwrap_or_default();
        route.maps_outward = inner.maps_outward.or(outer.maps_outward).unwrap_or(route.maps_outward);
        let intercepts = inner.intercepts_errors.or(outer.intercepts_errors);
        route.intercepts_errors = intercepts.unwrap_or(route.intercepts_errors);
    }
}

/// What the route sets or takes out is not what its site sets.
fn merged(outer: Adjust, inner: Adjust) -> Adjust {
    let is_inner = |name: &String| {
        let names = inner.set.iter().map(|(name, _)| name).chain(&inner.remove);
        names.into_iter().any(|other| other.eq_ignore_ascii_case(name))
    };
    let is_removed = |name: &String| inner.remove.iter().any(|other| other.eq_ignore_ascii_case(name));
    let added = outer.add.into_iter().filter(|(name, _)| !is_removed(name));
    let added: Vec<(String, String)> = added.chain(inner.add.clone()).collect();
    let kept = outer.set.into_iter().filter(|(name, _)| !is_inner(name));
    Adjust {
        set: kept.chain(inner.set.clone()).collect(),
        remove: outer.remove.into_iter().chain(inner.remove).collect(),
        add: added,
        cache_control: inner.cache_control.or(outer.cache_control),
    }
}

impl Builder<'_> {
    /// Those of a table; `name` tells its zones from others.
    pub(super) fn modifiers(&mut self, table: &Table, name: &str) -> Modifiers {
        Modifiers {
            access: Access { allow: networks(table.get("allow")), deny: networks(table.get("deny")) },
            adjust: self.adjust(table),
            body_bytes_max: table.get("body_max").and_then(bytes).map(unless_zero),
            timeout_ms: table.get("timeout").and_then(time_ms),
            limits: self.limits_of(table, name),
            basic_auth: table.get("basic_auth").map(|node| self.basic_auth(node, name)),
            cors: table.get("cors").map(|node| self.cors(node)),
            compress: table.get("compress").map(codings),
            request_lines: table.get("request_headers").map(|node| self.request_lines(node)).unwrap_or_default(),
            bandwidth: table.get("bandwidth").map(|node| bandwidth(node, name)),
            maps_outward: table.get("rewrite_answers").and_then(switch),
            intercepts_errors: table.get("intercept_errors").and_then(switch),
        }
    }

    fn limits_of(&mut self, table: &Table, name: &str) -> Vec<usize> {
        let mut zones = Vec::new();
        for (at, node) in table.get("limit").map_or(&[][..], Node::members).iter().enumerate() {
            let Some(limit) = node.table() else { continue };
            let by = self.limit_by(limit, node.span);
            let tells = limit.get("headers").and_then(switch).unwrap_or(false);
            let given: Vec<&str> =
                ["rate", "connections", "concurrency"].into_iter().filter(|key| limit.get(key).is_some()).collect();
            let count =
                |key: &str| limit.get(key).and_then(whole).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            let most = match given[..] {
                ["rate"] => rate_of(limit).map(Most::Rate),
                ["connections"] => count("connections").map(Most::AtOnce),
                ["concurrency"] => count("concurrency").map(Most::AtOnce),
                _ => {
                    let text = "a limit has one of rate, connections, concurrency; write several limits as a list";
                    self.problems.add_missing(node.span, (limit, &["rate", "connections", "concurrency"]), text);
                    None
                }
            };
            if let Some(burst) =
                limit.get("burst").filter(|_| given != ["rate"] && !self.problems.means(limit, &["rate"]))
            {
                self.problems.add(burst.span, "'burst' belongs to 'rate', which is not here");
            }
            let by = if given == ["concurrency"] { LimitBy::All } else { by };
            let Some(most) = most else { continue };
            self.zones.push(Zone { name: format!("{name} {at}"), by, most, tells });
            zones.push(self.zones.len() - 1);
        }
        zones
    }

    fn limit_by(&mut self, limit: &Table, span: Span) -> LimitBy {
        let text = limit.text("by").unwrap_or("client");
        match (text, text.split_once(':')) {
            ("client", _) => LimitBy::Client,
            ("user", _) => LimitBy::User,
            ("all", _) => LimitBy::All,
            (_, Some(("header", name))) if is_token(name.as_bytes()) => LimitBy::Header(name.into()),
            (_, Some(("cookie", name))) if is_token(name.as_bytes()) => LimitBy::Cookie(name.into()),
            _ => {
                let span = limit.get("by").map_or(span, |node| node.span);
                let mend = "write client, user, header:NAME, cookie:NAME or all";
                self.problems.add(span, format!("by = \"{text}\": {mend}"));
                LimitBy::Client
            }
        }
    }

    pub(super) fn basic_auth(&mut self, node: &Node, name: &str) -> Option<BasicAuth> {
        let table = node.table()?;
        let mut users = Vec::new();
        for entry in table.get("users").and_then(Node::table).map_or(&[][..], |users| &users.entries) {
            let hash = self.secret(&entry.value).unwrap_or_default();
            if let Err(mend) = self.machine.vet_password(&hash) {
                self.problems.add(entry.value.span, mend);
            }
            users.push((entry.key.clone(), hash));
        }
        let (file, mut of_file) = (table.get("file").and_then(|node| self.path(node)), Vec::new());
        if let (Some(node), Some(path)) = (table.get("file"), &file) {
            match self.machine.passwords(path) {
                Ok(users) => of_file = users,
                Err(Unread::Failed(error)) => self.unreadable(node.span, path, &error),
                Err(Unread::Wrong(problems)) => {
                    problems.into_iter().for_each(|problem| self.problems.add(node.span, problem));
                }
            }
        }
        if users.is_empty() && table.get("file").is_none() {
            let text = "nobody could come in; write users = { NAME = \"HASH\" } or file = \"…\"";
            self.problems.add_missing(node.span, (table, &["users", "file"]), text);
        }
        let realm = table.text("realm").unwrap_or(match name.split(' ').next() {
            None | Some("" | "*") => "this site",
            Some(host) => host,
        });
        if realm.contains(['"', '\\']) || realm.chars().any(char::is_control) {
            self.problems.add(table.get("realm").map_or(node.span, |node| node.span), "a realm has no quotes");
        }
        Some(BasicAuth::new(realm.into(), users, file, of_file))
    }

    fn cors(&mut self, node: &Node) -> Option<Cors> {
        let Some(table) = node.table() else {
            return switch(node)?.then(|| Cors { origins: vec!["*".into()], ..Cors::default() });
        };
        let list = |key: &str| texts(table.get(key)).map(|(text, _)| text.to_owned()).collect::<Vec<String>>();
        for (origin, span) in texts(table.get("origins")) {
            let rest = origin.strip_prefix("https://").or(origin.strip_prefix("http://"));
            if origin != "*" && rest.is_none_or(|rest| rest.is_empty() || rest.contains('/')) {
                let mend = "an origin is a scheme and a host without a path, as \"https://app.example\"";
                self.problems.add(span, format!("'{origin}' is no origin; {mend}"));
            }
        }
        let cors = Cors {
            origins: list("origins"),
            methods: list("methods"),
            headers: list("headers"),
            expose: list("expose"),
            credentials: table.get("credentials").and_then(switch).unwrap_or(false),
            max_age_s: table.get("max_age").and_then(time_ms).map_or(600, |time_ms| time_ms / 1000),
        };
        if cors.origins.is_empty() {
            let text = "whose pages? write origins = [\"https://app.example\"]";
            self.problems.add_missing(node.span, (table, &["origins"]), text);
        }
        if cors.credentials && cors.origins.iter().any(|one| one == "*") {
            self.problems
                .add(node.span, "with credentials every page anywhere could act as its visitor; name the origins");
        }
        Some(cors)
    }
}

fn rate_of(limit: &Table) -> Option<Rate> {
    let (count, in_ns) = rate(limit.text("rate")?).ok()?;
    Some(Rate { interval_ns: in_ns / count, burst: limit.get("burst").and_then(whole).unwrap_or(count) })
}

fn codings(node: &Node) -> Vec<Coding> {
    if let Some(all) = switch(node) {
        return if all { vec![Coding::Zstd, Coding::Brotli, Coding::Gzip] } else { Vec::new() };
    }
    let coding = |text: &str| match text {
        "zstd" => Coding::Zstd,
        "br" => Coding::Brotli,
        _ => Coding::Gzip,
    };
    texts(Some(node)).map(|(text, _)| coding(text)).collect()
}

fn bandwidth(node: &Node, name: &str) -> Bandwidth {
    let Some(table) = node.table() else {
        return Bandwidth { answer_bytes_s: bytes(node).unwrap_or(0), ..Bandwidth::default() };
    };
    let size = |key: &str| table.get(key).and_then(bytes).unwrap_or(0);
    Bandwidth {
        answer_bytes_s: size("rate"),
        free_bytes: size("after"),
        client_bytes_s: size("client"),
        name: name.into(),
    }
}

/// The networks under a key.
pub(super) fn networks(node: Option<&Node>) -> Vec<Network> {
    texts(node).flat_map(|(text, _)| Network::read(text).unwrap_or_default()).collect()
}
