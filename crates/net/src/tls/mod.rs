//! Encryption of connections.
//!
//! In:     certificates of sites, authorities, streams.
//! Out:    encrypted streams and what was agreed on.
//! Actors: the task of the connection.
//! Never:  shows a client the certificate of a site that it did not ask for.

pub mod client;
pub mod facts;
mod provider;
pub mod server;
pub mod vet;
