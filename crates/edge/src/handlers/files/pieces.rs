//! Bodies that are there.
//!
//! In:     the pieces of a file's response.
//! Out:    the same, one after the other.
//! Actors: the task of the request.
//! Never:  reads a file: a piece says where its bytes are.

use hallway_net::body::piece::Piece;
use std::collections::VecDeque;

/// A body that is there, piece by piece.
#[derive(Default)]
pub(crate) struct Pieces(pub(super) VecDeque<Piece>);

impl Pieces {
    /// The next piece, and whether it is the last.
    pub(crate) fn next(&mut self) -> (Piece, bool) {
        let piece = self.0.pop_front().unwrap_or_default();
        (piece, self.0.is_empty())
    }
}
