//! In:     a request whose body is there; the free slots of the workers; frames from workers.
//! Out:    which worker takes which request when; the bytes that go between edge and worker.
//! Actors: none.
//! Never:  is a worker trusted: every frame of it may be anything, and costs at most itself.

mod answer;
mod credit;
mod desk;
mod request;

pub use answer::{AnswerFrame, AnswerLines, mark_last, mark_length};
pub use answer::{
    put_abort, put_answer_line, put_answer_start, put_done, put_file, put_hello, put_leave, put_piece, put_room,
};
pub use credit::{CREDIT_BYTES, Credit, has_credit};
pub use desk::{Desk, Freed, Given, Placed, Withdraw};
pub use request::{RequestFrame, RequestLines, put_request};

/// Body bytes that one frame carries at most, either way; longer bodies go in pieces, or as a file.
pub const PIECE_BYTES_MAX: usize = 64 * 1024;
/// Longest frame, either way: a head of the edge's or the application's, and one piece.
pub const FRAME_BYTES_MAX: usize = 160 * 1024;
/// As many requests wait in a worker's lane as take this together, so that it need not wait for the
/// edge between two. On a core that both share this is what the fewer switches between them are worth
/// (measured: a Flask app's request takes 0.6 of the CPU time that it takes with 400 here).
pub const AHEAD_US: u64 = 1_500;
/// But no more than this.
pub const AHEAD_MAX: u64 = 64;
/// Frames of the greatest length for which the lane to a worker has room at most: 4 MiB with what stands before each. All of
/// it comes to be used in turn, so each worker costs that much memory; and the frames of requests without long bodies
/// (0.5 to 2 KiB from browsers) have room there for more slots than a worker has.
pub const INBOUND_FRAMES_MAX: usize = 25;
/// Frames of the greatest length for which the lane of a worker with this many slots has room: one
/// for each, and one more, up to `INBOUND_FRAMES_MAX`. What finds no room waits at the desk.
pub fn frames_max(slots: u32) -> usize {
    (slots as usize).saturating_add(1).min(INBOUND_FRAMES_MAX)
}

/// A request that takes longer than this does not keep those behind it from any worker that is next;
/// one with nothing to do takes them before.
pub const LATE_US: u64 = 3_000;
/// Where on its inbound ring a worker notes how long its requests take, in microseconds.
pub const SERVICE_NOTE: usize = 0;
/// Where on an outbound ring the edge notes the ticket of an answer that nobody waits for any more.
pub fn cancel_note(ticket: u64) -> usize {
    (ticket % 8) as usize
}

/// Longest head an application may answer with, as bytes of its frame.
pub const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;
