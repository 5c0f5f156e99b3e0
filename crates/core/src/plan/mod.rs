//! In:     settings that were read and validated by the program.
//! Out:    the immutable plan every process works by, as plain data.
//! Actors: none.
//! Never:  does the plan hold raw input, a secret in its `Debug` text, or anything that changes at run time.

mod app;
mod basic_auth;
mod certificate;
mod forward;
mod limit;
mod pool;
mod route;
mod site;

pub use app::App;
use app::GRACEFUL_TIMEOUT_MS;
pub use basic_auth::{BasicAuth, Checks};
pub use certificate::{Certificate, CertificateSource, ClientCertificates, Secret, SiteTls};
pub use forward::{AllowedTarget, ForwardProxy};
pub use limit::{Bandwidth, LimitBy, Most, Rate, Zone};
pub use pool::{
    Balance, Check, HashBy, POOLS_DEPTH_MAX, Place, Pool, PoolTls, Protocol, RequestLines, Script, Server, Sticky,
};
pub use route::{Access, Adjust, Auth, AuthBy, Cors, Files, LocationPart, Mirror, Part, Route, Split, Target};
pub use site::{Maintenance, Site};

use crate::network::Network;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What hallway is to do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Plan {
    /// Where to listen.
    pub listeners: Vec<Listener>,
    /// Event loops of the edge.
    pub edge_threads: usize,
    /// The applications.
    pub apps: Vec<App>,
    /// Upstream servers.
    pub pools: Vec<Arc<Pool>>,
    /// The name servers that are asked; those of this machine where there are none.
    pub resolvers: Vec<std::net::SocketAddr>,
    /// What answers under which host name.
    pub sites: Vec<Site>,
    /// The certificates of the sites.
    pub certificates: Vec<Certificate>,
    /// Who the edge runs as, where it is not who started it.
    pub user: Option<User>,
    /// Why it is that one, for messages.
    pub user_origin: String,
    /// The forward proxy, where there is one.
    pub forward_proxy: Option<ForwardProxy>,
    /// What is counted for whom.
    pub zones: Vec<Zone>,
    /// Whose word about clients is believed.
    pub trust: Trust,
    /// The access logs that there are.
    pub logs: Vec<AccessLog>,
    /// Which of them has the requests that are for no site.
    pub log: Option<usize>,
    /// Sizes and times that bound every client.
    pub limits: Limits,
    /// Bytes of all spool files together, where that is said.
    pub spool_bytes_max: Option<u64>,
    /// How long a stop waits for requests in flight, where that is said. Milliseconds.
    pub stop_timeout_ms: Option<u64>,
    /// How long an event loop of the edge may be silent before another edge takes over; 0 for ever.
    pub watchdog_ms: u64,
    /// Whether workers are replaced when a file changes that they have read: for those who work on an app.
    pub reloads: bool,
    /// Whether it was made of flags: words for the operator name those, else keys of the file.
    pub by_flags: bool,
}

/// The default of `watchdog`.
pub const WATCHDOG_MS: u64 = 2_000;

impl Plan {
    /// A plan that has nothing, and every default: to be filled, or for a test of what goes by one.
    pub fn empty() -> Plan {
        Plan {
            listeners: Vec::new(),
            edge_threads: 1,
            apps: Vec::new(),
            pools: Vec::new(),
            resolvers: Vec::new(),
            sites: Vec::new(),
            certificates: Vec::new(),
            user: None,
            user_origin: String::new(),
            forward_proxy: None,
            zones: Vec::new(),
            trust: Trust::default(),
            logs: Vec::new(),
            log: None,
            limits: Limits::default(),
            spool_bytes_max: None,
            stop_timeout_ms: None,
            watchdog_ms: WATCHDOG_MS,
            reloads: false,
            by_flags: false,
        }
    }

    /// How long a stop waits for requests in flight; where that is not said, as long as the most patient app.
    pub fn graceful_timeout_ms(&self) -> u64 {
        let longest = || self.apps.iter().map(|app| app.graceful_timeout_ms).max();
        self.stop_timeout_ms.or_else(longest).unwrap_or(GRACEFUL_TIMEOUT_MS)
    }

