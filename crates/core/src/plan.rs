//! In:     settings that were read and validated by the program.
//! Out:    the immutable plan every process works by, as plain data.
//! Actors: none.
//! Never:  does the plan hold raw input, a secret in its `Debug` text, or anything that changes at run time.

use crate::network::Network;
use crate::route::Conditions;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;

/// What hallway is to do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Plan {
    /// Where to listen, in the order in which the sockets are handed to the edge.
    pub listeners: Vec<Listen>,
    /// Event loops of the edge.
    pub edge_threads: usize,
    /// The applications.
    pub apps: Vec<App>,
    /// What answers under which host name.
    pub sites: Vec<Site>,
    /// Whose word about clients is believed.
    pub trust: Trust,
    /// The access log, if there is one.
    pub access_log: Option<AccessLog>,
    /// Sizes and times that bound every client.
    pub limits: Limits,
}

impl Plan {
    /// How long a stop waits for requests in flight: as long as the most patient app.
    pub fn graceful_timeout_ms(&self) -> u64 {
        self.apps.iter().map(|app| app.graceful_timeout_ms).max().unwrap_or(GRACEFUL_TIMEOUT_MS)
    }
}

/// The default of `graceful_timeout`.
const GRACEFUL_TIMEOUT_MS: u64 = 30_000;

/// One address to listen at.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Listen {
    /// `host:port`, bound with one socket for each event loop.
    Tcp(std::net::SocketAddr),
    /// `unix:PATH`.
    Unix(PathBuf),
    /// `fd://N`: a listening socket that was inherited.
    Inherited(i32),
}

/// One application: how its workers are started and how its requests wait.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct App {
    /// Its name in logs and in `ps`.
    pub name: String,
    /// `module:callable`.
    pub callable: String,
    /// Whether the callable is called once, without arguments, and returns the application.
    pub factory: bool,
    /// The directory it runs in.
    pub chdir: PathBuf,
    /// The interpreter it runs under.
    pub python: PathBuf,
    /// Variables added to its environment.
    pub env: Vec<(String, String)>,
    /// Worker processes.
    pub workers: u32,
    /// Requests that one worker works on at a time, each in a thread of its own.
    pub threads: u32,
    /// A request that takes longer ends its worker.
    pub timeout_ms: u64,
    /// How long a stop waits for requests in flight.
    pub graceful_timeout_ms: u64,
    /// Requests after which a worker is replaced; 0 for never.
    pub max_requests: u64,
    /// Up to so many more, by chance, so that workers are not all replaced at once.
    pub max_requests_jitter: u64,
    /// Resident memory at which a worker is replaced; 0 for never.
    pub max_rss_bytes: u64,
    /// Requests that may wait for a worker.
    pub queue_size: usize,
    /// How long a request may wait for a worker.
    pub queue_max_wait_ms: u64,
}

/// One site: what answers under some host names.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Site {
    /// Its names in lower case: `example.com`, `*.example.com`, `*` for any other.
    pub hosts: Vec<String>,
    /// What answers which path.
    pub routes: Vec<Route>,
    /// Pages for people instead of hallway's own, by status.
    pub errors: Vec<(u16, String)>,
}

impl App {
    /// An application with every default, which `docs/LIMITS.md` lists.
    pub fn new(name: &str, callable: String, workers: u32) -> App {
        App {
            name: name.into(),
            callable,
            factory: false,
            chdir: PathBuf::new(),
            python: PathBuf::new(),
            env: Vec::new(),
            workers,
            threads: 1,
            timeout_ms: 30_000,
            graceful_timeout_ms: GRACEFUL_TIMEOUT_MS,
            max_requests: 0,
            max_requests_jitter: 0,
            max_rss_bytes: 0,
            queue_size: 256,
            queue_max_wait_ms: 10_000,
        }
    }
}

/// One route.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Route {
    /// Its path, as `route::Pattern` reads it.
    pub path: String,
    /// What a request has to be beside its path.
    pub conditions: Conditions,
    /// What answers.
    pub target: Target,
    /// Whose requests it takes.
    pub access: Access,
    /// What is changed in the head of its answers.
    pub adjust: Adjust,
    /// Bytes of a request body, where they are not those of the limits.
    pub body_bytes_max: Option<u64>,
}

impl Route {
    /// A route without conditions and changes.
    pub fn new(path: &str, target: Target) -> Route {
        Route {
            path: path.into(),
            conditions: Conditions::default(),
            target,
            access: Access::default(),
            adjust: Adjust::default(),
            body_bytes_max: None,
        }
    }
}

/// What answers a request.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Target {
    /// Files below this directory.
    Files {
        /// The directory.
        directory: PathBuf,
        /// The one file there that is meant, where the path has no `*`.
        only: Option<String>,
        /// The file that answers for pages that are no file, as applications in browsers want it.
        fallback: Option<String>,
    },
    /// An application.
    App {
        /// Which, of those in the plan.
        app: usize,
        /// Whether what stands before the `*` is taken off its path.
        strip: bool,
    },
    /// Another address.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where to.
        to: Vec<LocationPart>,
    },
    /// This answer.
    Respond {
        /// Its status.
        status: u16,
        /// Its media type.
        media_type: String,
        /// Its body.
        body: String,
    },
}

/// A part of an address that a client is sent to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum LocationPart {
    /// As it stands.
    Text(String),
    /// What the capture with this number found.
    Capture(usize),
    /// What the `*` found.
    Rest,
    /// The host that was asked.
    Host,
    /// The path that was asked.
    Path,
}

/// Whose requests a route takes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Access {
    /// Clients in these networks and no others, where there are some.
    pub allow: Vec<Network>,
    /// No clients in these.
    pub deny: Vec<Network>,
}

/// What is changed in the head of an answer.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Adjust {
    /// Lines that are taken out.
    pub remove: Vec<String>,
    /// Lines instead of those of the same name.
    pub set: Vec<(String, String)>,
    /// Further lines.
    pub add: Vec<(String, String)>,
    /// `Cache-Control` of an answer that is not an error.
    pub cache_control: Option<String>,
}

/// Whose word about clients is believed: proxies in front of hallway.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Trust {
    /// Proxies in these networks.
    pub networks: Vec<Network>,
    /// Whoever comes by a unix socket.
    pub unix: bool,
    /// The header in which they name the client, before all others.
    pub client_header: Option<String>,
}

impl Trust {
    /// Whether a peer is believed; one without an address came by a unix socket.
    pub fn believes(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(peer) => self.networks.iter().any(|network| network.holds(peer)),
            None => self.unix,
        }
    }
}

/// Where the access log goes and what its lines look like.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_bytes_max: 32 * 1024,
            target_bytes_max: 8 * 1024,
            body_bytes_max: 128 * 1024 * 1024,
            body_memory_bytes: 64 * 1024,
            head_timeout_ms: 30_000,
            body_timeout_ms: 30_000,
            write_timeout_ms: 60_000,
            idle_timeout_ms: 75_000,
        }
    }
}
