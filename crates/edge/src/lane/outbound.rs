//! In:     the packets that a worker sends to this event loop.
//! Out:    frames put into the calls they belong to; the worker's slots freed.
//! Actors: one task for each worker on each event loop.
//! Never:  does a worker's frame harm anything but its own calls; one that breaks the rules is ended.

use crate::house::House;
use crate::lane::parcel::Lane;
use hallway_core::Fault;
use hallway_core::lane::{AnswerFrame, FRAME_BYTES_MAX};
use hallway_core::semantics::take_app_answer;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::sync::Arc;

/// Why a lane is not read any further.
enum End {
    /// The worker is gone.
    Closed,
    /// The worker sent what is no frame, or a frame for a call it does not have.
    Broken,
}

/// Reads a lane until its worker is gone.
pub(crate) async fn read_answers(house: Rc<House>, lane: Arc<Lane>, socket: OwnedFd) {
    // Sequenced packets read like datagrams; nothing (0 bytes) is the end, as no frame is empty.
    let socket = UnixDatagram::from(socket);
    let Ok(socket) = socket.set_nonblocking(true).and_then(|()| tokio::net::UnixDatagram::from_std(socket)) else {
        return;
    };
    let socket = Rc::new(socket);
    house.calls.remember_lane(lane.worker, socket.clone());
    let mut packet = Vec::new();
    let end = loop {
        packet.clear();
        packet.reserve(FRAME_BYTES_MAX);
        match socket.recv_buf(&mut packet).await {
            Ok(0) | Err(_) => break End::Closed,
            Ok(_) => {}
        }
        if let Err(end) = take(&house, &lane, &packet).await {
            break end;
        }
    };
    if matches!(end, End::Broken) {
        house.log.error(&format!("worker {} broke its lane and is replaced", lane.pid));
    }
    // A worker that has ended is replaced anyway; one that only closed its lane must be, too.
    house.master.worker_is_overdue(lane.worker);
    lane.bury();
    house.calls.forget_lane(lane.worker);
    house.desk.leave(lane.worker);
    house.calls.lose(lane.worker);
}

/// Ends workers that a call waits for in vain: for a next piece, for the end of what nobody wants
/// any more, or for what they do after an answer.
pub(crate) fn end_stuck(house: &House) {
    let timeout_ms = house.plan.app.timeout_ms;
    let Some(before_ms) = house.clock.coarse_ms().checked_sub(timeout_ms).filter(|_| timeout_ms > 0) else { return };
    for stuck in house.calls.stuck(before_ms) {
        let seconds = timeout_ms as f64 / 1000.0;
        house.log.error(&format!(
            "worker {} sent nothing for {seconds} s in the middle of a request: it shows its stacks and is replaced",
            stuck.worker_pid
        ));
        house.desk.close(stuck.worker);
        house.master.worker_is_overdue(stuck.worker);
    }
}

async fn take(house: &House, lane: &Arc<Lane>, packet: &[u8]) -> Result<(), End> {
    let frame = AnswerFrame::decode(packet).ok_or(End::Broken)?;
    let (ticket, last, frees) = match frame {
        AnswerFrame::Hello { capacity } => {
            house.desk.join(lane, capacity);
            return Ok(());
        }
        AnswerFrame::Done { ticket } => {
            if !house.calls.release(lane.worker, ticket) {
                return Err(End::Broken);
            }
            house.desk.freed(lane.worker);
            return Ok(());
        }
        AnswerFrame::Start { ticket, last, frees, .. } | AnswerFrame::Piece { ticket, last, frees, .. } => {
            (ticket, last, frees)
        }
        AnswerFrame::Abort { ticket } => (ticket, true, true),
    };
    let call = house.calls.find(ticket, lane.worker).ok_or(End::Broken)?;
    call.note_progress(house.clock.coarse_ms());
    let mut end = Ok(());
    match frame {
        AnswerFrame::Start { length, status, reason, lines, body, .. } => {
            let mut head = take_app_answer(status, reason, lines);
            if let (Ok(head), Some(length)) = (&mut head, length)
                && head.length.is_none()
            {
                (head.length, head.is_counted) = (Some(length), true);
            }
            call.add(body);
            call.begin(head);
        }
        AnswerFrame::Piece { body, .. } => call.add(body),
        AnswerFrame::Abort { .. } => end = Err(Fault::AppFailed),
        AnswerFrame::Hello { .. } | AnswerFrame::Done { .. } => {}
    }
    if !last {
        call.make_room().await;
        return Ok(());
    }
    house.calls.end(&call, end);
    if frees {
        house.desk.freed(lane.worker);
    } else {
        house.calls.hold(lane, ticket, house.clock.coarse_ms());
    }
    Ok(())
}
