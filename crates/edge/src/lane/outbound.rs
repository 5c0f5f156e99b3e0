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
        house.master.worker_is_overdue(lane.worker);
    }
    lane.bury();
    house.desk.leave(lane.worker);
    house.calls.lose(lane.worker);
}

async fn take(house: &House, lane: &Arc<Lane>, packet: &[u8]) -> Result<(), End> {
    let frame = AnswerFrame::decode(packet).ok_or(End::Broken)?;
    let (ticket, last) = match frame {
        AnswerFrame::Hello { capacity } => {
            house.desk.join(lane, capacity);
            return Ok(());
        }
        AnswerFrame::Start { ticket, last, .. } | AnswerFrame::Piece { ticket, last, .. } => (ticket, last),
        AnswerFrame::Abort { ticket } => (ticket, true),
    };
    let call = house.calls.find(ticket, lane.worker).ok_or(End::Broken)?;
    let mut end = Ok(());
    match frame {
        AnswerFrame::Start { length, status, reason, lines, body, .. } => {
            let mut head = take_app_answer(status, reason, lines);
            if let Ok(head) = &mut head {
                head.length = head.length.or(length);
            }
            call.add(body);
            call.begin(head);
        }
        AnswerFrame::Piece { body, .. } => call.add(body),
        AnswerFrame::Abort { .. } => end = Err(Fault::AppFailed),
        AnswerFrame::Hello { .. } => {}
    }
    if last {
        house.calls.end(&call, end);
        house.desk.freed(lane.worker);
    } else {
        call.room().await;
    }
    Ok(())
}
