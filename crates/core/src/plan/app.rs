//! In:     -
//! Out:    one application: how its workers are started and how its requests wait.
//! Actors: none.
//! Never:  does a default stand anywhere else.

use super::{RequestLines, User};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The default of `graceful_timeout`.
pub(super) const GRACEFUL_TIMEOUT_MS: u64 = 30_000;

/// One application: how its workers are started and how its requests wait.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct App {
    /// By which all processes know it; the same for as long as there is an app of its name.
    pub number: usize,
    /// Its name in logs and in `ps`.
    pub name: String,
    /// `module:callable`.
    pub callable: String,
    /// Whether the callable is called once, without arguments, and returns the application.
    pub factory: bool,
    /// Whether flags said all of this, and not the keys of a file.
    pub by_flags: bool,
    /// The directory it runs in.
    pub chdir: PathBuf,
    /// The interpreter it runs under.
    pub python: PathBuf,
    /// Where that is from, for messages.
    pub python_origin: String,
    /// Variables added to its environment. The edge is not told: they may be secrets.
    #[serde(skip)]
    pub env: Vec<(String, String)>,
    /// Variables of the master that its environment has, too.
    #[serde(skip)]
    pub pass_env: Vec<String>,
    /// Whether programs that it starts may have more rights than it has: those with a set-user-ID bit.
    pub new_privileges: bool,
    /// Whether what its workers print is passed on as it is, without their names before each line.
    pub is_raw: bool,
    /// Why it cannot be started as long as this plan is gone by.
    pub hindrance: Option<String>,
    /// What was missing for it when the plan was made.
    #[serde(skip)]
    pub faults: Vec<String>,
    /// Who its workers run as, where it is not who started hallway.
    pub user: Option<User>,
    /// Why it is that one, for messages.
    pub user_origin: String,
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
    /// What it is told instead of what the client says.
    pub request_lines: RequestLines,
}

impl App {
    /// An application with every default, which `docs/LIMITS.md` lists.
    pub fn new(name: &str, callable: String, workers: u32) -> App {
        App {
            number: 0,
            name: name.into(),
            callable,
            factory: false,
            by_flags: false,
            chdir: PathBuf::new(),
            python: PathBuf::new(),
            python_origin: String::new(),
            env: Vec::new(),
            pass_env: Vec::new(),
            new_privileges: false,
            is_raw: false,
            hindrance: None,
            faults: Vec::new(),
            user: None,
            user_origin: String::new(),
            workers,
            threads: 1,
            timeout_ms: 30_000,
            graceful_timeout_ms: GRACEFUL_TIMEOUT_MS,
            max_requests: 0,
            max_requests_jitter: 0,
            max_rss_bytes: 0,
            queue_size: 256,
            queue_max_wait_ms: 10_000,
            request_lines: RequestLines::default(),
        }
    }

    /// Whether there is to be more than one process of it.
    pub fn is_multiprocess(&self) -> bool {
        self.workers > 1
    }

    /// Whether workers of the other one are just like those of this one: what differs is the edge's or the
    /// supervisor's to keep.
    pub fn starts_like(&self, other: &App) -> bool {
        let start = |app: &App| (app.callable.clone(), app.factory, app.chdir.clone(), app.python.clone());
        let work =
            |app: &App| (app.env.clone(), app.user.clone(), app.threads, app.max_requests, app.max_requests_jitter);
        let rest = |app: &App| (app.is_raw, app.hindrance.clone(), app.is_multiprocess());
        let rights = |app: &App| (app.pass_env.clone(), app.new_privileges);
        start(self) == start(other)
            && work(self) == work(other)
            && rest(self) == rest(other)
            && rights(self) == rights(other)
    }
}
