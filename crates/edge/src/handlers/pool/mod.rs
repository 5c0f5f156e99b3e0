//! In:     an exchange whose route is a pool.
//! Out:    the answer of one of its servers; what was learned of them.
//! Actors: the task of the request, which drives the server's connection itself.
//! Never:  does a byte of one exchange reach another, or a request a second server that the first may have acted on,
//!         unless its method allows it.

mod attempt;
mod body;
mod connect;
mod connections;
mod forward_proxy;
mod handle;
mod head_wait;
mod health_check;
mod lease;
mod members;
mod outgoing;
mod outward;
mod plain;
mod pools;
mod protocol;
mod resolve;
mod resolver;
mod response;
mod script;
mod select;
mod server;
mod status;
mod sticky;
mod trailing;

pub(crate) use body::Stream as UpstreamStream;
pub(crate) use connections::Upstreams;
pub(crate) use forward_proxy::carry;
pub(crate) use handle::fetch;
pub(crate) use health_check::look_after;
pub(crate) use members::PoolDesk;
pub(crate) use outward::{Places, turn_inward};
pub(crate) use pools::{Pools, PoolsTls};
pub(crate) use resolve::{Discoverer, Watched};
pub(crate) use response::{AsItCame, Destination, Fetched, Tunnel};
pub(crate) use status::status;

#[cfg(test)]
mod tests;
