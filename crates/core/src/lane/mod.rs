//! In:     a request whose body is there; the free slots of the workers; frames from workers.
//! Out:    which worker takes which request when; the bytes that go between edge and worker.
//! Actors: none.
//! Never:  is a worker trusted: every frame of it may be anything, and costs at most itself.

mod answer;
mod desk;
mod request;

pub use answer::{AnswerFrame, AnswerLines, put_abort, put_answer_start, put_done, put_hello, put_piece};
pub use answer::{decode_cancel, mark_last, mark_length, put_cancel};
pub use desk::{Desk, Placed};
pub use request::{Addresses, RequestFrame, RequestLines, put_request};

/// Body bytes that one frame carries at most, either way; longer bodies go in pieces, or as a file.
pub const PIECE_BYTES_MAX: usize = 64 * 1024;
/// Longest frame, either way: a head of the edge's or the application's, and one piece.
pub const FRAME_BYTES_MAX: usize = 160 * 1024;
/// Longest head an application may answer with, as bytes of its frame.
pub const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;
