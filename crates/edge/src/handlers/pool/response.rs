//! Where a request goes, and what comes back.
//!
//! In:     what a route says of its pool.
//! Out:    what a server answered: a head and its body, or another protocol.
//! Actors: none.
//! Never:  knows which protocol the server speaks.

use crate::handlers::pool::body::Stream;
use crate::handlers::pool::lease::Held;
use crate::handlers::pool::outward::Places;
use hallway_core::semantics::AnswerHead;
use hallway_net::body::piece::Piece;
use hallway_net::http::exchange::Wire;

/// Where a request goes.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a> {
    /// The pool, of those in the plan.
    pub(crate) pool: usize,
    /// How much of the path the route takes off.
    pub(crate) prefix_bytes: usize,
    /// The longest body.
    pub(crate) body_bytes_max: u64,
    /// How long it may take until the answer begins; nothing for as long as the pool says.
    pub(crate) timeout_ms: Option<u64>,
    /// Where the server's own addresses are for clients, where that is to be said.
    pub(crate) places: Option<Places<'a>>,
    /// Whether a server may be asked for the target as it came.
    pub(crate) as_it_came: AsItCame,
}

/// Whether a request may go on as it came, to a server that verifies signatures over the target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AsItCame {
    Yes,
    /// Its path is another one here.
    No,
    /// It has dot segments, which each reader takes in its own way, and they lead to different routes: it could get past
    /// what guards the other.
    Ambiguous,
}

/// What a server answered.
pub(crate) enum Fetched {
    Answer(AnswerHead, Stream),
    /// All of it is here already.
    Whole(AnswerHead, Piece),
    /// It changes the protocol: head, connection, and what it has said on it already.
    Upgrade(AnswerHead, Box<Tunnel>),
}

/// A connection to a server that speaks another protocol now.
pub(crate) struct Tunnel {
    /// Counts as long as it is open.
    pub(super) _held: Held,
    pub(super) stream: hallway_net::socket::stream::Stream,
    pub(super) before: Vec<u8>,
    pub(super) silence_ms: u64,
}

impl Tunnel {
    /// Carries bytes between it and the client until they are done.
    pub(crate) async fn join<W: Wire>(&mut self, wire: &mut W) {
        wire.tunnel(&mut self.stream, std::mem::take(&mut self.before), self.silence_ms).await;
    }
}
