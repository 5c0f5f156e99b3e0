//! In:     -
//! Out:    one site: what answers under some host names.
//! Actors: none.
//! Never:  is a secret in its `Debug` text.

use super::{Route, SiteTls};
use serde::{Deserialize, Serialize};

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
    /// Its access log, of those in the plan.
    pub log: Option<usize>,
}
