//! Requests from their engine to their response: routes, permits, apps, pools, files.
//!
//! In:     listening sockets, lanes to workers, a plan.
//! Out:    every request on those sockets answered; reports to the master.
//! Actors: one event loop for each core; threads for files, spool files and names; one that writes the log.
//! Never:  does anything on an event loop wait for a disk, a worker or a client.
//!
//! Floors: `server` imports `journey`, that imports `handlers`, they import `request`; never the other way, and no handler
//! imports another (`tests/tidy.rs`).

#[cfg(test)]
mod fakes;
mod handlers;
mod journey;
mod request;
mod server;

pub use hallway_net::file::nameless::doubt_spool_directories;
pub use hallway_net::runtime::console::{Voice, plain};
pub use hallway_net::socket::listener::{Bound, Socket};
pub use hallway_net::socket::stream::UNSENT_BYTES;
pub use hallway_net::tls::vet::{vet, vet_authorities, vet_pair};
pub use hallway_ring::{Beats, monotonic_ms, monotonic_us};
pub use request::passwords::vet_password;
pub use server::pulse::MAIN;
pub use server::{Edge, Ground};
