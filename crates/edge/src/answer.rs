//! In:     what each kind of target answers.
//! Out:    one answer, whose body comes in pieces wherever it is from.
//! Actors: the task of the connection.
//! Never:  is a body held whole because its source could not be waited for.

use crate::files::Pieces;
use crate::lane::AnswerStream;
use crate::piece::Piece;
use hallway_core::Fault;
use hallway_core::semantics::AnswerHead;

/// What a target answered.
pub(crate) struct Answer {
    pub(crate) head: AnswerHead,
    pub(crate) body: Body,
}

/// The body of an answer, in pieces as they come.
pub(crate) enum Body {
    /// All of it is here.
    Whole(Vec<u8>),
    /// It comes from a worker.
    Lane(AnswerStream),
    /// All of it is here, or in files.
    Pieces(Pieces),
}

impl Body {
    /// The next piece, and whether it is the last.
    pub(crate) async fn next(&mut self) -> Result<(Piece, bool), Fault> {
        match self {
            Body::Whole(bytes) => Ok((std::mem::take(bytes).into(), true)),
            Body::Lane(stream) => stream.next().await,
            Body::Pieces(pieces) => Ok(pieces.next()),
        }
    }
}
