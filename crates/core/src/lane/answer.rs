//! In:     what an application answered, as its worker writes it; in the edge, the worker's bytes.
//! Out:    frames: a hello, the start of an answer, further pieces of its body, an abort.
//! Actors: none.
//! Never:  is a length in a frame believed before it is compared with the frame.

use super::ANSWER_HEAD_BYTES_MAX;
use crate::wire_format::{Reader, put_line, put_short};

const HELLO: u8 = 16;
const START: u8 = 17;
const PIECE: u8 = 18;
const ABORT: u8 = 19;
const DONE: u8 = 20;
const LEAVE: u8 = 21;
const FILE: u8 = 22;
const ROOM: u8 = 23;
/// Flag of a start or piece: the answer is whole with it.
const LAST: u8 = 1;
/// Flag beside `LAST`: the worker has nothing left to do for it either.
const FREES: u8 = 2;
/// The length of a body that is not known when its start is sent.
const UNKNOWN: u64 = u64::MAX;
/// Where the length stands in the frame of a start: behind kind, flags and ticket.
const LENGTH_AT: usize = 10;

/// One frame of a worker.
#[derive(Clone, Copy, Debug)]
pub enum AnswerFrame<'a> {
    /// The worker has these lanes, its application is loaded, it takes requests.
    Hello,
    /// The head of an answer and the first piece of its body.
    Start {
        /// The call it belongs to.
        ticket: u64,
        /// Whether the body ends with this frame.
        last: bool,
        /// Whether the worker's slot is free with it; else a `Done` follows.
        frees: bool,
        /// Bytes of the whole body, where the worker has all of it.
        length: Option<u64>,
        /// Which stream of this lane it is until it ends: where its credit is told.
        stream: u16,
        /// Three digits, not yet checked.
        status: u16,
        /// The application's phrase, not yet checked.
        reason: &'a [u8],
        /// Header lines, not yet checked.
        lines: AnswerLines<'a>,
        /// The first piece of the body.
        body: &'a [u8],
    },
    /// A further piece of the body.
    Piece {
        /// The call it belongs to.
        ticket: u64,
        /// Whether the body ends with this frame.
        last: bool,
        /// Whether the worker's slot is free with it; else a `Done` follows.
        frees: bool,
        /// The piece.
        body: &'a [u8],
    },
    /// The rest of the body is this part of the file that came beside the lane.
    File {
        /// The call it belongs to.
        ticket: u64,
        /// Whether the worker's slot is free with it; else a `Done` follows.
        frees: bool,
        /// Where the part begins.
        offset: u64,
        /// How long it is.
        bytes: u64,
    },
    /// The worker has done all it had to do after an answer that was whole before.
    Done {
        /// The call it belonged to.
        ticket: u64,
    },
    /// The worker begins no further request, and ends; what it was given and has not begun is for others.
    Leave,
    /// There is room in the lane to the worker, which the edge waits for.
    Room,
    /// The application failed in the middle of the body; what was sent is not whole.
    Abort {
        /// The call it belongs to.
        ticket: u64,
    },
}

impl<'a> AnswerFrame<'a> {
    /// A frame from its bytes; nothing if they are none.
    pub fn decode(raw: &'a [u8]) -> Option<AnswerFrame<'a>> {
        let mut reader = Reader(raw);
        let (kind, flags) = (reader.u8()?, reader.u8()?);
        let (last, frees) = (flags & LAST != 0, flags & (LAST | FREES) == LAST | FREES);
        let frame = match kind {
            HELLO => AnswerFrame::Hello,
            START => {
                let (ticket, length, stream) = (reader.u64()?, reader.u64()?, reader.u16()?);
                let (status, reason, left) = (reader.u16()?, reader.short()?, reader.u16()?);
                let length = Some(length).filter(|length| *length != UNKNOWN);
                let lines = AnswerLines { left, reader };
                for _ in 0..left {
                    reader.line()?;
                }
                if raw.len() - reader.0.len() > ANSWER_HEAD_BYTES_MAX {
                    return None;
                }
                let body = reader.0;
                return Some(AnswerFrame::Start { ticket, last, frees, length, stream, status, reason, lines, body });
            }
            PIECE => return Some(AnswerFrame::Piece { ticket: reader.u64()?, last, frees, body: reader.0 }),
            FILE => {
                let (ticket, offset, bytes) = (reader.u64()?, reader.u64()?, reader.u64()?);
                // No file is longer (off_t).
                offset.checked_add(bytes).filter(|end| i64::try_from(*end).is_ok())?;
                AnswerFrame::File { ticket, frees, offset, bytes }
            }
            LEAVE => AnswerFrame::Leave,
            ROOM => AnswerFrame::Room,
            DONE => AnswerFrame::Done { ticket: reader.u64()? },
            ABORT => AnswerFrame::Abort { ticket: reader.u64()? },
            _ => return None,
        };
        // Nothing stands behind it.
        reader.0.is_empty().then_some(frame)
    }
}

/// The header lines of an answer's start.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLines<'a> {
    left: u16,
    reader: Reader<'a>,
}

impl<'a> Iterator for AnswerLines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.reader.line()
    }
}

/// Appends a hello.
pub fn put_hello(out: &mut Vec<u8>) {
    out.extend_from_slice(&[HELLO, 0]);
}

/// Appends the start of an answer, which so many lines follow (`put_answer_line`). The first piece
/// of the body may be appended after those, and `mark_last` called when that is all of it.
pub fn put_answer_start(out: &mut Vec<u8>, (ticket, stream): (u64, u16), (status, reason): (u16, &[u8]), lines: u16) {
    out.extend_from_slice(&[START, 0]);
    out.extend_from_slice(&ticket.to_le_bytes());
    out.extend_from_slice(&UNKNOWN.to_le_bytes());
    out.extend_from_slice(&stream.to_le_bytes());
    out.extend_from_slice(&status.to_le_bytes());
    put_short(out, reason);
    out.extend_from_slice(&lines.to_le_bytes());
}

