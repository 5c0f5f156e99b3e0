//! In:     one frame of a worker, as a copy.
//! Out:    the call that it belongs to, further on; the worker's slots freed.
//! Actors: the event loop.
//! Never:  does a frame harm anything but calls that its worker was given.

use crate::handlers::app::call::Call;
use crate::handlers::app::lane::Lane;
use crate::handlers::app::outbounds::Worker;
use crate::handlers::app::state::AppState;
use hallway_core::Fault;
use hallway_core::lane::AnswerFrame;
use hallway_core::semantics::take_app_answer;
use hallway_net::body::piece::Piece;
use std::rc::Rc;

/// Bytes that a piece may keep beyond what it holds.
const SPARE_BYTES_MAX: usize = 1024;

/// What became of a frame.
pub(super) enum Taken {
    Fully,
    /// It was taken, and this call has no room for more: there is to be some.
    NoRoomFor(Rc<Call>),
    /// It is no frame, or one for a call that this worker does not have.
    Broken,
}

/// Takes one frame. Its bytes may stay with the call; then another vector is in their place.
pub(super) fn take(apps: &AppState, worker: &Worker, bytes: &mut Vec<u8>) -> Taken {
    let Worker { lane, desk } = worker;
    let Some(frame) = AnswerFrame::decode(bytes) else { return Taken::Broken };
    let (ticket, last, frees) = match frame {
        AnswerFrame::Hello | AnswerFrame::Leave | AnswerFrame::Room | AnswerFrame::Done { .. } => {
            return if hear(apps, worker, frame) { Taken::Fully } else { Taken::Broken };
        }
        AnswerFrame::Start { ticket, last, frees, .. } | AnswerFrame::Piece { ticket, last, frees, .. } => {
            (ticket, last, frees)
        }
        AnswerFrame::File { ticket, frees, .. } => (ticket, true, frees),
        AnswerFrame::Abort { ticket } => (ticket, true, true),
    };
    let Some(call) = apps.calls.find(ticket, lane.worker) else { return Taken::Broken };
    let is_head = matches!(frame, AnswerFrame::Start { .. });
    let Some((body_bytes, end)) = put(worker, &call, frame) else { return Taken::Broken };
    if !call.take_credit(body_bytes) {
        return Taken::Broken;
    }
    if call.is_abandoned() || call.body().was_cut() {
        // Who goes on with it makes no progress.
        apps.outbounds.cancel(lane.worker, ticket);
    } else if body_bytes > 0 {
        call.note_progress(apps.event_loop.clock.coarse_ms());
        call.add(piece_of(bytes, body_bytes));
    } else if last || is_head {
        // A piece of nothing is none either.
        call.note_progress(apps.event_loop.clock.coarse_ms());
    }
    if !last {
        if call.body().has_room() {
            grant(apps, lane, &call);
            return Taken::Fully;
        }
        return if call.note_no_room() { Taken::Fully } else { Taken::NoRoomFor(call) };
    }
    if let Some(end) = end {
        apps.calls.end(&call, end);
    }
    if lane.note_served() {
        apps.master.worker_has_served(lane.worker);
    }
    if frees {
        desk.freed(lane);
    } else {
        apps.calls.hold(lane, ticket, apps.event_loop.clock.coarse_ms());
    }
    Taken::Fully
}

/// Takes what a worker says of itself; `false` where that cannot be.
fn hear(apps: &AppState, worker: &Worker, frame: AnswerFrame<'_>) -> bool {
    let Worker { lane, desk } = worker;
    match frame {
        AnswerFrame::Hello if lane.is_leaving() || lane.is_greeted() => return false,
        AnswerFrame::Hello => {
            desk.join(lane);
            apps.master.worker_has_joined(lane.worker);
        }
        AnswerFrame::Leave if lane.note_leaving() => return false,
        AnswerFrame::Leave => {
            // What it was given and has not begun goes to others now, not when its process has ended.
            apps.master.worker_is_leaving(lane.worker);
            apps.siblings.gone(lane.worker);
        }
        AnswerFrame::Room if !lane.note_room() => return false,
        AnswerFrame::Room => desk.has_room(lane),
        AnswerFrame::Done { ticket } if !apps.calls.release(lane.worker, ticket) => return false,
        AnswerFrame::Done { .. } => desk.freed(lane),
        _ => return false,
    }
    true
}

/// Tells a worker that more of an answer may come, where it is time for that; whether it was.
fn grant(apps: &AppState, lane: &Lane, call: &Call) -> bool {
    let granted = call.renew_credit();
    granted.iter().for_each(|bytes| lane.grant(apps.event_loop.thread, call.stream(), *bytes));
    granted.is_some()
}

/// There is room again for an answer of this worker, which may wait for that.
pub(super) fn go_on(apps: &AppState, worker: &Worker, call: &Call) {
    let lane = &worker.lane;
    if call.has_ended() {
        return;
    }
    // Up to now the worker waited for it, not it for the worker.
    call.note_progress(apps.event_loop.clock.coarse_ms());
    if call.is_abandoned() || call.body().was_cut() {
        apps.outbounds.cancel(lane.worker, call.ticket());
    }
    if grant(apps, lane, call) {
        lane.rouse(apps.event_loop.thread);
    }
}

/// The body at the end of a frame. A vector that was for a longer frame stays: what waits takes no more memory than
/// is counted.
fn piece_of(frame: &mut Vec<u8>, body_bytes: usize) -> Piece {
    if frame.capacity() > 2 * frame.len() + SPARE_BYTES_MAX {
        return Piece::from(frame[frame.len() - body_bytes..].to_vec());
    }
    Piece::end_of(std::mem::take(frame), body_bytes)
}

/// How a call ends if this is its last frame; nothing while a file is awaited.
type End = Option<Result<(), Fault>>;

/// Gives a call what a frame says, all but the bytes of its body at the end of the frame; how many these are, and how
/// the call ends if this is the last frame. Nothing where the frame lies: a head that comes twice, a body before it, a
/// stream that there is not.
fn put(worker: &Worker, call: &Call, frame: AnswerFrame<'_>) -> Option<(usize, End)> {
    match frame {
        AnswerFrame::Start { .. } if call.has_begun() => None,
        AnswerFrame::Start { stream, .. } if stream >= worker.lane.slots => None,
        AnswerFrame::Piece { .. } | AnswerFrame::File { .. } if !call.has_begun() => None,
        AnswerFrame::Start { length, stream, status, reason, lines, body, .. } => {
            call.name_stream(stream);
            let mut head = take_app_answer(status, reason, lines);
            if let (Ok(head), Some(length)) = (&mut head, length)
                && head.length.is_none()
            {
                (head.length, head.is_counted) = (Some(length), true);
            }
            call.begin(head);
            Some((body.len(), Some(Ok(()))))
        }
        AnswerFrame::Piece { body, .. } => Some((body.len(), Some(Ok(())))),
        AnswerFrame::File { ticket, offset, bytes, .. } => {
            call.await_file(offset..offset.checked_add(bytes)?);
            if worker.desk.sent_files().take(worker.lane.socket().clone(), ticket) {
                return Some((0, None));
            }
            let _ = call.take_awaited_part();
            const STUCK: Fault = Fault::Internal("Too many answers of this app wait for their files already.");
            Some((0, Some(Err(STUCK))))
        }
        AnswerFrame::Abort { .. } => Some((0, Some(Err(Fault::AppFailed)))),
        AnswerFrame::Hello | AnswerFrame::Leave | AnswerFrame::Room | AnswerFrame::Done { .. } => None,
    }
}
