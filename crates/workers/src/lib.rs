//! In:     commands of the supervisor.
//! Out:    child processes with exactly the descriptors they are to have; news of their ends.
//! Actors: the operating system.
//! Never:  does a child inherit a descriptor that is not named for it.

mod carried;
mod channel;
mod confine;
mod inherit;
mod lanes;
mod launch;
mod reap;
mod relay;
mod spawn;
mod terminal;
mod title;

pub use carried::carry;
pub use channel::{Channel, Message};
pub use confine::{become_user, confine_edge, hide};
pub use inherit::take_inherited;
pub use lanes::{Lanes, make_lanes};
pub use launch::{Environment, WORKER, launch_worker};
pub use reap::{Ended, reap, resident_bytes};
pub use relay::{Relay, Relays};
pub use spawn::{EDGE, Hiring, Spawned, spawn_edge, spawn_worker};
pub use terminal::forbid_typing;
pub use title::set_title;
