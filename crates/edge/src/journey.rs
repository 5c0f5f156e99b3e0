//! In:     an exchange.
//! Out:    its answer delivered, its line in the log.
//! Actors: the task of the connection.
//! Never:  is a stop skipped or taken in another order; read it as the list it is.

use crate::answer::{Answer, Body, Source};
use crate::deadline::Deadline;
use crate::exchange::{Exchange, Wire};
use crate::house::House;
use crate::lane::Destination;
use crate::limits::Left;
use crate::pace::Pace;
use crate::packer::Packer;
use crate::permit::permit;
use crate::piece::Piece;
use crate::rules::Rules;
use crate::trip::Trip;
use crate::upstream::{self, Fetched, UpstreamStream};
use crate::{files, lane};
use hallway_core::plan::Target;
use hallway_core::record::{Facts, TryFacts};
use hallway_core::route::{Matched, rewrite};
use hallway_core::semantics::{
    AnswerHead, ShapeFacts, adjust, allow_origin, delimit, explain_fault, options, pack, preflight, redirect, respond,
    shape,
};
use hallway_core::{Fault, Head, permit};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// So long a server is at the pace of its client; then what it answers is kept for a client that is slow.
const APART_MS: u64 = 200;

/// Carries one request from its head to its log line. Arriving (1) and reading (2) were the
/// listener's and the engine's; there is no cache yet to look up in (6).
pub(crate) async fn travel<W: Wire>(house: &Rc<House>, mut exchange: Exchange<'_, W>) {
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

/// Stops 3 to 9.
async fn answer<W: Wire>(house: &House, exchange: &mut Exchange<'_, W>, trip: &mut Trip) -> Result<Answer, Fault> {
    let (head, rules, client) = (exchange.head, exchange.rules, trip.client(&exchange.arrival.peer).address);
    permit::admit(head)?; // 3 admit
    if head.path() == b"*" {
        return Ok(Answer::whole(options(), Vec::new()));
    }
    let site = rules.sites.site(head.host()).ok_or(Fault::Misdirected)?; // 4 route
    trip.site = Some(site);
    if let Some(answer) = rules.enter(exchange, site, trip.is_https(exchange.arrival))? {
        return Ok(Answer::whole(answer, Vec::new()));
    }
    rules.attend(site, client, house.clock.coarse_ms()).await?;
    let spelled = rules.spelled(site, head)?;
    let head = spelled.as_ref().unwrap_or(head);
    let mut exchange = Exchange { head, arrival: exchange.arrival, rules, wire: &mut *exchange.wire };
    let matched = rules.sites.pick(&rules.plan, site, head, client)?;
    trip.route = Some(matched.index);
    if let Some(answer) = permit(house, &exchange, trip, (matched.route, matched.number)).await? {
        return Ok(Answer { head: answer, body: Source::Whole(Vec::new()).into() }); // 5 permit
    }
    let mut answer = fetch(house, &mut exchange, trip, matched).await?; // 7 choose, 8 fetch
    adjust(&mut answer.head, &matched.route.adjust); // 9 shape
    let streams = answer.head.length.is_none();
    if house.packers.have_room()
        && let Some(coding) = pack(&mut answer.head, head, &matched.route.compress)
        && let Some(packer) = Packer::new(coding, streams, &house.packers)
    {
        answer.body.pack(packer);
    }
    Ok(answer)
}

/// Stops 7 and 8, by what the route says.
async fn fetch<W: Wire>(
    house: &House,
    exchange: &mut Exchange<'_, W>,
    trip: &mut Trip,
    Matched { route, number, found, .. }: Matched<'_, '_>,
) -> Result<Answer, Fault> {
    let (head, rules) = (exchange.head, exchange.rules);
    match &route.target {
        Target::Files(files) => {
            let rewritten = rewrite(head, route, &found)?;
            let (head, rest) = match &rewritten {
                Some(head) => (head, &head.path()[1..]),
                None => (head, found.rest),
            };
            let (head, pieces) = files::fetch(house, head, (rules.scope(number), rest), files).await?;
            Ok(Answer { head, body: Source::Pieces(pieces).into() })
        }
        Target::App { app, strip } => {
            let rewritten = rewrite(head, route, &found)?;
            let script_bytes = if *strip && rewritten.is_none() { found.before(head.path()) } else { 0 };
            let body_bytes_max = route.body_bytes_max.unwrap_or(rules.plan.limits.body_bytes_max);
            trip.app = Some(*app);
            let timeout_ms = route.timeout_ms.unwrap_or(rules.plan.apps[*app].timeout_ms);
            let to = Destination { app: *app, script_bytes, body_bytes_max, timeout_ms };
            let head = rewritten.as_ref().unwrap_or(head);
            let mut exchange = Exchange { head, arrival: exchange.arrival, rules, wire: &mut *exchange.wire };
            let (head, stream) = lane::fetch(house, &mut exchange, trip, to).await?;
            Ok(Answer { head, body: Source::Lane(stream).into() })
        }
        Target::Pool { pool, strip } => {
            let rewritten = rewrite(head, route, &found)?;
            let prefix_bytes = if *strip && rewritten.is_none() { found.before(head.path()) } else { 0 };
            let body_bytes_max = route.body_bytes_max.unwrap_or(rules.plan.limits.body_bytes_max);
            let to = upstream::Destination { pool: *pool, prefix_bytes, body_bytes_max, timeout_ms: route.timeout_ms };
            let head = rewritten.as_ref().unwrap_or(head);
            let mut exchange = Exchange { head, arrival: exchange.arrival, rules, wire: &mut *exchange.wire };
            Ok(match upstream::fetch(house, &mut exchange, trip, to).await? {
                Fetched::Answer(head, stream) => Answer { head, body: Source::Upstream(Box::new(stream)).into() },
                Fetched::Upgrade(head, tunnel) => Answer { head, body: Source::Tunnel(tunnel).into() },
            })
        }
        Target::Redirect { status, to } => Ok(Answer::whole(redirect(head, *status, to, &found), Vec::new())),
        Target::Respond { status, media_type, body } => {
            Ok(Answer::whole(respond(*status, media_type), body.clone().into_bytes()))
        }
    }
}

/// A request whose head could not be read: nothing of it is certain, so only stops 9 to 11.
pub(crate) async fn refuse<W: Wire>(house: &Rc<House>, mut exchange: Exchange<'_, W>, fault: Fault) {
    let mut trip = Trip::begin(house);
    let explained = explain(exchange.rules, &trip, fault, None);
    let outcome = deliver(house, &mut exchange, &mut trip, explained).await;
    record(house, &exchange, &trip, outcome);
}

/// A request that another server has answered: only stop 11.
pub(crate) fn note<W>(house: &House, exchange: &Exchange<'_, W>, mut trip: Trip) {
    trip.status = 200;
    record(house, exchange, &trip, Ok(()));
}

fn explain(rules: &Rules, trip: &Trip, fault: Fault, head: Option<&Head>) -> Answer {
    let site = trip.site.map(|site| &rules.plan.sites[site]);
    let closed = site.and_then(|site| site.maintenance.as_ref()).filter(|_| fault == Fault::Maintenance);
    let (mut answer, mut body) = explain_fault(fault, head, site.map_or(&[], |site| &site.errors));
    if let Some(page) = closed.map(|closed| &closed.page).filter(|page| !page.is_empty()) {
        answer.fields.retain(|name| !name.eq_ignore_ascii_case(b"content-type"));
        (answer, body) = (answer.with("Content-Type", "text/html; charset=utf-8"), page.clone().into_bytes());
    }
    if let (Fault::Unauthorized, Some(auth)) = (fault, rules.route(trip).and_then(|route| route.basic_auth.as_ref())) {
        answer = answer.with("WWW-Authenticate", &format!("Basic realm=\"{}\", charset=\"UTF-8\"", auth.realm));
    }
    let is_pools = rules.route(trip).is_some_and(|route| matches!(route.target, Target::Pool { .. }));
    if let Some(error) = fault.proxy_error().filter(|_| is_pools) {
        answer = answer.with("Proxy-Status", &format!("hallway; error={error}"));
    }
    if fault == Fault::ProxyUnauthorized {
        answer = answer.with("Proxy-Authenticate", "Basic realm=\"proxy\", charset=\"UTF-8\"");
    }
    Answer::whole(answer, body)
}

/// Stops 9 (shape) and 10 (deliver).
async fn deliver<W: Wire>(
    house: &Rc<House>,
    exchange: &mut Exchange<'_, W>,
    trip: &mut Trip,
    mut answer: Answer,
) -> Result<(), Fault> {
    finish_head(house, exchange, trip, &mut answer.head);
    let (delimited, has_body) = delimit(&answer.head, exchange.head);
    trip.status = answer.head.status;
    exchange.wire.begin(&answer.head, delimited);
    if let Some(tunnel) = answer.body.tunnel() {
        exchange.wire.send(&Piece::default(), true).await?;
        tunnel.join(exchange.wire).await;
        return Ok(());
    }
    if !has_body {
        return exchange.wire.send(&Piece::default(), true).await;
    }
    let mut pace = Pace::of(exchange.rules, trip, &exchange.arrival.peer);
    let mut left = answer.head.length;
    let begun_ms = house.clock.coarse_ms();
    loop {
        let (mut piece, last) = next_piece(house, exchange, &mut answer.body).await?;
        if let Some(left) = &mut left {
            // A declared length is a promise to the client: what is beyond it is not sent, and
            // what falls short ends the connection, so that nobody takes it for whole.
            piece.truncate(*left);
            *left -= piece.len();
        }
        let is_short = last && left.is_some_and(|left| left > 0);
        let is_whole = !is_short && (last || left == Some(0));
        trip.body_bytes += piece.len();
        if let Some(pace) = &mut pace {
            pace.send(exchange.wire, &mut piece).await?;
        }
        if let Some(stream) = answer.body.upstream() {
            if is_whole {
                exchange.wire.trail(stream.trailers());
            }
            send_on(house, exchange.wire, (&piece, is_whole), (stream, begun_ms)).await?;
        } else {
            exchange.wire.send(&piece, is_whole).await?;
        }
        house.spares.keep_piece(piece);
        if is_short {
            return Err(Fault::BadAnswer("The answer is shorter than its Content-Length."));
        }
        if is_whole {
            return Ok(());
        }
    }
}

/// The next piece of an answer. Where the server answers before it has all of the request, the rest of that goes on
/// its way meanwhile.
async fn next_piece<W: Wire>(
    house: &House,
    exchange: &mut Exchange<'_, W>,
    body: &mut Body,
) -> Result<(Piece, bool), Fault> {
    let mut more = Vec::new();
    loop {
        if body.upstream().and_then(UpstreamStream::outgoing).is_none() {
            return body.next(house).await;
        }
        let step = {
            let mut next = pin!(body.next(house));
            let mut reading = pin!(exchange.wire.read_body(&mut more));
            poll_fn(|task| match next.as_mut().poll(task) {
                Poll::Ready(piece) => Poll::Ready(Ok(piece)),
                Poll::Pending => reading.as_mut().poll(task).map(Err),
            })
            .await
        };
        match step {
            Ok(piece) => return piece,
            Err(read) => {
                let end = (!read?).then(|| exchange.wire.trailers());
                if let Some(outgoing) = body.upstream().and_then(UpstreamStream::outgoing) {
                    outgoing.feed(&more, end);
                }
                more.clear();
            }
        }
    }
}

/// Sends a piece of a server's answer; where the client takes its time the server does not wait for it.
async fn send_on<W: Wire>(
    house: &Rc<House>,
    wire: &mut W,
    (piece, last): (&Piece, bool),
    (stream, begun_ms): (&mut UpstreamStream, u64),
) -> Result<(), Fault> {
    let mut sending = pin!(wire.send(piece, last));
    if let Some(sent) = poll_fn(|task| Poll::Ready(now(sending.as_mut().poll(task)))).await {
        return sent;
    }
    if !last {
        let deadline = Deadline::new(&house.deadlines);
        if let Ok(sent) = deadline.until(begun_ms + APART_MS, sending.as_mut()).await {
            return sent;
        }
        stream.set_apart(house);
    }
    sending.await
}

fn now<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// The lines that every answer has, also one that says what went wrong.
fn finish_head<W>(house: &House, exchange: &Exchange<'_, W>, trip: &Trip, answer: &mut AnswerHead) {
    let rules = exchange.rules;
    if let Some(cors) = rules.route(trip).and_then(|route| route.cors.as_ref())
        && preflight(exchange.head, cors).is_none()
    {
        allow_origin(answer, exchange.head, cors);
    }
    if let Some(Left { most, left, full_in_s }) = &trip.left {
        answer.fields.push(b"RateLimit-Policy", format!("\"default\";q={most}").as_bytes());
        answer.fields.push(b"RateLimit", format!("\"default\";r={left};t={full_in_s}").as_bytes());
    }
    let https = trip.is_https(exchange.arrival);
    let tls = trip.site.filter(|_| https).and_then(|site| rules.plan.sites[site].tls.as_ref());
    let (request_id, strict) = (trip.request_id.as_str(), tls.and_then(|tls| tls.strict.as_deref()));
    house.clock.with_date(|date| shape(answer, ShapeFacts { date, request_id, strict }));
    if let Some(route) = rules.route(trip).filter(|route| !route.adjust.remove.is_empty()) {
        // Also what hallway says of itself.
        let is_ours = |name: &[u8]| name.eq_ignore_ascii_case(b"server") || name.eq_ignore_ascii_case(b"x-request-id");
        let is_removed = |name: &[u8]| route.adjust.remove.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name));
        answer.fields.retain(|name| !(is_ours(name) && is_removed(name)));
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
    let now_us = house.clock.now_us();
    let tries: Vec<TryFacts<'_>> = trip.tries.iter().map(|one| one.facts(now_us)).collect();
    let begun = trip.status != 0 && !matches!(outcome, Err(Fault::ClientGone));
    let facts = Facts {
        head: Some(head),
        peer_ip: &trip.client(&arrival.peer).ip,
        user: trip.user.as_deref().unwrap_or_default(),
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
        total_us: now_us.saturating_sub(trip.begun_us),
        lane: trip.lane,
        tries: &tries,
    };
    house.log.access(sink, &facts);
}