/// Appends one header line of a start.
pub fn put_answer_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put_line(out, name, value);
}

/// Appends the head of a piece; the piece itself follows it.
pub fn put_piece(out: &mut Vec<u8>, ticket: u64) {
    out.extend_from_slice(&[PIECE, 0]);
    out.extend_from_slice(&ticket.to_le_bytes());
}

/// Appends that the rest of the body is a part of a file.
pub fn put_file(out: &mut Vec<u8>, ticket: u64, (offset, bytes): (u64, u64)) {
    out.extend_from_slice(&[FILE, LAST]);
    for number in [ticket, offset, bytes] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Appends that the worker leaves.
pub fn put_leave(out: &mut Vec<u8>) {
    out.extend_from_slice(&[LEAVE, 0]);
}

/// Appends that the edge may send again.
pub fn put_room(out: &mut Vec<u8>) {
    out.extend_from_slice(&[ROOM, 0]);
}

/// Appends an abort.
pub fn put_abort(out: &mut Vec<u8>, ticket: u64) {
    out.extend_from_slice(&[ABORT, LAST]);
    out.extend_from_slice(&ticket.to_le_bytes());
}

/// Appends that a worker has done all it had to do after an answer.
pub fn put_done(out: &mut Vec<u8>, ticket: u64) {
    out.extend_from_slice(&[DONE, 0]);
    out.extend_from_slice(&ticket.to_le_bytes());
}

/// Says of the frame at the start of `frame` that the answer is whole with it, and whether the
/// worker's slot is free by that.
pub fn mark_last(frame: &mut [u8], frees: bool) {
    if let Some(flags) = frame.get_mut(1) {
        *flags |= LAST | if frees { FREES } else { 0 };
    }
}

/// Says in the start at the beginning of `frame` how long the whole body is.
pub fn mark_length(frame: &mut [u8], bytes: u64) {
    if let Some(length) = frame.get_mut(LENGTH_AT..LENGTH_AT + 8) {
        length.copy_from_slice(&bytes.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_file_has_an_end() {
        let mut raw = Vec::new();
        put_file(&mut raw, 7, (10, 20));
        mark_last(&mut raw, true);
        let frame = AnswerFrame::decode(&raw);
        assert!(
            matches!(frame, Some(AnswerFrame::File { ticket: 7, frees: true, offset: 10, bytes: 20 })),
            "{frame:?}"
        );
        let most = i64::MAX as u64;
        for part in [(most, 0), (0, most), (most - 5, 5)] {
            raw.clear();
            put_file(&mut raw, 7, part);
            assert!(AnswerFrame::decode(&raw).is_some(), "{part:?}");
        }
        for part in [
            (u64::MAX, 1),
            (u64::MAX, 0),
            (u64::MAX - 10, 5),
            (1, u64::MAX),
            (1 << 63, 0),
            (0, 1 << 63),
            (most, 1),
            (1 << 63, 1 << 63),
        ] {
            raw.clear();
            put_file(&mut raw, 7, part);
            assert!(AnswerFrame::decode(&raw).is_none(), "{part:?}");
        }
    }

    #[test]
    fn what_has_no_body_ends_with_its_numbers() {
        let puts: [fn(&mut Vec<u8>); 6] = [
            put_hello,
            put_leave,
            put_room,
            |out| put_done(out, 1),
            |out| put_abort(out, 1),
            |out| put_file(out, 1, (0, 1)),
        ];
        for put in puts {
            let mut raw = Vec::new();
            put(&mut raw);
            assert!(AnswerFrame::decode(&raw).is_some());
            raw.push(0);
            assert!(AnswerFrame::decode(&raw).is_none(), "{raw:?}");
        }
    }

    #[test]
    fn a_head_of_an_answer_is_bounded() {
        for (value_bytes, is_taken) in [(ANSWER_HEAD_BYTES_MAX - 64, true), (ANSWER_HEAD_BYTES_MAX, false)] {
            let mut raw = Vec::new();
            put_answer_start(&mut raw, (9, 0), (200, b"OK"), 1);
            put_answer_line(&mut raw, b"a", &vec![b'x'; value_bytes]);
            raw.extend_from_slice(&[b'b'; 1000]);
            assert_eq!(AnswerFrame::decode(&raw).is_some(), is_taken);
        }
    }

    #[test]
    fn an_answer_survives_the_way() {
        let mut raw = Vec::new();
        put_answer_start(&mut raw, (9, u16::MAX), (404, b"Nope"), 2);
        put_answer_line(&mut raw, b"A", b"1");
        put_answer_line(&mut raw, b"B", b"");
        let head_bytes = raw.len();
        raw.extend_from_slice(b"text");
        mark_last(&mut raw, true);
        mark_length(&mut raw, 4);
        let Some(AnswerFrame::Start { ticket, last, frees, length, stream, status, reason, lines, body }) =
            AnswerFrame::decode(&raw)
        else {
            panic!("not a start")
        };
        assert_eq!((length, frees, stream), (Some(4), true, u16::MAX));
        assert_eq!((ticket, last, status, reason, body), (9, true, 404, &b"Nope"[..], &b"text"[..]));
        assert_eq!(lines.collect::<Vec<_>>(), [(&b"A"[..], &b"1"[..]), (b"B", b"")]);
        for end in 0..head_bytes {
            assert!(AnswerFrame::decode(&raw[..end]).is_none(), "cut at {end}");
        }
    }
}
