//! In:     the pieces of an answer; how fast its route lets it be sent.
//! Out:    the same, not faster.
//! Actors: the task of the request, which sleeps in between.
//! Never:  does an answer without a bandwidth pay for this.

use crate::journey::rules::Rules;
use crate::request::context::RequestContext;
use crate::request::limits::Pacer;
use hallway_core::Fault;
use hallway_net::body::piece::Piece;
use hallway_net::http::exchange::Wire;
use hallway_net::socket::stream::Peer;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Parts of a second after which a client has got its share; and the least that is sent at a time.
const PARTS: u64 = 20;
const STRIDE_BYTES_MIN: u64 = 1024;

/// How one answer is slowed down.
pub(crate) struct Pace {
    begun: Instant,
    answer_bytes_s: u64,
    free_bytes: u64,
    stride_bytes: u64,
    sent_bytes: u64,
    client: Option<(Arc<Pacer>, Option<IpAddr>)>,
}

impl Pace {
    /// That of the route, where it has one.
    pub(crate) fn of(rules: &Rules, context: &RequestContext, peer: &Peer) -> Option<Pace> {
        let bandwidth = &context.route()?.bandwidth;
        let slowest =
            [bandwidth.answer_bytes_s, bandwidth.client_bytes_s].into_iter().filter(|rate| *rate > 0).min()?;
        let pacer = rules.pacer(&bandwidth.name).cloned();
        Some(Pace {
            begun: Instant::now(),
            answer_bytes_s: bandwidth.answer_bytes_s,
            free_bytes: bandwidth.free_bytes,
            stride_bytes: (slowest / PARTS).max(STRIDE_BYTES_MIN),
            sent_bytes: 0,
            client: pacer.map(|pacer| (pacer, context.client(peer).address)),
        })
    }

    /// Sends all of a piece but its last stride, and waits until that may be sent, too.
    pub(crate) async fn send<W: Wire>(&mut self, wire: &mut W, piece: &mut Piece) -> Result<(), Fault> {
        loop {
            let wait = self.charge(piece.len().min(self.stride_bytes));
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            if piece.len() <= self.stride_bytes {
                return Ok(());
            }
            wire.send(&piece.take_front(self.stride_bytes), false).await?;
        }
    }

    /// How long to wait before so many bytes are sent.
    fn charge(&mut self, bytes: u64) -> Duration {
        let owed = self.client.as_ref().map_or(0, |(pacer, client)| pacer.owe(*client, bytes));
        let slowed = self.sent_bytes.saturating_sub(self.free_bytes);
        self.sent_bytes += bytes;
        let due = match self.answer_bytes_s {
            0 => Duration::ZERO,
            rate => Duration::from_millis(slowed.saturating_mul(1000) / rate),
        };
        due.saturating_sub(self.begun.elapsed()).max(Duration::from_nanos(owed))
    }
}
