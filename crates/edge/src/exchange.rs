//! In:     what each protocol engine can do for one request.
//! Out:    the neutral exchange in which all engines meet.
//! Actors: none.
//! Never:  does a stop of the journey see a protocol.

use crate::piece::Piece;
use crate::stream::Peer;
use hallway_core::http1::AnswerBody;
use hallway_core::semantics::AnswerHead;
use hallway_core::{Fault, Head};

/// What the journey asks of an engine while it carries one request.
pub(crate) trait Wire {
    /// Appends a piece of the request body to `into`; `false` once the body has ended. The first
    /// call sends `100 Continue` where the client waits for it.
    async fn read_body(&mut self, into: &mut Vec<u8>) -> Result<bool, Fault>;

    /// Ends when the client has left. To be waited for beside an answer, after the body was read.
    async fn gone(&mut self);

    /// Begins the answer; nothing is sent before the first `send`.
    fn begin(&mut self, answer: &AnswerHead, body: AnswerBody);

    /// Sends a piece of the body at once, and with `last` what ends it.
    async fn send(&mut self, piece: &Piece, last: bool) -> Result<(), Fault>;
}

/// One request on its way.
pub(crate) struct Exchange<'a, W> {
    pub(crate) head: &'a Head,
    pub(crate) peer: &'a Peer,
    pub(crate) local: &'a LocalAddress,
    pub(crate) wire: &'a mut W,
}

/// The address a client reached, as WSGI tells it.
pub(crate) struct LocalAddress {
    pub(crate) name: String,
    pub(crate) port: u16,
}
