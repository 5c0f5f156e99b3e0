//! In:     -
//! Out:    one pool: servers that answer for a route, how one is chosen, what is done about those that fail.
//! Actors: none.
//! Never:  does a default stand anywhere else, or a secret in a `Debug` text.

use super::Secret;
use crate::filling::Part;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// How deep pools may stand in pools, the outermost counted.
pub const POOLS_DEPTH_MAX: usize = 8;

/// One pool.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Pool {
    /// Its name in logs; the same pool after a reload.
    pub name: String,
    /// Its servers.
    pub servers: Vec<Server>,
    /// How one of them is chosen.
    pub balance: Balance,
    /// How they are asked whether they are well.
    pub check: Option<Check>,
    /// Failures of requests, one after the other, that take a server out for a while; 0 for never.
    pub eject_after: u32,
    /// For how long at first; each further time twice as long.
    pub eject_ms: u64,
    /// And for how long at most.
    pub eject_ms_max: u64,
    /// Statuses of answers that count as failures, too.
    pub eject_on: Vec<u16>,
    /// How often a request is sent at most, each time to another server.
    pub tries: u32,
    /// Statuses of answers after which another server is asked.
    pub retry_on: Vec<u16>,
    /// Of all requests, how many may be sent again. Percent.
    pub retry_percent: u32,
    /// The cookie that keeps a client at its server.
    pub sticky: Option<Sticky>,
    /// How long a server that comes back gets less than its share.
    pub slow_start_ms: u64,
    /// Requests that may wait while every server has as many as it takes.
    pub queue_size: usize,
    /// How long each may.
    pub queue_max_wait_ms: u64,
    /// For a server to take a connection.
    pub connect_timeout_ms: u64,
    /// For the first byte of an answer.
    pub answer_timeout_ms: u64,
    /// Longest pause inside an answer.
    pub pause_timeout_ms: u64,
    /// Longest silence of both sides after an upgrade.
    pub tunnel_timeout_ms: u64,
    /// How long a connection may be idle before another request is sent by it; 0 for never.
    pub keep_idle_ms: u64,
    /// How old a connection may be then.
    pub keep_age_ms: u64,
    /// Idle connections that each event loop keeps to one server.
    pub keep_connections: usize,
    /// The `Host` that servers are asked for, where it is not the client's.
    pub host: Option<String>,
    /// What servers are told instead of what the client says.
    pub request_lines: RequestLines,
    /// Whether they are asked for the target as it came, and not as it was matched.
    pub raw_path: bool,
    /// Whether a request body is here as a whole before a server gets any of it.
    pub buffers_requests: bool,
    /// How servers behind TLS are known.
    pub tls: PoolTls,
    /// Where the scripts are of servers that speak FastCGI.
    pub script: Script,
}

impl Pool {
    /// Whether servers of the other pool can be asked as those of this one are: what is said to them, and how they are
    /// known, is the same.
    pub fn asks_like(&self, other: &Pool) -> bool {
        let speaks = |server: &Server| self.servers.iter().any(|own| own.protocol == server.protocol);
        self.tls == other.tls
            && self.request_lines == other.request_lines
            && self.host == other.host
            && self.raw_path == other.raw_path
            && self.script == other.script
            && self.buffers_requests == other.buffers_requests
            && other.servers.iter().all(speaks)
    }

    /// A pool with every default, which `docs/LIMITS.md` lists.
    pub fn new(name: &str, servers: Vec<Server>) -> Pool {
        // What is said by HTTP/2 is often a conversation (gRPC), which cannot be gathered first.
        let converses = servers.iter().any(|server| matches!(server.protocol, Protocol::H2 | Protocol::H2c));
        Pool {
            name: name.into(),
            servers,
            balance: Balance::RoundRobin,
            check: None,
            eject_after: 3,
            eject_ms: 1_000,
            eject_ms_max: 60_000,
            eject_on: Vec::new(),
            tries: 2,
            retry_on: Vec::new(),
            retry_percent: 20,
            sticky: None,
            slow_start_ms: 0,
            queue_size: 256,
            queue_max_wait_ms: 10_000,
            connect_timeout_ms: 5_000,
            answer_timeout_ms: 60_000,
            pause_timeout_ms: 60_000,
            tunnel_timeout_ms: 3_600_000,
            keep_idle_ms: 30_000,
            keep_age_ms: 3_600_000,
            keep_connections: 256,
            host: None,
            request_lines: RequestLines::default(),
            raw_path: false,
            buffers_requests: !converses,
            tls: PoolTls::default(),
            script: Script::default(),
        }
    }
}

/// Header lines of requests that a pool changes.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestLines {
    /// These, instead of what the request has: names and values, which may be secrets.
    pub set: Vec<(String, Secret)>,
    /// The same, with variables in their values.
    pub fill: Vec<(String, Vec<Part>)>,
    /// Not these.
    pub remove: Vec<String>,
}

