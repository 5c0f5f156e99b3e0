//! In:     facts, as the stops of a journey learn them.
//! Out:    the same for the last stop, which tells them.
//! Actors: the task of the connection.
//! Never:  does a stop decide by it; it is told, not asked.

use crate::house::House;
use crate::ids::RequestId;
use hallway_core::record::LaneFacts;

/// What is learned on the way and told at its end.
pub(crate) struct Trip {
    /// Its own id.
    pub(crate) request_id: RequestId,
    /// When its head was read, on the clock of the process.
    pub(crate) begun_us: u64,
    /// What the lane saw, once the application had the request.
    pub(crate) lane: Option<LaneFacts>,
    /// What was answered; 0 until then.
    pub(crate) status: u16,
    /// Body bytes that were sent.
    pub(crate) body_bytes: u64,
}

impl Trip {
    pub(crate) fn begin(house: &House) -> Trip {
        let (request_id, begun_us) = (house.ids.next(), house.clock.now_us());
        Trip { request_id, begun_us, lane: None, status: 0, body_bytes: 0 }
    }
}
