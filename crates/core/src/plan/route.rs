//! In:     -
//! Out:    one route: what answers a path, for whom, and what is changed in its answers.
//! Actors: none.
//! Never:  has a route two targets, or none.

use super::{Bandwidth, BasicAuth, HashBy, Plan, RequestLines};
use crate::network::Network;
use crate::route::Conditions;
use crate::semantics::Coding;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
    /// How long an app may take, where it is not as long as its own setting says.
    pub timeout_ms: Option<u64>,
    /// The path that is passed on instead of the one that was asked.
    pub rewrite: Vec<LocationPart>,
    /// Who may come in, by name and password.
    pub basic_auth: Option<BasicAuth>,
    /// Who is asked whether a request may pass.
    pub auth: Option<Auth>,
    /// What pages of other origins may do.
    pub cors: Option<Cors>,
    /// The codings in which answers may be compressed.
    pub compress: Vec<Coding>,
    /// What an app or a server is told instead of what the client says.
    pub request_lines: RequestLines,
    /// What is counted, of the zones of the plan.
    pub limits: Vec<usize>,
    /// Another target, for some clients.
    pub split: Option<Split>,
    /// Who gets a copy of each request.
    pub mirror: Option<Mirror>,
    /// How fast answers are sent.
    pub bandwidth: Bandwidth,
    /// Whether addresses and cookies of servers that name their own place are rewritten as clients know it.
    pub maps_outward: bool,
    /// Whether pages for errors also stand for those that a server or an app answers.
    pub intercepts_errors: bool,
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
            timeout_ms: None,
            rewrite: Vec::new(),
            basic_auth: None,
            auth: None,
            cors: None,
            compress: Vec::new(),
            request_lines: RequestLines::default(),
            limits: Vec::new(),
            split: None,
            mirror: None,
            bandwidth: Bandwidth::default(),
            maps_outward: true,
            intercepts_errors: false,
        }
    }
}

impl Route {
    /// Whether what answers here is the same for whoever asks, so that a cache may give it to others.
    pub fn is_for_all(&self) -> bool {
        let Conditions { headers, clients, .. } = &self.conditions;
        let is_open = self.basic_auth.is_none()
            && self.auth.is_none()
            && self.access.allow.is_empty()
            && self.access.deny.is_empty();
        let sets_cookie = |(name, _): &(String, String)| name.eq_ignore_ascii_case("set-cookie");
        let sets_cookies = self.adjust.set.iter().chain(&self.adjust.add).any(sets_cookie);
        is_open && headers.is_empty() && clients.is_empty() && self.split.is_none() && !sets_cookies
    }
}

/// Who says whether a request may pass.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Auth {
    /// Who is asked.
    pub by: AuthBy,
    /// The path that is asked for, with its query.
    pub path: String,
    /// Headers of its answer that the target gets, and from nobody else.
    pub copy: Vec<String>,
}

/// Who is asked whether a request may pass.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum AuthBy {
    /// An app, of those in the plan.
    App(usize),
    /// A server of a pool, of those in the plan.
    Pool(usize),
}

impl AuthBy {
    /// As operators are told.
    pub fn told(self, plan: &Plan) -> String {
        match self {
            AuthBy::App(app) => format!("app {}", plan.apps[app].name),
            AuthBy::Pool(pool) => format!("pool {}", plan.pools[pool].name),
        }
    }
}

/// What answers a request.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Target {
    /// Files below a directory.
    Files(Files),
    /// An application.
    App {
        /// Which, of those in the plan.
        app: usize,
        /// Whether what stands before the `*` is taken off its path.
        strip: bool,
    },
    /// A server of a pool.
    Pool {
        /// Which, of those in the plan.
        pool: usize,
        /// Whether what stands before the `*` is taken off its path.
        strip: bool,
    },
    /// Several answers as one.
    Compose(Vec<Part>),
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

/// Another target, for a share of clients.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Split {
    /// The other target.
    pub to: Target,
    /// The share, of a hundred.
    pub percent: u32,
    /// What tells one client from another.
    pub by: HashBy,
}

/// Who gets a copy of each request.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Mirror {
    /// Which pool, of those in the plan.
    pub pool: usize,
    /// Of how many, of a hundred.
    pub percent: u32,
}

/// One of several answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Part {
    /// Its name in the whole.
    pub name: String,
    /// The path that is asked for, on the same site.
    pub to: Vec<LocationPart>,
    /// For all of it.
    pub timeout_ms: u64,
}

/// Files that answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Files {
    /// They are below this directory.
    pub directory: PathBuf,
    /// The one file there that is meant, where the path has no `*`.
    pub only: Option<String>,
    /// The file that answers for pages that are no file, as applications in browsers want it.
    pub fallback: Option<String>,
    /// Whether a directory without an index is shown as a list.
    pub lists: bool,
    /// Whether a name with a fingerprint of its content says that it never changes.
    pub fingerprints: bool,
}

impl Files {
    /// All files of a directory.
    pub fn below(directory: PathBuf) -> Files {
        Files { directory, only: None, fallback: None, lists: false, fingerprints: true }
    }
}

/// What pages of other origins may do (Fetch standard, "CORS protocol").
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Cors {
    /// Origins, as `https://app.example`; `*` for any.
    pub origins: Vec<String>,
    /// Methods beside GET, HEAD and POST.
    pub methods: Vec<String>,
    /// Request headers; `*` for any that is asked for.
    pub headers: Vec<String>,
    /// Answer headers that pages may read.
    pub expose: Vec<String>,
    /// Whether cookies and passwords are sent along.
    pub credentials: bool,
    /// How long browsers need not ask again.
    pub max_age_s: u64,
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
