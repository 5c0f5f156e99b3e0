//! In:     any bytes as a frame of either side, and as the memory that both sides share.
//! Out:    a frame whose parts are all inside of it, or nothing.
//! Actors: libFuzzer.
//! Never:  does a frame make its reader panic, or believe a length.

#![no_main]

use hallway_core::lane::{AnswerFrame, RequestFrame};
use hallway_core::semantics::take_app_answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let range = bytes.as_ptr_range();
    let is_inside =
        |part: &[u8]| part.is_empty() || (range.contains(&part.as_ptr()) && part.as_ptr_range().end <= range.end);
    if let Some(frame) = RequestFrame::decode(bytes) {
        assert!([frame.method, frame.path, frame.query, frame.body].into_iter().all(is_inside));
        assert!(frame.lines.into_iter().all(|(name, value)| is_inside(name) && is_inside(value)));
    }
    match AnswerFrame::decode(bytes) {
        Some(AnswerFrame::Start { status, reason, lines, body, .. }) => {
            assert!(is_inside(reason) && is_inside(body));
            assert!(lines.into_iter().all(|(name, value)| is_inside(name) && is_inside(value)));
            if let Ok(head) = take_app_answer(status, reason, lines) {
                let line_ends = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
                assert!(!line_ends(&head.reason));
                assert!(!head.fields.iter().any(|field| line_ends(field.raw_name) || line_ends(field.value)));
            }
        }
        Some(AnswerFrame::Piece { body, .. }) => assert!(is_inside(body)),
        Some(AnswerFrame::File { offset, bytes, .. }) => assert!(offset.checked_add(bytes).is_some()),
        _ => {}
    }
});
