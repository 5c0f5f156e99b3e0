//! Bodies, piece by piece.
//!
//! In:     bytes of bodies.
//! Out:    pieces, kept until they are taken.
//! Actors: the task of the request.
//! Never:  copies a body that can be passed on.

pub mod buffer;
pub mod piece;
pub mod replay;
