//! In:     -
//! Out:    every key that a configuration file may have.
//! Actors: none.
//! Never:  is a key read that does not stand here.

mod app;
mod kinds;
mod modifiers;
mod pool;
mod route;
mod server;
mod site;

use crate::declare::{Key, Kind};
pub(crate) use app::APP;
use kinds::key;
pub(crate) use pool::POOL;
pub(crate) use route::ROUTE;
pub(crate) use server::{LOG, SERVER};
pub(crate) use site::{SITE, TLS};

/// The whole file.
pub(crate) const FILE: &[Key] = &[
    key("server", Kind::Table(SERVER), "Sockets, threads, and whom to believe."),
    key("log", Kind::Table(LOG), "What is written of each request, and where."),
    key("app", Kind::Named("app", &Kind::Table(APP)), "Applications that hallway runs."),
    key("pool", Kind::Named("pool", &Kind::Table(POOL)), "Upstream servers."),
    key("site", Kind::Named("site", &Kind::Table(SITE)), "What answers under which host name."),
];
