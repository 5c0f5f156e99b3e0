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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{FakeWire, on_loop};
    use hallway_core::plan::Bandwidth;

    fn pace(answer_bytes_s: u64, free_bytes: u64) -> Pace {
        let (begun, client) = (Instant::now(), None);
        Pace { begun, answer_bytes_s, free_bytes, stride_bytes: STRIDE_BYTES_MIN, sent_bytes: 0, client }
    }

    #[test]
    fn an_answer_is_as_fast_as_its_route_says_and_its_first_bytes_are_free() {
        let mut pace = pace(1_000, 5_000);
        for _ in 0..6 {
            assert_eq!(pace.charge(1_000), Duration::ZERO, "free, and the first of those that are not");
        }
        for seconds in 1..4 {
            let wait = pace.charge(1_000);
            let expected = Duration::from_secs(seconds);
            assert!(wait <= expected && wait > expected - Duration::from_millis(900), "{seconds} {wait:?}");
        }
        let begun = pace.begun;
        pace.begun = begun.checked_sub(Duration::from_secs(60)).unwrap();
        assert_eq!(pace.charge(1_000), Duration::ZERO, "a client that was slow by itself is not slowed down");
    }

    #[test]
    fn what_a_client_has_had_of_other_answers_counts() {
        let bandwidth = Bandwidth { client_bytes_s: 1_000, ..Bandwidth::default() };
        let pacer = Arc::new(Pacer::new(&bandwidth, Instant::now()));
        let client = Some("192.0.2.1".parse().unwrap());
        pacer.owe(client, 5_000);
        let mut own = Pace { client: Some((pacer.clone(), client)), ..pace(0, 0) };
        assert!(own.charge(1_000) > Duration::from_secs(4));
        let mut other = Pace { client: Some((pacer, Some("192.0.2.2".parse().unwrap()))), ..pace(0, 0) };
        assert_eq!(other.charge(250), Duration::ZERO);
    }

    #[test]
    fn a_piece_leaves_in_strides_and_its_last_one_with_the_end() {
        on_loop(async |_| {
            let (mut wire, mut piece) = (FakeWire::default(), Piece::from(vec![7; 2_500]));
            pace(u64::MAX, 0).send(&mut wire, &mut piece).await.unwrap();
            assert_eq!((&wire.pieces[..], piece.len(), wire.is_whole), (&[1_024, 1_024][..], 452, false));
        });
    }
}
