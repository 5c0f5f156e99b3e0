//! In:     an exchange whose route is known.
//! Out:    the answer of what that route leads to.
//! Actors: the task of the request.
//! Never:  does a copy of a request, or a part of an answer, decide more than itself.

use crate::answer::{Answer, Source};
use crate::compose;
use crate::exchange::{Exchange, Wire};
use crate::house::House;
use crate::lane::Destination;
use crate::mirror::copied;
use crate::trip::Trip;
use crate::upstream::{self, Fetched, Places};
use crate::{files, lane};
use hallway_core::plan::{LocationPart, Route, Target};
use hallway_core::route::{Found, Matched, rewrite, target_of};
use hallway_core::semantics::{redirect, respond};
use hallway_core::{Fault, Head};
use std::rc::Rc;

/// Stops 7 (choose) and 8 (fetch).
pub(crate) async fn fetch<W: Wire>(
    house: &Rc<House>,
    exchange: &mut Exchange<'_, W>,
    trip: &mut Trip,
    matched: &Matched<'_, '_>,
) -> Result<Answer, Fault> {
    match &matched.route.mirror {
        None => fetch_once(house, exchange, trip, matched).await,
        // What few requests need is not kept by the connections of the others.
        Some(mirror) => {
            let (head, arrival, rules) = (exchange.head, exchange.arrival, exchange.rules);
            let mut wire = Box::pin(copied(house, exchange, trip, (mirror, matched))).await?;
            let mut exchange = Exchange { head, arrival, rules, wire: &mut wire };
            Box::pin(fetch_once(house, &mut exchange, trip, matched)).await
        }
    }
}

async fn fetch_once<W: Wire>(
    house: &Rc<House>,
    exchange: &mut Exchange<'_, W>,
    trip: &mut Trip,
    Matched { route, number, found, .. }: &Matched<'_, '_>,
) -> Result<Answer, Fault> {
    let (head, rules) = (exchange.head, exchange.rules);
    match target_of(route, head, &trip.client(&exchange.arrival.peer).ip) {
        Target::Files(files) => {
            let rewritten = rewrite(head, route, found)?;
            let (head, rest) = match &rewritten {
                Some(head) => (head, &head.path()[1..]),
                None => (head, found.rest),
            };
            let has_clients =
                trip.site.and_then(|site| rules.plan.sites[site].tls.as_ref()?.clients.as_ref()).is_some();
            let setting = files::Setting {
                files,
                codings: &route.compress,
                is_for_all: !has_clients && route.is_for_all(),
                asked: exchange.head.path(),
            };
            let (head, pieces) = files::fetch(house, head, (rules.scope(*number), rest), setting).await?;
            Ok(Answer { head, body: Source::Pieces(pieces).into() })
        }
        Target::App { app, strip } => {
            let rewritten = rewrite(head, route, found)?;
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
            let rewritten = rewrite(head, route, found)?;
            let prefix_bytes = if *strip && rewritten.is_none() { found.before(head.path()) } else { 0 };
            let body_bytes_max = route.body_bytes_max.unwrap_or(rules.plan.limits.body_bytes_max);
            let places = route.maps_outward.then(|| places(head, rewritten.as_ref(), (route, found), prefix_bytes));
            let timeout_ms = route.timeout_ms;
            let to = upstream::Destination { pool: *pool, prefix_bytes, body_bytes_max, timeout_ms, places };
            let head = rewritten.as_ref().unwrap_or(head);
            let turned = upstream::turn_inward(head, house, (exchange, trip), places);
            let head = turned.as_ref().unwrap_or(head);
            let mut exchange = Exchange { head, arrival: exchange.arrival, rules, wire: &mut *exchange.wire };
            Ok(match Box::pin(upstream::fetch(house, &mut exchange, trip, to)).await? {
                Fetched::Answer(head, stream) => Answer { head, body: Source::Upstream(Box::new(stream)).into() },
                Fetched::Whole(head, piece) => Answer { head, body: Source::Whole(piece).into() },
                Fetched::Upgrade(head, tunnel) => Answer { head, body: Source::Tunnel(tunnel).into() },
            })
        }
        Target::Redirect { status, to } => Ok(Answer::whole(redirect(head, *status, to, found), Vec::new())),
        Target::Respond { status, media_type, body } => {
            Ok(Answer::whole(respond(*status, media_type), body.clone().into_bytes()))
        }
        Target::Compose(parts) => Box::pin(compose::fetch(house, exchange, trip, (parts, found))).await,
    }
}

/// What a server's paths begin with, and what the same ones begin with for clients.
fn places<'a>(
    head: &'a Head,
    rewritten: Option<&'a Head>,
    (route, found): (&Route, &Found<'_>),
    prefix_bytes: usize,
) -> Places<'a> {
    let Some(rewritten) = rewritten else {
        return Places { inner: b"", outer: &head.path()[..prefix_bytes] };
    };
    // Only where the rest of the path is passed on there is one place for another.
    let inner = rewritten.path().strip_suffix(found.rest).filter(|_| route.rewrite.contains(&LocationPart::Rest));
    match inner {
        Some(inner) => {
            let outer = &head.path()[..found.before(head.path())];
            Places { inner: inner.strip_suffix(b"/").unwrap_or(inner), outer }
        }
        None => Places { inner: b"", outer: b"" },
    }
}
