//! In:     -
//! Out:    one route: what answers a path, for whom, and what is changed in its answers.
//! Actors: none.
//! Never:  has a route two targets, or none.

use crate::network::Network;
use crate::route::Conditions;
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
