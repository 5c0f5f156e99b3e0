//! Byte streams and where they come from.
//!
//! In:     sockets.
//! Out:    streams, listeners, tunnels, counted connections.
//! Actors: the task of the connection.
//! Never:  reads a protocol.

pub mod client_connections;
pub mod guarded;
pub mod linger;
pub mod listener;
pub mod stream;
pub mod tunnel;
