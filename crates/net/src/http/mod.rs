//! Where the engines of all versions of HTTP meet.
//!
//! In:     what an engine reads.
//! Out:    a neutral exchange, for whoever serves it.
//! Actors: the task of the request.
//! Never:  shows which version a client speaks.

pub mod exchange;
pub mod request_body;
pub mod service;
