//! In:     `[server]` and `[log]`.
//! Out:    listeners, threads, limits, the access log.
//! Actors: the machine: its resolver, for names of hosts; the log file is opened once.
//! Never:  does a limit have another default than `docs/LIMITS.md` says.

use super::builder::Builder;
use super::modifiers::networks;
use super::values::{bytes, count, texts, time_ms, whole};
use crate::node::{Node, Table};
use crate::settings::{head_bytes, log_format, read_address, unless_zero};
use hallway_core::control::EDGE_THREADS_MAX;
use hallway_core::fields::Name;
use hallway_core::network::Network;
use hallway_core::plan::{
    AccessLog, AllowedTarget, ForwardProxy, Limits, Listen, Listener, LogFormat, Trust, User, WATCHDOG_MS,
};
use hallway_core::supervise::{WATCHDOG_MS_MAX, WATCHDOG_MS_MIN};
use std::io::ErrorKind;

/// A spool that is smaller is a mistake.
const SPOOL_BYTES_MIN: u64 = 1024 * 1024;

impl Builder<'_> {
    pub(super) fn listeners(&mut self, table: &Table) -> Vec<Listener> {
        let given = |key: &str| section(table, "server").and_then(|server| server.get(key));
        let mut listeners: Vec<Listener> = Vec::new();
        let proxy = given("forward_proxy").and_then(Node::table).and_then(|proxy| proxy.get("listen"));
        for (node, tls, forward) in [(given("http"), false, false), (given("https"), true, false), (proxy, false, true)]
        {
            for (text, span) in texts(node) {
                for at in read_address(text, self.machine).unwrap_or_default() {
                    if listeners.iter().any(|other| other.at == at) {
                        self.problems.add(span, format!("'{text}' is given twice"));
                    } else {
                        listeners.push(Listener { tls, forward, ..Listener::from(at) });
                    }
                }
            }
        }
        // What systemd gives is beside them, and instead of the usual one.
        if given("http").is_none() && given("https").is_none() && !self.machine.given().any {
            listeners.extend(
                read_address("127.0.0.1:8080", self.machine).unwrap_or_default().into_iter().map(Listener::from),
            );
        }
        listeners
    }

    /// How long a stop waits.
    pub(super) fn stop_timeout_ms(&mut self, table: &Table) -> Option<u64> {
        section(table, "server")?.get("graceful_timeout").and_then(time_ms)
    }

    /// How long an event loop may be silent.
    pub(super) fn watchdog_ms(&mut self, table: &Table) -> u64 {
        let given = section(table, "server").and_then(|server| server.get("watchdog"));
        let Some((node, time)) = given.and_then(|node| Some((node, time_ms(node)?))) else { return WATCHDOG_MS };
        if time != 0 && !(WATCHDOG_MS_MIN..=WATCHDOG_MS_MAX).contains(&time) {
            let text = "a busy machine holds up a healthy thread for some tens of milliseconds, and a hung one is to be \
                        seen; write \"500ms\" to \"1h\", or 0 for no watchdog";
            self.problems.add(node.span, text);
        }
        time
    }

    /// Bytes of all spool files together.
    pub(super) fn spool_bytes_max(&mut self, table: &Table) -> Option<u64> {
        let node = section(table, "server")?.get("spool_max")?;
        let given = bytes(node)?;
        if given < SPOOL_BYTES_MIN {
            self.problems.add(
                node.span,
                "long bodies and what slow clients have not taken yet would have no place; write \"1MiB\" or more",
            );
        }
        Some(given)
    }

    /// Who the edge runs as.
    pub(super) fn user(&mut self, table: &Table) -> Option<User> {
        let node = section(table, "server")?.get("user")?;
        self.machine.find(node.text()?).map_err(|mend| self.problems.add(node.span, mend)).ok()
    }

    /// The forward proxy: for named servers only, and for those only who may use it.
    pub(super) fn forward_proxy(&mut self, table: &Table) -> Option<ForwardProxy> {
        let node = section(table, "server")?.get("forward_proxy")?;
        let proxy = node.table()?;
        let mut allow = Vec::new();
        for (text, span) in texts(proxy.get("allow")) {
            match AllowedTarget::read(text) {
                Ok(target) => allow.push(target),
                Err(mend) => self.problems.add(span, mend),
            }
        }
        if proxy.get("allow").is_none() {
            let text = "where may requests go? write allow = [\"*.example.com:443\"]";
            self.problems.add_missing(node.span, (proxy, &["allow"]), text);
        }
        if proxy.get("listen").is_none() {
            let text = "where does it listen? write listen = \"127.0.0.1:3128\"";
            self.problems.add_missing(node.span, (proxy, &["listen"]), text);
        }
        let clients = networks(proxy.get("clients"));
        let basic_auth = proxy.get("basic_auth").and_then(|node| self.basic_auth(node, "proxy"));
        let is_local = |at: &Listen| match at {
            Listen::Tcp(address) => address.ip().is_loopback(),
            Listen::Unix(_) | Listen::Inherited(_) => true,
        };
        for (text, span) in texts(proxy.get("listen")) {
            let is_open = !read_address(text, self.machine).unwrap_or_default().iter().all(is_local);
            if is_open && clients.is_empty() && basic_auth.is_none() {
                let text = "anybody could use it; write clients = [\"…\"] or basic_auth = { … }";
                self.problems.add_missing(span, (proxy, &["clients", "basic_auth"]), text);
            }
        }
        Some(ForwardProxy { allow, clients, basic_auth })
    }

    pub(super) fn threads(&self, table: &Table) -> usize {
        let given = section(table, "server").and_then(|server| server.get("threads")).and_then(whole);
        let threads =
            given.map_or(self.machine.cores(), |threads| usize::try_from(threads).unwrap_or(EDGE_THREADS_MAX));
        threads.clamp(1, EDGE_THREADS_MAX)
    }

    pub(super) fn limits(&mut self, table: &Table) -> Limits {
        let mut limits = Limits::default();
        let Some(server) = section(table, "server") else { return limits };
        let mut size = |key: &str, default: usize| {
            let Some((node, bytes)) = server.get(key).and_then(|node| Some((node, bytes(node)?))) else {
                return default;
            };
            head_bytes(key, bytes).unwrap_or_else(|mend| {
                self.problems.add(node.span, format!("'{key}' is kept in memory for each client; {mend}"));
                default
            })
        };
        limits.head_bytes_max = size("head_max", limits.head_bytes_max);
        limits.target_bytes_max = size("target_max", limits.target_bytes_max);
        limits.line_bytes_max = size("head_line_max", limits.line_bytes_max);
        limits.lines_max = server.get("head_lines_max").and_then(count).unwrap_or(limits.lines_max);
        limits.body_bytes_max = server.get("body_max").and_then(bytes).map_or(limits.body_bytes_max, unless_zero);
        for key in ["head_timeout", "body_timeout", "write_timeout"] {
            if let Some(node) = server.get(key).filter(|node| time_ms(node) == Some(0)) {
                let mend = "write a time above 0";
                self.problems
                    .add(node.span, format!("without '{key}' a client could hold a connection for ever; {mend}"));
            }
        }
        let time = |key: &str, default: u64| server.get(key).and_then(time_ms).unwrap_or(default);
        limits.head_timeout_ms = time("head_timeout", limits.head_timeout_ms);
        limits.body_timeout_ms = time("body_timeout", limits.body_timeout_ms);
        limits.write_timeout_ms = time("write_timeout", limits.write_timeout_ms);
        limits.client_connections =
            server.get("client_connections").and_then(whole).map_or(limits.client_connections, |count| count as u32);
        limits.idle_timeout_ms = time("idle_timeout", limits.idle_timeout_ms);
        limits
    }

    /// The name servers that are asked instead of those of this machine.
    pub(super) fn resolvers(&mut self, table: &Table) -> Vec<std::net::SocketAddr> {
        let node = section(table, "server").and_then(|server| server.get("resolver"));
        let mut resolvers = Vec::new();
        for (text, span) in texts(node) {
            let alone = text.parse::<std::net::IpAddr>().map(|address| (address, 53).into());
            match text.parse().or(alone) {
                Ok(address) => resolvers.push(address),
                Err(_) => self.problems.add(
                    span,
                    format!("'{text}': write the address of a name server, as in \"10.0.0.2\" or \"127.0.0.1:5353\""),
                ),
            }
        }
        resolvers
    }

    pub(super) fn trust(&mut self, table: &Table) -> Trust {
        let mut trust = Trust::default();
        let Some(server) = section(table, "server") else { return trust };
        for (text, _) in texts(server.get("trusted_proxies")) {
            match text {
                "unix" => trust.unix = true,
                text => trust.networks.extend(Network::read(text).unwrap_or_default()),
            }
        }
        if let Some(node) = server.get("client_ip_header") {
            trust.client_header = node.text().map(str::to_owned);
            if server.get("trusted_proxies").is_none() {
                let mend = "write trusted_proxies = [\"…\"], or anybody could forge it";
                let text = format!("'client_ip_header' is believed from trusted proxies only; {mend}");
                self.problems.add_missing(node.span, (server, &["trusted_proxies"]), text);
            }
        }
        for (name, span) in texts(server.get("trusted_headers")) {
            match written_by_hallway(name) {
                Some(mend) => self.problems.add(span, format!("'{name}' {mend}")),
                None => trust.headers.push(name.into()),
            }
        }
        if let Some(node) = server.get("trusted_headers").filter(|_| server.get("trusted_proxies").is_none()) {
            let mend = "write trusted_proxies = [\"…\"], or nobody's are";
            self.problems.add(node.span, format!("'trusted_headers' are believed from trusted proxies only; {mend}"));
        }
        trust
    }

    /// The log of all sites that have none of their own.
    pub(super) fn access_log(&mut self, table: &Table) -> Option<usize> {
        let access = section(table, "log")?.get("access")?;
        self.log(access)
    }

    /// A log, among those of the plan; two with one file and one form are the same.
    pub(super) fn log(&mut self, node: &Node) -> Option<usize> {
        let access = node.table()?;
        let format = match access.text("format") {
            Some("json") => LogFormat::Json,
            Some(own) if own != "combined" => log_format(own).unwrap_or_default(),
            _ => LogFormat::Combined,
        };
        let path = match access.get("path") {
            None => None,
            Some(node) => match node.text()? {
                "off" => return None,
                "stdout" => None,
                _ => {
                    let path = self.path(node)?;
                    // Opened once here, so that a wrong path is told before anything starts.
                    if let Err(error) = self.machine.try_log(&path) {
                        let why = match error.kind() {
                            ErrorKind::NotFound => "its directory is not there; make it first".into(),
                            _ => self.machine.told(&error),
                        };
                        self.problems.add(node.span, format!("{} cannot be written: {why}", path.display()));
                    }
                    Some(path)
                }
            },
        };
        let log = AccessLog { path, format };
        Some(self.logs.iter().position(|known| *known == log).unwrap_or_else(|| {
            self.logs.push(log);
            self.logs.len() - 1
        }))
    }
}

/// Why a header is never taken from a proxy as it stands.
fn written_by_hallway(name: &str) -> Option<&'static str> {
    match Name::of(name.as_bytes()) {
        _ if name.contains('_') => {
            Some("has '_', which programs cannot tell from '-'; such headers are never passed on")
        }
        Name::XForwardedFor | Name::XForwardedProto | Name::XForwardedHost | Name::XForwardedPort => {
            Some("is read from trusted proxies already, and written afresh; take it out")
        }
        _ if name.eq_ignore_ascii_case("x-real-ip") => Some("is written by hallway: the client's address; take it out"),
        _ => None,
    }
}

fn section<'t>(table: &'t Table, name: &str) -> Option<&'t Table> {
    table.get(name).and_then(Node::table)
}
