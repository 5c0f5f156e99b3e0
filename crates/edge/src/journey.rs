//! In:     an exchange.
//! Out:    its answer delivered, its line in the log.
//! Actors: the task of the connection.
//! Never:  is a stop skipped or taken in another order; read it as the list it is.

use crate::answer::{Answer, Body};
use crate::exchange::{Exchange, Wire};
use crate::house::House;
use crate::piece::Piece;
use crate::trip::Trip;
use crate::{files, lane};
use hallway_core::plan::Target;
use hallway_core::record::Facts;
use hallway_core::semantics::{ShapeFacts, delimit, explain_fault, shape};
use hallway_core::{Fault, Head, permit, route};

/// Carries one request from its head to its log line. Arriving (1) and reading (2) were the
/// listener's and the engine's; there is no cache yet to look up in (6).
pub(crate) async fn travel<W: Wire>(house: &House, mut exchange: Exchange<'_, W>) {
    let mut trip = Trip::begin(house);
    let answer = answer(house, &mut exchange, &mut trip).await;
    let outcome = match answer {
        Ok(answer) => deliver(house, &mut exchange, &mut trip, answer).await,
        Err(Fault::ClientGone) => Err(Fault::ClientGone),
        Err(fault) => {
            complain(house, exchange.head, &trip, fault);
            let explained = explain(fault, Some(exchange.head));
            deliver(house, &mut exchange, &mut trip, explained).await
        }
    };
    if let Err(fault) = outcome {
        complain(house, exchange.head, &trip, fault);
    }
    record(house, exchange.head, &exchange.peer.ip, &trip, outcome);
}

/// Stops 3 to 8.
async fn answer<W: Wire>(house: &House, exchange: &mut Exchange<'_, W>, trip: &mut Trip) -> Result<Answer, Fault> {
    permit::admit(exchange.head)?; // 3 admit
    let route = route::pick(&house.plan, exchange.head)?; // 4 route
    permit::allow_body(exchange.head, &house.plan.limits)?; // 5 permit
    match &route.target {
        // 7 choose, 8 fetch
        Target::Files(directory) => {
            let (head, pieces) = files::fetch(house, exchange.head, &route.prefix, directory).await?;
            Ok(Answer { head, body: Body::Pieces(pieces) })
        }
        Target::App => {
            let (head, stream) = lane::fetch(house, exchange, trip).await?;
            Ok(Answer { head, body: Body::Lane(stream) })
        }
    }
}

/// A request whose head could not be read: nothing of it is certain, so only stops 9 to 11.
pub(crate) async fn refuse<W: Wire>(house: &House, mut exchange: Exchange<'_, W>, fault: Fault) {
    let mut trip = Trip::begin(house);
    let outcome = deliver(house, &mut exchange, &mut trip, explain(fault, None)).await;
    record(house, exchange.head, &exchange.peer.ip, &trip, outcome);
}

fn explain(fault: Fault, head: Option<&Head>) -> Answer {
    let (head, body) = explain_fault(fault, head);
    Answer { head, body: Body::Whole(body) }
}

/// Stops 9 (shape) and 10 (deliver).
async fn deliver<W: Wire>(
    house: &House,
    exchange: &mut Exchange<'_, W>,
    trip: &mut Trip,
    mut answer: Answer,
) -> Result<(), Fault> {
    let request_id = trip.request_id;
    house.clock.with_date(|date| shape(&mut answer.head, ShapeFacts { date, request_id: request_id.as_str() }));
    let (delimited, has_body) = delimit(&answer.head, exchange.head);
    trip.status = answer.head.status;
    exchange.wire.begin(&answer.head, delimited);
    if !has_body {
        return exchange.wire.send(&Piece::default(), true).await;
    }
    let mut left = answer.head.length;
    loop {
        let (mut piece, last) = answer.body.next().await?;
        if let Some(left) = &mut left {
            // A declared length is a promise to the client: what is beyond it is not sent, and
            // what falls short ends the connection, so that nobody takes it for whole.
            piece.truncate(*left);
            *left -= piece.len();
        }
        let is_short = last && left.is_some_and(|left| left > 0);
        let is_whole = !is_short && (last || left == Some(0));
        trip.body_bytes += piece.len();
        exchange.wire.send(&piece, is_whole).await?;
        if is_short {
            return Err(Fault::BadAnswer("The answer is shorter than its Content-Length."));
        }
        if is_whole {
            return Ok(());
        }
    }
}

/// Tells the operator what no log line of a request could say.
fn complain(house: &House, head: &Head, trip: &Trip, fault: Fault) {
    if let Fault::BadAnswer(_) | Fault::Internal(_) = fault {
        let (method, path) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.path()));
        house.log.error(&format!("{method} {path} ({}): {}", trip.request_id.as_str(), fault.detail()));
    }
}

/// Stop 11.
fn record(house: &House, head: &Head, peer_ip: &str, trip: &Trip, outcome: Result<(), Fault>) {
    if !house.log.wants_access() {
        return;
    }
    let begun = trip.status != 0 && !matches!(outcome, Err(Fault::ClientGone));
    house.log.access(&Facts {
        head: Some(head),
        peer_ip,
        request_id: trip.request_id.as_str(),
        unix_ms: house.clock.unix_ms(trip.begun_us),
        status: if begun { trip.status } else { Fault::ClientGone.status() },
        body_bytes: trip.body_bytes,
        cut: begun && outcome.is_err(),
        total_us: house.clock.now_us().saturating_sub(trip.begun_us),
        lane: trip.lane,
    });
}
