//! In:     an exchange.
//! Out:    its answer delivered, its line in the log.
//! Actors: the task of the connection.
//! Never:  is a stop skipped or taken in another order; read it as the list it is.

use crate::answer::{Answer, Body};
use crate::exchange::{Exchange, Wire};
use crate::house::House;
use crate::lane::Destination;
use crate::piece::Piece;
use crate::rules::Rules;
use crate::trip::Trip;
use crate::{files, lane};
use hallway_core::plan::Target;
use hallway_core::record::Facts;
use hallway_core::route::Matched;
use hallway_core::semantics::{
    AnswerHead, ShapeFacts, adjust, delimit, explain_fault, options, redirect, respond, shape, wants_page,
};
use hallway_core::{Fault, Head, permit};

/// Carries one request from its head to its log line. Arriving (1) and reading (2) were the
/// listener's and the engine's; there is no cache yet to look up in (6).
pub(crate) async fn travel<W: Wire>(house: &House, mut exchange: Exchange<'_, W>) {
    let mut trip = Trip::begin(house);
    trip.learn_client(&exchange);
    let answer = answer(house, &mut exchange, &mut trip).await;
    let outcome = match answer {
        Ok(answer) => deliver(house, &mut exchange, &mut trip, answer).await,
        Err(Fault::ClientGone) => Err(Fault::ClientGone),
        Err(fault) => {
            complain(house, exchange.head, &trip, fault);
            let explained = explain(exchange.rules, &trip, fault, Some(exchange.head));
            deliver(house, &mut exchange, &mut trip, explained).await
        }
    };
    if let Err(fault) = outcome {
        complain(house, exchange.head, &trip, fault);
    }
    record(house, &exchange, &trip, outcome);
}

/// Stops 3 to 8.
async fn answer<W: Wire>(house: &House, exchange: &mut Exchange<'_, W>, trip: &mut Trip) -> Result<Answer, Fault> {
    let (head, rules, client) = (exchange.head, exchange.rules, trip.client(&exchange.arrival.peer).address);
    permit::admit(head)?; // 3 admit
    if head.path() == b"*" {
        return Ok(whole(options(), Vec::new()));
    }
    let site = rules.sites.site(head.host()).ok_or(Fault::Misdirected)?; // 4 route
    trip.site = Some(site);
    if let Some(answer) = rules.enter(exchange, site, trip.is_https(exchange.arrival))? {
        return Ok(whole(answer, Vec::new()));
    }
    let Matched { route, number, found } = rules.sites.pick(&rules.plan, site, head, client)?;
    let body_bytes_max = route.body_bytes_max.unwrap_or(rules.plan.limits.body_bytes_max);
    permit::allow_client(&route.access, client)?; // 5 permit
    permit::allow_body(head, body_bytes_max)?;
    let mut answer = match &route.target {
        // 7 choose, 8 fetch
        Target::Files { directory, only, fallback } => {
            let rest = only.as_ref().map_or(found.rest, String::as_bytes);
            let scope = rules.scope(number);
            let mut fetched = files::fetch(house, head, (scope, head.path(), rest), directory).await;
            if let (Some(page), Err(Fault::NotFound), true) = (fallback, &fetched, wants_page(head)) {
                fetched = files::fetch(house, head, (scope, b"", page.as_bytes()), directory).await;
            }
            let (head, pieces) = fetched?;
            Answer { head, body: Body::Pieces(pieces) }
        }
        Target::App { app, strip } => {
            let script_bytes = if *strip { found.before(head.path()) } else { 0 };
            trip.app = Some(*app);
            let to = Destination { app: *app, script_bytes, body_bytes_max };
            let (head, stream) = lane::fetch(house, exchange, trip, to).await?;
            Answer { head, body: Body::Lane(stream) }
        }
        Target::Redirect { status, to } => whole(redirect(head, *status, to, &found), Vec::new()),
        Target::Respond { status, media_type, body } => whole(respond(*status, media_type), body.clone().into_bytes()),
    };
    adjust(&mut answer.head, &route.adjust);
    Ok(answer)
}

fn whole(mut head: AnswerHead, body: Vec<u8>) -> Answer {
    head.length = Some(body.len() as u64);
    Answer { head, body: Body::Whole(body) }
}

/// A request whose head could not be read: nothing of it is certain, so only stops 9 to 11.
pub(crate) async fn refuse<W: Wire>(house: &House, mut exchange: Exchange<'_, W>, fault: Fault) {
    let mut trip = Trip::begin(house);
    let explained = explain(exchange.rules, &trip, fault, None);
    let outcome = deliver(house, &mut exchange, &mut trip, explained).await;
    record(house, &exchange, &trip, outcome);
}

fn explain(rules: &Rules, trip: &Trip, fault: Fault, head: Option<&Head>) -> Answer {
    let site = trip.site.map(|site| &rules.plan.sites[site]);
    let (head, body) = explain_fault(fault, head, site.map_or(&[], |site| &site.errors));
    whole(head, body)
}

/// Stops 9 (shape) and 10 (deliver).
async fn deliver<W: Wire>(
    house: &House,
    exchange: &mut Exchange<'_, W>,
    trip: &mut Trip,
    mut answer: Answer,
) -> Result<(), Fault> {
    let (request_id, https) = (trip.request_id, trip.is_https(exchange.arrival));
    let strict =
        trip.site.filter(|_| https).and_then(|site| exchange.rules.plan.sites[site].tls.as_ref()?.strict.as_deref());
    let request_id = request_id.as_str();
    house.clock.with_date(|date| shape(&mut answer.head, ShapeFacts { date, request_id, strict }));
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
fn record<W>(house: &House, exchange: &Exchange<'_, W>, trip: &Trip, outcome: Result<(), Fault>) {
    let Exchange { head, arrival, rules, .. } = exchange;
    let Some(sink) = rules.sink(trip.site) else { return };
    let begun = trip.status != 0 && !matches!(outcome, Err(Fault::ClientGone));
    let facts = Facts {
        head: Some(head),
        peer_ip: &trip.client(&arrival.peer).ip,
        request_id: trip.request_id.as_str(),
        unix_ms: house.clock.unix_ms(trip.begun_us),
        status: if begun { trip.status } else { Fault::ClientGone.status() },
        body_bytes: trip.body_bytes,
        https: trip.is_https(arrival),
        tls: arrival.tls.as_ref().map(|tls| hallway_core::record::TlsFacts {
            version: tls.version,
            cipher: tls.cipher,
            server_name: tls.server_name.as_deref().unwrap_or_default(),
            shows_certificate: tls.shows_certificate,
        }),
        app: trip.app.map_or("", |app| &rules.plan.apps[app].name),
        cut: begun && outcome.is_err(),
        total_us: house.clock.now_us().saturating_sub(trip.begun_us),
        lane: trip.lane,
    };
    house.log.access(sink, &facts);
}
