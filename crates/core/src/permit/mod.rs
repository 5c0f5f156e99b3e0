//! In:     a head, who sent it, the plan's limits.
//! Out:    pass, or the fault that stops the request before anything is done for it.
//! Actors: none.
//! Never:  is a refused request's body read first.

mod fair_queue;
mod rate;

pub use fair_queue::{FairQueue, Queued};
pub use rate::{Charged, Meters};

use crate::fault::Fault;
use crate::head::{Framing, Head};
use crate::method::Methods;
use crate::network::Network;
use crate::plan::Access;
use std::net::IpAddr;

/// Whether a request may come in at all.
///
/// # Errors
/// 405 for TRACE, which would show a client's own credentials to a script (as nginx refuses it); 501 for CONNECT.
pub fn admit(head: &Head) -> Result<(), Fault> {
    match head.method() {
        b"TRACE" | b"TRACK" => Err(Fault::MethodNotAllowed(Methods::ALL)),
        b"CONNECT" => Err(Fault::NotImplemented("CONNECT is not taken here.")),
        _ => Ok(()),
    }
}

/// Whether a route is for this client. One without an address (it came by a unix socket) is in no network.
///
/// # Errors
/// 403 where it is not.
pub fn allow_client(access: &Access, client: Option<IpAddr>) -> Result<(), Fault> {
    let is_in = |networks: &[Network]| client.is_some_and(|client| networks.iter().any(|one| one.holds(client)));
    let is_allowed = (access.allow.is_empty() || is_in(&access.allow)) && !is_in(&access.deny);
    if is_allowed { Ok(()) } else { Err(Fault::Forbidden) }
}

/// Whether the body that a head announces is within the limit. A chunked body is counted as it comes.
///
/// # Errors
/// 413 where it is not.
pub fn allow_body(head: &Head, body_bytes_max: u64) -> Result<(), Fault> {
    match head.framing {
        Framing::Length(bytes) if bytes > body_bytes_max => Err(Fault::BodyTooLarge),
        _ => Ok(()),
    }
}
