//! In:     listening sockets, lanes to workers, a plan.
//! Out:    every request on those sockets answered; reports to the master.
//! Actors: one event loop for each core; threads for files, spool files and names; one that writes the log.
//! Never:  does anything on an event loop wait for a disk, a worker or a client.

mod answer;
mod arrive;
mod backlog;
mod clock;
mod compose;
mod deadline;
mod deliver;
mod detached;
mod edge;
mod exchange;
mod files;
mod forward;
mod guarded;
mod house;
mod http1;
mod http2;
mod ids;
mod journey;
mod lane;
mod limits;
mod linger;
mod listen;
mod log;
mod md5_crypt;
mod mirror;
mod overflow;
mod pace;
mod packer;
mod passwords;
mod permit;
mod piece;
mod posts;
mod pulse;
mod rules;
mod spool;
mod spool_room;
mod stream;
mod target;
mod thread_pool;
mod threads;
mod tls;
mod trip;
mod tunnel;
mod upstream;
mod voice;
mod watched;

pub use edge::{Edge, Ground};
pub use hallway_ring::{Beats, monotonic_ms, monotonic_us};
pub use listen::{Bound, Socket};
pub use passwords::vet_password;
pub use pulse::MAIN;
pub use spool::doubt_spool_directories;
pub use stream::UNSENT_BYTES;
pub use tls::{vet, vet_authorities, vet_pair};
pub use voice::{Voice, plain};
