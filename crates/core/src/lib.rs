//! In:     facts: bytes that arrived, the plan, `now`, `dice`, what children reported.
//! Out:    decisions as plain data: a parsed head, a route, a slot, a command, a log line.
//! Actors: none. No task, no clock, no file, no socket, no process.
//! Never:  does a function here wait, act, or give two answers to the same arguments.

pub mod authority;
pub mod balance;
pub mod control;
pub mod decimal;
pub mod fault;
pub mod fields;
pub mod files;
pub mod filling;
pub mod gateway;
pub mod head;
pub mod http1;
pub mod http2;
pub mod lane;
pub mod method;
pub mod network;
pub mod permit;
pub mod plan;
pub mod ports;
pub mod proxy_protocol;
pub mod record;
pub mod route;
pub mod semantics;
pub mod supervise;
mod wire_format;

pub use fault::Fault;
pub use fields::{Fields, Name};
pub use head::{Head, Version};
