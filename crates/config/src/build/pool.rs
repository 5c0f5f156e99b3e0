//! In:     the tables `[pool.…]`.
//! Out:    the pools of the plan.
//! Actors: the file system is asked for certificates.
//! Never:  is a pool taken that leads to itself, or an address that is guessed.

use super::builder::Builder;
use super::hierarchy;
use super::place::{hash_by, place};
use super::values::{count, named, switch, texts, time_ms, whole};
use crate::near::{listed, nearest};
use crate::node::{Entry, Node, Span, Table};
use crate::settings::percent;
use crate::synonyms;
use hallway_core::fields::{Name, is_token, is_value};
use hallway_core::filling::{HEADER_VARIABLES, read_filling};
use hallway_core::plan::{
    Balance, Check, HashBy, POOLS_DEPTH_MAX, Place, Pool, PoolTls, Protocol, RequestLines, Script, Secret, Server,
    Sticky,
};
use hallway_core::record::StyleFault;
use std::sync::Arc;

/// Between two looks at a server.
const EVERY_MS_MIN: u64 = 50;

impl Builder<'_> {
    pub(super) fn pools(&mut self, table: &Table) {
        let names: Vec<&str> = named(table, "pool").map(|(entry, _)| &*entry.key).collect();
        let pools: Vec<(Span, Pool)> =
            named(table, "pool").map(|(entry, pool)| (entry.key_span, self.pool(entry, pool, &names))).collect();
        let below = hierarchy::survey(pools.iter().map(|(_, pool)| pool));
        for ((span, pool), below) in pools.iter().zip(&below) {
            if below.leads_to_itself {
                self.problems.add(*span, format!("the pool '{}' leads to itself", pool.name));
            } else if below.depth >= POOLS_DEPTH_MAX {
                let text =
                    format!("{} pools stand below '{}'; at most {} may", below.depth, pool.name, POOLS_DEPTH_MAX - 1);
                self.problems.add(*span, text);
            }
        }
        self.pools = pools
            .into_iter()
            .zip(below)
            .map(|((_, mut pool), below)| {
                pool.buffers_requests |= below.has_gateway;
                Arc::new(pool)
            })
            .collect();
    }

    fn pool(&mut self, entry: &Entry, table: &Table, names: &[&str]) -> Pool {
        let servers = self.servers(entry, table, names);
        let mut pool = Pool::new(&entry.key, servers);
        let time = |key: &str, default: u64| table.get(key).and_then(time_ms).unwrap_or(default);
        pool.slow_start_ms = time("slow_start", pool.slow_start_ms);
        pool.connect_timeout_ms = time("connect_timeout", pool.connect_timeout_ms);
        pool.answer_timeout_ms = time("answer_timeout", pool.answer_timeout_ms);
        pool.pause_timeout_ms = time("pause_timeout", pool.pause_timeout_ms);
        pool.tunnel_timeout_ms = time("tunnel_timeout", pool.tunnel_timeout_ms);
        pool.buffers_requests = table.get("buffer_requests").and_then(switch).unwrap_or(pool.buffers_requests);
        pool.balance = table.get("balance").and_then(|node| self.balance(node)).unwrap_or(pool.balance);
        pool.host = table.get("host").and_then(|node| self.upstream_host(node));
        pool.request_lines = table.get("request_headers").map(|node| self.request_lines(node)).unwrap_or_default();
        pool.raw_path = table.get("raw_path").and_then(switch).unwrap_or(false);
        let is_gateway = |server: &Server| matches!(server.protocol, Protocol::FastCgi | Protocol::Uwsgi);
        if let Some(node) = table.get("raw_path").filter(|_| pool.raw_path && pool.servers.iter().any(is_gateway)) {
            self.problems.add(node.span, "'raw_path' is for servers of HTTP; others get it as REQUEST_URI anyway");
        }
        let inner = |key: &str| table.get(key).and_then(Node::table);
        if let Some(eject) = inner("eject") {
            pool.eject_after = eject.get("after").and_then(whole).map_or(pool.eject_after, |count| count as u32);
            pool.eject_ms = eject.get("for").and_then(time_ms).unwrap_or(pool.eject_ms);
            pool.eject_on = statuses(eject);
            pool.eject_ms_max = eject.get("max").and_then(time_ms).unwrap_or(pool.eject_ms_max).max(pool.eject_ms);
        }
        if let Some(retry) = inner("retry") {
            pool.tries = retry.get("tries").and_then(whole).map_or(pool.tries, |count| count as u32);
            pool.retry_on = statuses(retry);
            let budget = retry.text("budget").and_then(|text| percent(text).ok());
            pool.retry_percent = budget.unwrap_or(pool.retry_percent);
        }
        if let Some(queue) = inner("queue") {
            pool.queue_size = queue.get("size").and_then(count).unwrap_or(pool.queue_size);
            pool.queue_max_wait_ms = queue.get("max_wait").and_then(time_ms).unwrap_or(pool.queue_max_wait_ms);
        }
        if let Some(keep) = inner("keep_alive") {
            pool.keep_idle_ms = keep.get("idle").and_then(time_ms).unwrap_or(pool.keep_idle_ms);
            pool.keep_age_ms = keep.get("age").and_then(time_ms).unwrap_or(pool.keep_age_ms);
            pool.keep_connections = keep.get("connections").and_then(count).unwrap_or(pool.keep_connections);
        }
        if let Some(php) = inner("php") {
            pool.script = self.script(table, php);
        }
        self.check_buffers(table, &pool);
        self.doubt(entry, table, &pool);
        pool.check = table.get("health").and_then(|node| self.check(node));
        pool.sticky = table.get("sticky").and_then(|node| self.sticky(node));
        pool.tls = table.get("tls").map(|node| self.pool_tls(node)).unwrap_or_default();
        pool
    }

    fn servers(&mut self, entry: &Entry, table: &Table, names: &[&str]) -> Vec<Server> {
        let Some(node) = table.get("servers").filter(|node| !node.members().is_empty()) else {
            let mend = "write servers = [\"http://10.0.0.11:9000\"]";
            let text = format!("the pool '{}' has no servers; {mend}", entry.key);
            self.problems.add_missing(entry.key_span, (table, &["servers"]), text);
            return Vec::new();
        };
        let mut servers = Vec::new();
        for node in node.members() {
            let table = node.table();
            let Some(url) = table.map_or(Some(node), |table| table.get("url")) else {
                let table = table.unwrap_or(self.file);
                let text = "which server? write url = \"http://HOST:PORT\"";
                self.problems.add_missing(node.span, (table, &["url"]), text);
                continue;
            };
            let Some((at, protocol)) = url.text().and_then(|text| self.place(text, url.span, names)) else { continue };
            let given = |key: &str| table.and_then(|table| table.get(key));
            let number = |key: &str| given(key).and_then(whole).map(|number| number as u32);
            let server = Server {
                at,
                protocol,
                weight: number("weight").unwrap_or(1),
                is_backup: given("backup").and_then(switch).unwrap_or(false),
                connections_max: number("max_connections").unwrap_or(0),
            };
            if servers.iter().any(|other: &Server| other.at == server.at && other.protocol == protocol) {
                let text = "this server is here twice, and counts once; for more of the work write weight = 2";
                self.problems.warn(url.span, text);
            }
            servers.push(server);
        }
        servers
    }

    /// Where a URL leads, and what is spoken there.
    pub(super) fn place(&mut self, text: &str, span: Span, names: &[&str]) -> Option<(Place, Protocol)> {
        if let Some(name) = text.strip_prefix("pool:") {
            let Some(number) = names.iter().position(|known| *known == name) else {
                self.unknown_pool(name, span, names);
                return None;
            };
            return Some((Place::Pool(number), Protocol::Http));
        }
        match place(text) {
            Ok(found) => Some(found),
            Err(mend) => {
                self.problems.add(span, format!("'{text}': {mend}"));
                None
            }
        }
    }

    pub(super) fn unknown_pool(&mut self, name: &str, span: Span, names: &[&str]) {
        if self.problems.means(self.file, &["pool"]) {
            return;
        }
        let near = nearest(name, names.iter().copied());
        let mend = match (near, names.is_empty()) {
            (Some(near), _) => format!("did you mean '{near}'?"),
            (None, true) => format!("write [pool.{name}]"),
            (None, false) => format!("there are {}", listed(names.iter().copied())),
        };
        self.problems.add(span, format!("there is no pool '{name}'; {mend}"));
    }

    /// Protocols of gateways say how long a body is before it begins.
    fn check_buffers(&mut self, table: &Table, pool: &Pool) {
        let is_gateway = |server: &Server| matches!(server.protocol, Protocol::FastCgi | Protocol::Uwsgi);
        if let Some(node) = table.get("buffer_requests").filter(|_| !pool.buffers_requests)
            && pool.servers.iter().any(is_gateway)
        {
            let mend = "take it out";
            self.problems
                .add(node.span, format!("fastcgi and uwsgi servers are told the length of a body first; {mend}"));
        }
    }

    fn script(&mut self, table: &Table, php: &Table) -> Script {
        let root = php.text("root").unwrap_or_default();
        if !root.starts_with('/') {
            let span = php.get("root").or(table.get("php")).map_or(Span::default(), |node| node.span);
            let mend = "write the whole path: root = \"/srv/app/public\"";
            let text = format!("where are the scripts, as the PHP server sees them? {mend}");
            self.problems.add_missing(span, (php, &["root"]), text);
        }
        Script {
            root: root.into(),
            index: php.text("index").unwrap_or("index.php").into(),
            only: php.text("front").map(Into::into),
        }
    }

    fn check(&mut self, node: &Node) -> Option<Check> {
        let none = Table::default();
        let table = node.table().unwrap_or(&none);
        let time = |key: &str, default: u64| table.get(key).and_then(time_ms).unwrap_or(default);
        let number = |key: &str, default: u32| table.get(key).and_then(whole).map_or(default, |number| number as u32);
        let statuses = table.get("status").map_or(&[][..], Node::members);
        let path = node.text().or(table.text("path")).unwrap_or("/");
        let is_plain = path.starts_with('/') && path.bytes().all(|byte| byte > b' ' && byte != 0x7f && byte.is_ascii());
        if !is_plain {
            let span = table.get("path").map_or(node.span, |node| node.span);
            self.problems.add(span, format!("'{path}' is no path; begin with '/', write what is not ASCII as %XX"));
        }
        let every_ms = time("every", 5_000);
        if every_ms < EVERY_MS_MIN {
            let span = table.get("every").map_or(node.span, |node| node.span);
            self.problems.add(span, format!("write {EVERY_MS_MIN}ms or more"));
        }
        Some(Check {
            path: path.into(),
            host: table.get("host").and_then(|node| self.upstream_host(node)),
            statuses: statuses.iter().filter_map(whole).map(|status| status as u16).collect(),
            body: table.text("body").map(Into::into),
            every_ms: every_ms.max(EVERY_MS_MIN),
            timeout_ms: time("timeout", 2_000),
            rise: number("rise", 2),
            fall: number("fall", 3),
        })
    }

    fn sticky(&mut self, node: &Node) -> Option<Sticky> {
        if switch(node) == Some(false) {
            return None;
        }
        let none = Table::default();
        let table = node.table().unwrap_or(&none);
        let cookie = table.text("cookie").unwrap_or("hallway");
        if !is_token(cookie.as_bytes()) {
            let span = table.get("cookie").map_or(node.span, |node| node.span);
            self.problems.add(span, format!("'{cookie}' is no name of a cookie"));
        }
        let secret = match table.get("secret") {
            Some(node) => self.secret(node)?.into_bytes(),
            // Read when it is needed: who only checks a file leaves nothing behind.
            None => Vec::new(),
        };
        let max_age_s = table.get("max_age").and_then(time_ms).map_or(0, |time_ms| time_ms / 1000);
        Some(Sticky { cookie: cookie.into(), secret: Secret(secret), max_age_s })
    }

    fn balance(&mut self, node: &Node) -> Option<Balance> {
        let text = node.text()?;
        let found = match (text, text.strip_prefix("hash:")) {
            ("round-robin", _) => Some(Balance::RoundRobin),
            ("least-outstanding", _) => Some(Balance::LeastOutstanding),
            ("latency", _) => Some(Balance::Latency),
            (_, Some(by)) => hash_by(by).map(Balance::Hash),
            _ => None,
        };
        if found.is_none() {
            let words = ["round-robin", "least-outstanding", "latency", "hash:path", "hash:client"];
            let near = synonyms::balance(text).or_else(|| nearest(text, words.iter().copied()));
            let mend = match near {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("write {}, hash:header:NAME or hash:cookie:NAME", words.join(", ")),
            };
            self.problems.add(node.span, format!("balance = \"{text}\": {mend}"));
        }
        found
    }

    /// What tells one client from another.
    pub(super) fn hash_by(&mut self, node: &Node) -> Option<HashBy> {
        let text = node.text()?;
        let found = hash_by(text);
        if found.is_none() {
            let mend = "write client, path, header:NAME or cookie:NAME";
            self.problems.add(node.span, format!("by = \"{text}\": {mend}"));
        }
        found
    }

    /// Headers of requests. What is in a file is taken as it stands; elsewhere `$name` is a variable.
    pub(super) fn request_lines(&mut self, node: &Node) -> RequestLines {
        let Some(table) = node.table() else { return RequestLines::default() };
        let mut lines = RequestLines::default();
        for entry in table.get("set").and_then(Node::table).map_or(&[][..], |table| &table.entries) {
            self.check_sendable(&entry.key, entry.key_span);
            let is_file = entry.value.text().is_some_and(|text| text.starts_with("file:"));
            let Some(value) = self.secret(&entry.value) else { continue };
            if !is_value(value.as_bytes()) {
                let text = "the value of a header has no line breaks or other control characters";
                self.problems.add(entry.value.span, text);
                continue;
            }
            match if is_file { Ok(None) } else { read_filling(&value) } {
                Ok(None) => lines.set.push((entry.key.clone(), Secret(value.into_bytes()))),
                Ok(Some(parts)) => lines.fill.push((entry.key.clone(), parts)),
                Err(StyleFault::Unknown(name)) => {
                    let near = nearest(&name, HEADER_VARIABLES.iter().map(|(known, _)| *known));
                    let near = near.map_or_else(String::new, |near| format!("; did you mean '${near}'?"));
                    let text = format!("there is no variable '${name}'{near} (a dollar itself is written $$)");
                    self.problems.add(entry.value.span, text);
                }
                Err(fault) => self.problems.add(entry.value.span, fault.to_string()),
            }
        }
        for (name, span) in texts(table.get("remove")) {
            self.check_sendable(name, span);
            lines.remove.push(name.into());
        }
        lines
    }

    /// Where a request ends, and for whom it is, is said elsewhere.
    pub(super) fn check_sendable(&mut self, name: &str, span: Span) {
        let mend = match Name::of(name.as_bytes()) {
            Name::Host => "write host = \"…\" in the pool of a server",
            Name::ContentLength
            | Name::ProxyConnection
            | Name::TransferEncoding
            | Name::Connection
            | Name::KeepAlive
            | Name::Te
            | Name::Upgrade
            | Name::Expect => "take it out",
            _ => return,
        };
        self.problems.add(span, format!("'{name}' is hallway's to say; {mend}"));
    }

    fn upstream_host(&mut self, node: &Node) -> Option<String> {
        let text = node.text()?;
        self.doubt_variable(text, node.span);
        if hallway_core::authority::is_authority(text.as_bytes()) && !text.is_empty() {
            return Some(text.into());
        }
        self.problems.add(node.span, format!("'{text}' is no host; write one as in \"app.internal\""));
        None
    }

    fn pool_tls(&mut self, node: &Node) -> PoolTls {
        let Some(table) = node.table() else { return PoolTls::default() };
        let mut tls = PoolTls { name: table.text("name").map(Into::into), ..PoolTls::default() };
        tls.trusts_all = table.get("verify").and_then(switch) == Some(false);
        if let Some(ca) = table.get("ca") {
            let path = self.path(ca).unwrap_or_default();
            match self.machine.authorities(&path) {
                Ok(roots) => tls.roots = roots,
                Err(problem) => self.problems.add(ca.span, problem),
            }
        }
        match (table.get("cert"), table.get("key")) {
            (None, None) => {}
            (Some(cert), Some(key)) => {
                let (chain, secret) = (self.path(cert).unwrap_or_default(), self.path(key).unwrap_or_default());
                match self.machine.pair(&chain, &secret) {
                    Ok(own) => tls.own = Some(own),
                    Err(problem) => self.problems.add(cert.span, problem),
                }
            }
            (Some(one), None) | (None, Some(one)) => {
                let text = "write both: cert = \"….pem\" and key = \"….pem\"";
                self.problems.add_missing(one.span, (table, &["cert", "key"]), text);
            }
        }
        tls
    }

    /// The pool of a route: one with a name, or one server.
    pub(super) fn target_pool(&mut self, table: &Table) -> Option<usize> {
        let pools = self.pools.iter().map(|pool| &*pool.name);
        if let Some(node) = table.get("pool") {
            let name = node.text()?;
            let found = pools.clone().position(|known| known == name && !known.contains(':'));
            if found.is_none() && name.contains("://") {
                let mend = format!("write proxy = \"{name}\"");
                self.problems.add(node.span, format!("'{name}' is a server, not the name of a pool; {mend}"));
            } else if found.is_none() {
                let known: Vec<Arc<Pool>> =
                    self.pools.iter().filter(|pool| !pool.name.contains(':')).cloned().collect();
                let names: Vec<&str> = known.iter().map(|pool| &*pool.name).collect();
                self.unknown_pool(name, node.span, &names);
            }
            return found;
        }
        let node = table.get("proxy")?;
        let text = node.text()?;
        if let Some(known) = self.pools.iter().position(|pool| pool.name == text) {
            return Some(known);
        }
        let (at, protocol) = match place(text) {
            Ok(found) => found,
            Err(_) if text.starts_with("pool:") => {
                let mend = format!("write pool = \"{}\"", &text["pool:".len()..]);
                self.problems.add(node.span, format!("'proxy' is for a server; {mend}"));
                return None;
            }
            Err(mend) => {
                self.problems.add(node.span, format!("'{text}': {mend}"));
                return None;
            }
        };
        let server = Server { at, protocol, weight: 1, is_backup: false, connections_max: 0 };
        self.pools.push(Arc::new(Pool::new(text, vec![server])));
        Some(self.pools.len() - 1)
    }
}

/// Those that are named under `on`.
fn statuses(table: &Table) -> Vec<u16> {
    let named = table.get("on").map_or(&[][..], Node::members);
    named.iter().filter_map(whole).map(|status| status as u16).collect()
}
