//! What answers requests.
//!
//! In:     exchanges whose route is known.
//! Out:    responses.
//! Actors: the task of the request.
//! Never:  does a handler know another one, or the journey that led to it.

pub(crate) mod app;
pub(crate) mod files;
pub(crate) mod pool;
