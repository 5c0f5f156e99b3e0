//! In:     a request on its way to a server.
//! Out:    the answer: heads, pieces of its body, its end; whichever protocol the server speaks.
//! Actors: the task of the request. Request and answer travel at the same time.
//! Never:  does anything after this know which protocol that is.

mod http1;
mod http2;

use crate::handlers::pool::connect::Connection;
use crate::handlers::pool::outgoing::Outgoing;
use hallway_core::Fault;
use hallway_core::fields::Fields;
use hallway_core::http1::{Asked, ServerAnswer};
use hallway_net::body::piece::Piece;
use hallway_net::runtime::buffers::BufferPool;
use hallway_net::runtime::clock::Clock;
pub(super) use http1::{OnConnection, Speech};
pub(super) use http2::{Multiplexed, OnStream, converse};
use std::task::{Context, Poll};

/// Of a line that the log shows.
const FOUL_BYTES_MAX: usize = 100;

/// One request at a server.
#[expect(
    clippy::large_enum_variant,
    reason = "a request of HTTP/1.1, the usual one, is not to cost an allocation more"
)]
pub(super) enum Flight {
    /// It has a connection of its own.
    OnConnection(OnConnection),
    /// It shares one with others.
    OnStream(Box<OnStream>),
}

macro_rules! either {
    ($flight:expr, $it:ident => $call:expr) => {
        match $flight {
            Flight::OnConnection($it) => $call,
            Flight::OnStream($it) => $call,
        }
    };
}

impl Flight {
    /// Whether a failure may be that of a connection that the server had just ended: it has heard nothing of this
    /// request.
    pub(super) fn may_be_stale(&self) -> bool {
        either!(self, it => it.may_be_stale())
    }

    /// The line of a head that could not be read, for the log: its start, with what cannot be shown escaped.
    pub(super) fn foul_line(&self) -> Option<String> {
        let Flight::OnConnection(it) = self else { return None };
        let line = it.foul_line()?;
        let more = if line.len() > FOUL_BYTES_MAX { "…" } else { "" };
        Some(format!("'{}{more}'", line[..line.len().min(FOUL_BYTES_MAX)].escape_ascii()))
    }

    /// Whether the server has said that it did nothing with the request.
    pub(super) fn was_refused(&self) -> bool {
        match self {
            Flight::OnConnection(_) => false,
            Flight::OnStream(stream) => stream.was_refused(),
        }
    }

    /// It was not answered in time: a connection that is shared is not used again.
    pub(super) fn note_deaf(&mut self) {
        if let Flight::OnStream(stream) = self {
            stream.note_deaf();
        }
    }

    /// Whether all of the request was sent, or nothing more is taken of it.
    pub(super) fn has_sent(&self) -> bool {
        either!(self, it => it.has_sent())
    }

    /// The rest of the request.
    pub(super) fn outgoing(&mut self) -> &mut Outgoing {
        either!(self, it => it.outgoing())
    }

    /// When anything last moved, on the coarse clock.
    pub(super) fn moved_ms(&self) -> u64 {
        either!(self, it => it.moved_ms)
    }

    /// Something moved just now.
    pub(super) fn note_moved(&mut self, now_ms: u64) {
        either!(self, it => it.moved_ms = now_ms);
    }

    /// The next head of an answer: one with a status below 200 is followed by another one.
    pub(super) fn poll_head(
        &mut self,
        tools: (&Clock, &BufferPool),
        asked: Asked,
        task: &mut Context<'_>,
    ) -> Poll<Result<ServerAnswer, Fault>> {
        match self {
            Flight::OnConnection(it) => it.poll_head(tools, asked, task),
            Flight::OnStream(it) => it.poll_head(tools.0, task),
        }
    }

    /// The next piece of the body, and whether it is the last.
    pub(super) fn poll_piece(&mut self, clock: &Clock, task: &mut Context<'_>) -> Poll<Result<(Piece, bool), Fault>> {
        either!(self, it => it.poll_piece(clock, task))
    }

    /// Whether all of the answer has come.
    pub(super) fn has_ended(&self) -> bool {
        either!(self, it => it.has_ended())
    }

    /// The whole body, where it came with its head.
    pub(super) fn take_whole(&mut self) -> Option<Piece> {
        match self {
            Flight::OnConnection(it) => it.take_whole(),
            Flight::OnStream(_) => None,
        }
    }

    /// What came behind the body.
    pub(super) fn trailers(&mut self) -> Fields {
        either!(self, it => it.trailers())
    }

    /// What the server complained of.
    pub(super) fn complaints(&mut self) -> Vec<u8> {
        match self {
            Flight::OnConnection(it) => it.complaints(),
            Flight::OnStream(_) => Vec::new(),
        }
    }

    /// The connection, where it was this request's alone and another one can follow on it.
    pub(super) fn into_reusable(self, spares: &BufferPool) -> Option<Connection> {
        match self {
            Flight::OnConnection(it) => it.into_reusable(spares),
            Flight::OnStream(_) => None,
        }
    }

    /// The connection after an upgrade, and what the server has said on it already.
    pub(super) fn into_tunnel(self) -> Option<(hallway_net::socket::stream::Stream, Vec<u8>)> {
        match self {
            Flight::OnConnection(it) => Some(it.into_tunnel()),
            Flight::OnStream(_) => None,
        }
    }
}
