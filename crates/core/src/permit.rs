//! In:     a head and the plan's limits.
//! Out:    pass, or the fault that stops the request before anything is done for it.
//! Actors: none.
//! Never:  is a refused request's body read first.

use crate::fault::Fault;
use crate::head::{Framing, Head};
use crate::plan::Limits;

/// Whether a request may come in at all.
///
/// # Errors
/// 405 for TRACE, which would show a client's own credentials to a script (as nginx refuses it).
pub fn admit(head: &Head) -> Result<(), Fault> {
    match head.method() {
        b"TRACE" | b"TRACK" => Err(Fault::MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
        _ => Ok(()),
    }
}

/// Whether the body that a head announces is within the limit. A chunked body is counted as it comes.
///
/// # Errors
/// 413 where it is not.
pub fn allow_body(head: &Head, limits: &Limits) -> Result<(), Fault> {
    match head.framing {
        Framing::Length(bytes) if bytes > limits.body_bytes_max => Err(Fault::BodyTooLarge),
        _ => Ok(()),
    }
}
