//! In:     bytes of an HTTP/1 connection as they arrive; the head of an answer.
//! Out:    where a head ends, what it says, where its body ends; the bytes of an answer's head.
//! Actors: none: sans-IO, the edge reads and writes.
//! Never:  is a byte sequence accepted that two servers could read differently (RFC 9112, 11.2).

/// Heads of a server that may come before the one that counts (RFC 9110, 15.2).
pub const INFORMATIONAL_MAX: u32 = 32;

mod answer;
mod chunked;
mod emit;
mod framing;
mod parse;
mod scan;

pub use answer::{Asked, Ending, Foul, ServerAnswer, parse_answer};
pub use chunked::{Chunked, Progress};
pub use emit::{
    AnswerBody, AnswerLine, CHUNK_END, LAST_CHUNK, Onward, path_behind, put_answer_head, put_chunk_start,
    put_forwarded_head, put_informational, put_last_chunk, put_request_head,
};
pub(crate) use framing::decimal;
pub(crate) use parse::METHOD_BYTES_MAX;
pub use parse::{parse_head, refuse_method};
pub use scan::{Found, Scan};
