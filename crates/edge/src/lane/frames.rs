//! In:     one frame of a worker, as a copy.
//! Out:    the call that it belongs to, further on; the worker's slots freed.
//! Actors: the event loop.
//! Never:  does a frame harm anything but calls that its worker was given.

use crate::house::House;
use crate::lane::call::Call;
use crate::lane::inbound::{Lane, Received};
use crate::piece::Piece;
use hallway_core::Fault;
use hallway_core::lane::AnswerFrame;
use hallway_core::semantics::take_app_answer;
use std::rc::Rc;
use std::sync::Arc;

/// What became of a frame.
pub(super) enum Taken {
    Fully,
    /// It was taken, and this call has no room for another one.
    NoRoomFor(Rc<Call>),
    /// It is no frame, or one for a call that this worker does not have.
    Broken,
}

/// Takes one frame. Its bytes may stay with the call; then another vector is in their place.
pub(super) fn take(house: &House, lane: &Arc<Lane>, bytes: &mut Vec<u8>) -> Taken {
    let Some(frame) = AnswerFrame::decode(bytes) else { return Taken::Broken };
    let (ticket, last, frees) = match frame {
        AnswerFrame::Hello if lane.is_greeted() => return Taken::Broken,
        AnswerFrame::Hello => {
            lane.desk.join(lane);
            house.master.worker_has_joined(lane.worker);
            return Taken::Fully;
        }
        AnswerFrame::Leave => {
            // What it was given and has not begun goes to others now, not when its process has ended.
            lane.note_leaving();
            house.posts.gone(lane.worker);
            return Taken::Fully;
        }
        AnswerFrame::Done { ticket } => {
            if !house.calls.release(lane.worker, ticket) {
                return Taken::Broken;
            }
            lane.desk.freed(lane);
            return Taken::Fully;
        }
        AnswerFrame::Start { ticket, last, frees, .. } | AnswerFrame::Piece { ticket, last, frees, .. } => {
            (ticket, last, frees)
        }
        AnswerFrame::File { ticket, frees, .. } => (ticket, true, frees),
        AnswerFrame::Abort { ticket } => (ticket, true, true),
    };
    let Some(call) = house.calls.find(ticket, lane.worker) else { return Taken::Broken };
    call.note_progress(house.clock.coarse_ms());
    let Some((body_bytes, end)) = put(lane, &call, frame) else { return Taken::Broken };
    if call.is_abandoned() {
        house.outbounds.cancel(lane.worker, ticket);
    } else if body_bytes > 0 {
        call.add(Piece::end_of(std::mem::take(bytes), body_bytes));
    }
    if !last {
        return if call.body().has_room() { Taken::Fully } else { Taken::NoRoomFor(call) };
    }
    house.calls.end(&call, end);
    if frees {
        lane.desk.freed(lane);
    } else {
        house.calls.hold(lane, ticket, house.clock.coarse_ms());
    }
    Taken::Fully
}

/// Gives a call what a frame says, all but the bytes of its body at the end of the frame; how many
/// these are, and how the call ends if this is the last frame. Nothing where the frame lies.
fn put(lane: &Lane, call: &Call, frame: AnswerFrame<'_>) -> Option<(usize, Result<(), Fault>)> {
    match frame {
        AnswerFrame::Start { length, status, reason, lines, body, .. } => {
            let mut head = take_app_answer(status, reason, lines);
            if let (Ok(head), Some(length)) = (&mut head, length)
                && head.length.is_none()
            {
                (head.length, head.is_counted) = (Some(length), true);
            }
            call.begin(head);
            Some((body.len(), Ok(())))
        }
        AnswerFrame::Piece { body, .. } => Some((body.len(), Ok(()))),
        AnswerFrame::File { ticket, offset, bytes, .. } => match lane.receive_file(ticket) {
            Received::File(file) => {
                call.add(Piece::File { file: Arc::new(file), range: offset..offset + bytes });
                Some((0, Ok(())))
            }
            Received::Lost => Some((0, Err(Fault::Internal("An answer's file was lost: too many files are open.")))),
            Received::Nothing => None,
        },
        AnswerFrame::Abort { .. } => Some((0, Err(Fault::AppFailed))),
        AnswerFrame::Hello | AnswerFrame::Leave | AnswerFrame::Done { .. } => Some((0, Ok(()))),
    }
}
