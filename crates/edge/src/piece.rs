//! In:     bytes of an answer's body as they came: alone, or behind the head of a frame.
//! Out:    the same, without a copy.
//! Actors: none.
//! Never:  does anything but the body show.

use std::ops::Deref;

/// A piece of a body.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    bytes: Vec<u8>,
    from: usize,
}

impl Piece {
    /// The last bytes of a frame.
    pub(crate) fn end_of(frame: Vec<u8>, length: usize) -> Piece {
        Piece { from: frame.len() - length, bytes: frame }
    }

    /// Keeps the first bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(self.from.saturating_add(length));
    }
}

impl From<Vec<u8>> for Piece {
    fn from(bytes: Vec<u8>) -> Piece {
        Piece { bytes, from: 0 }
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.from..]
    }
}