    /// The files of the access logs, each once, in the order in which the master hands them to the edge.
    pub fn log_files(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = Vec::new();
        for path in self.logs.iter().filter_map(|log| log.path.as_deref()) {
            if !files.contains(&path) {
                files.push(path);
            }
        }
        files
    }
}

/// An address, and what is spoken there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Listener {
    /// Where.
    pub at: Listen,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// Whether this is for requests to other servers.
    pub forward: bool,
    /// Where it leads to, of a socket that was inherited.
    pub local: Option<std::net::SocketAddr>,
}

impl Listener {
    /// The address that clients reach; nothing for a unix socket.
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        match self.at {
            Listen::Tcp(address) => Some(address),
            Listen::Unix(_) | Listen::Inherited(_) => self.local,
        }
    }
}

impl From<Listen> for Listener {
    fn from(at: Listen) -> Listener {
        Listener { at, tls: false, forward: false, local: None }
    }
}

/// A user of this machine.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct User {
    /// Its name; the number where it has none.
    pub name: String,
    /// Its home.
    pub home: PathBuf,
    /// The number.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// All of its groups.
    pub groups: Vec<u32>,
}

/// One address to listen at.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Listen {
    /// `host:port`, bound with one socket for each event loop.
    Tcp(std::net::SocketAddr),
    /// `unix:PATH`.
    Unix(PathBuf),
    /// `fd://N`: a listening socket that was inherited.
    Inherited(i32),
}

/// Whose word about clients is believed: proxies in front of hallway.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Trust {
    /// Proxies in these networks.
    pub networks: Vec<Network>,
    /// Whoever comes by a unix socket.
    pub unix: bool,
    /// The header in which they name the client, before all others: they pass on what strangers say in others.
    pub client_header: Option<String>,
    /// Headers that say who a client is, which they write all the same; nobody else may.
    pub headers: Vec<String>,
}

impl Trust {
    /// Whether a header says who a client is, by what the operator wrote.
    pub fn names(&self, name: &[u8]) -> bool {
        let is = |known: &String| known.as_bytes().eq_ignore_ascii_case(name);
        self.headers.iter().any(is) || self.client_header.as_ref().is_some_and(is)
    }

    /// Whether a peer is believed; one without an address came by a unix socket.
    pub fn believes(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(peer) => self.networks.iter().any(|network| network.holds(peer)),
            None => self.unix,
        }
    }
}

/// Where the access log goes and what its lines look like.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AccessLog {
    /// A file, or standard output when absent.
    pub path: Option<PathBuf>,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of an access-log line.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum LogFormat {
    /// NCSA combined, as nginx and Apache write it.
    #[default]
    Combined,
    /// One JSON object a line.
    Json,
    /// The operator's own, with variables as nginx has them.
    Own(String),
}

/// Every bound that holds for each client. The defaults are the table in `docs/LIMITS.md`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Limits {
    /// Bytes of a request head.
    pub head_bytes_max: usize,
    /// Bytes of a request target.
    pub target_bytes_max: usize,
    /// Bytes of a header line.
    pub line_bytes_max: usize,
    /// Header lines.
    pub lines_max: usize,
    /// Bytes of a request body.
    pub body_bytes_max: u64,
    /// Bytes of a request body that are kept in memory; what is longer goes to a spool file.
    pub body_memory_bytes: usize,
    /// Time for a head to arrive, counted from its first byte.
    pub head_timeout_ms: u64,
    /// Longest pause between two pieces of a request body.
    pub body_timeout_ms: u64,
    /// Longest pause in which a client takes nothing of its answer.
    pub write_timeout_ms: u64,
    /// How long a connection may be idle between requests.
    pub idle_timeout_ms: u64,
    /// Connections that one client may have that is no trusted proxy; 0 for any number.
    pub client_connections: u32,
}

impl From<usize> for Limits {
    /// Those by default, but for the target.
    fn from(target_bytes_max: usize) -> Self {
        Limits { target_bytes_max, ..Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_bytes_max: 32 * 1024,
            target_bytes_max: 8 * 1024,
            line_bytes_max: 8190,
            lines_max: 100,
            body_bytes_max: 32 * 1024 * 1024,
            body_memory_bytes: 64 * 1024,
            head_timeout_ms: 30_000,
            body_timeout_ms: 30_000,
            write_timeout_ms: 60_000,
            idle_timeout_ms: 75_000,
            client_connections: 256,
        }
    }
}
