//! What is known of a request.
//!
//! In:     exchanges; names, passwords and limits of a plan.
//! Out:    what a request is decided by, and what is told of it at its end.
//! Actors: the task of the request.
//! Never:  knows who answers.

pub(crate) mod context;
pub(crate) mod limits;
pub(crate) mod loop_plan;
mod md5_crypt;
pub(crate) mod passwords;
pub(crate) mod record;