impl RequestLines {
    /// Whether what the client says under this name does not go on. Gateways cannot tell `_` from `-`.
    pub fn replaces(&self, name: &[u8]) -> bool {
        let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        let is =
            |known: &String| known.len() == name.len() && known.bytes().map(plain).eq(name.iter().copied().map(plain));
        self.set.iter().any(|(known, _)| is(known))
            || self.fill.iter().any(|(known, _)| is(known))
            || self.remove.iter().any(is)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.fill.is_empty() && self.remove.is_empty()
    }

    /// These, and those of the inner one, which count more.
    pub fn merged(&self, inner: RequestLines) -> RequestLines {
        let mut lines = self.clone();
        lines.set.retain(|(name, _)| !inner.replaces(name.as_bytes()));
        lines.fill.retain(|(name, _)| !inner.replaces(name.as_bytes()));
        lines.set.extend(inner.set);
        lines.fill.extend(inner.fill);
        lines.remove.extend(inner.remove);
        lines
    }

    /// What servers get under this name instead, where it is replaced.
    pub fn set(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.set.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, Secret(value))| value.as_slice())
    }
}

impl fmt::Debug for RequestLines {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.set.iter().map(|(name, _)| name).collect();
        form.debug_struct("RequestLines")
            .field("fill", &self.fill)
            .field("set", &names)
            .field("remove", &self.remove)
            .finish()
    }
}

/// One server of a pool, as it is configured: a name may stand for several.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Server {
    /// Where it is.
    pub at: Place,
    /// What it speaks.
    pub protocol: Protocol,
    /// How much of the work it gets, beside the others.
    pub weight: u32,
    /// Whether it is asked only when the others cannot be.
    pub is_backup: bool,
    /// Requests that it has at a time; 0 for any number.
    pub connections_max: u32,
}

/// Where a server is.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Place {
    /// At the addresses of a name, or at this address.
    Host {
        /// The name or address.
        name: String,
        /// The port; without one the name's SRV records say it (RFC 2782).
        port: Option<u16>,
    },
    /// At a unix socket.
    Unix(PathBuf),
    /// It is another pool, by its number.
    Pool(usize),
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/1.1 in TLS.
    Https,
    /// HTTP/2 without TLS, begun at once (RFC 9113, 3.3).
    H2c,
    /// HTTP/2 in TLS.
    H2,
    /// FastCGI 1.0.
    FastCgi,
    /// The uwsgi protocol.
    Uwsgi,
}

impl Protocol {
    /// Whether connections are encrypted.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Protocol::Https | Protocol::H2)
    }

    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::H2c => "h2c",
            Protocol::H2 => "h2",
            Protocol::FastCgi => "fastcgi",
            Protocol::Uwsgi => "uwsgi",
        }
    }
}

/// How a server is chosen.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Balance {
    /// In turn, by weight, evenly spread.
    RoundRobin,
    /// The one with the fewest open requests for its weight.
    LeastOutstanding,
    /// Of two by chance, the one that is faster at the moment.
    Latency,
    /// The same for the same key, as far as that goes.
    Hash(HashBy),
}

/// What a key is made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum HashBy {
    /// The path.
    Path,
    /// The client's address.
    Client,
    /// The value of this header.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
}

/// How servers are asked whether they are well.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Check {
    /// The path that is asked for.
    pub path: String,
    /// The host; where it is not given, the server's own.
    pub host: Option<String>,
    /// The statuses of one that is well; where none is given, 200 to 399.
    pub statuses: Vec<u16>,
    /// What has to be in the answer.
    pub body: Option<String>,
    /// Between two.
    pub every_ms: u64,
    /// For the answer.
    pub timeout_ms: u64,
    /// Good ones, one after the other, that bring a server back.
    pub rise: u32,
    /// Bad ones that take it out.
    pub fall: u32,
}

/// A cookie that keeps a client at its server.
#[derive(Clone, Deserialize, Serialize)]
pub struct Sticky {
    /// Its name.
    pub cookie: String,
    /// With which it is signed.
    pub secret: Secret,
    /// For how long; 0 until the browser is closed.
    pub max_age_s: u64,
}

impl fmt::Debug for Sticky {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        form.debug_struct("Sticky").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

/// How servers behind TLS are known.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct PoolTls {
    /// The authorities that sign their certificates (DER); those of this machine where there are none.
    pub roots: Vec<Vec<u8>>,
    /// The certificate that hallway shows (DER), and its key.
    pub own: Option<(Vec<Vec<u8>>, Secret)>,
    /// The name in their certificates, where it is not that of their URL.
    pub name: Option<String>,
    /// Whether any certificate will do.
    pub trusts_all: bool,
}

/// Where the scripts are of servers that speak FastCGI.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Script {
    /// The directory of the site, as that server sees it.
    pub root: String,
    /// The script of a directory.
    pub index: String,
    /// The one script that has all requests, where there is one.
    pub only: Option<String>,
}
