//! In:     -
//! Out:    one site: what answers under some host names.
//! Actors: none.
//! Never:  is a secret in its `Debug` text.

use super::{Route, SiteTls};
use crate::network::Network;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One site: what answers under some host names.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Site {
    /// Its names in lower case: `example.com`, `*.example.com`, `*` for any other.
    pub hosts: Vec<String>,
    /// What answers which path.
    pub routes: Vec<Route>,
    /// Pages for people instead of hallway's own, by status.
    pub errors: Vec<(u16, String)>,
    /// How it is encrypted, where it is.
    pub tls: Option<SiteTls>,
    /// Whether `//` in a path is one slash.
    pub merges_slashes: bool,
    /// When it is closed for work.
    pub maintenance: Option<Maintenance>,
    /// Its access log, of those in the plan.
    pub log: Option<usize>,
}

impl Site {
    /// A site under these names, with these routes and every default.
    pub fn new(hosts: &[&str], routes: Vec<Route>) -> Site {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Site { hosts, routes, errors: Vec::new(), tls: None, merges_slashes: true, maintenance: None, log: None }
    }
}

/// A site that is closed while a file is there.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Maintenance {
    /// The file.
    pub file: PathBuf,
    /// The page that everybody gets meanwhile; empty for hallway's own.
    pub page: String,
    /// Who gets in all the same.
    pub allow: Vec<Network>,
}
