//! Sockets, TLS and the engines of HTTP: everything between a client and whoever serves its requests.
//!
//! In:     sockets; certificates; a service that answers requests.
//! Out:    requests as neutral exchanges for that service; its responses with the client.
//! Actors: the tasks of connections and requests, on the event loop that they belong to; threads for files.
//! Never:  knows what serves a request: an app, a pool, a plan's route.

#![allow(async_fn_in_trait, reason = "everything here stays on the event loop that it began on")]

pub mod body;
#[cfg(test)]
mod fakes;
pub mod file;
pub mod http;
pub mod http1;
pub mod http2;
pub mod negotiate;
pub mod runtime;
pub mod socket;
pub mod tls;
