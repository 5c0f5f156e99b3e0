//! In:     an exchange whose route is known.
//! Out:    the answer of what that route leads to.
//! Actors: the task of the request.
//! Never:  does a copy of a request, or a part of an answer, decide more than itself.

use crate::handlers::app::Destination;
use crate::handlers::pool::{AsItCame, Fetched, Places};
use crate::handlers::{app, files, pool};
use crate::journey::response::{Answer, Source};
use crate::journey::rules::Rules;
use crate::journey::state::Course;
use crate::request::context::RequestContext;
use hallway_core::plan::{LocationPart, Route, Target};
use hallway_core::route::{self, Found, Matched, has_dot_segments, origin_form, rewrite};
use hallway_core::semantics::{redirect, respond};
use hallway_core::{Fault, Head};
use hallway_net::http::exchange::{Exchange, Wire};

/// Stop 8 (fetch).
pub(crate) async fn dispatch<W: Wire>(
    course: Course<'_>,
    exchange: &mut Exchange<'_, W>,
    context: &mut RequestContext,
    (Matched { route, number, found, .. }, target): (&Matched<'_, '_>, &Target),
) -> Result<Answer, Fault> {
    let (head, Course { state, rules }) = (exchange.head, course);
    match target {
        Target::Files(files) => {
            let rewritten = rewrite(head, route, found)?;
            let (head, rest) = match &rewritten {
                Some(head) => (head, &head.path()[1..]),
                None => (head, found.rest),
            };
            let has_clients =
                context.site.and_then(|site| rules.plan.sites[site].tls.as_ref()?.clients.as_ref()).is_some();
            let setting = files::Setting {
                files,
                codings: &route.compress,
                is_for_all: !has_clients && route.is_for_all(),
                asked: exchange.head.path(),
            };
            let (head, pieces) = files::fetch(&state.files, head, (rules.scope(*number), rest), setting).await?;
            Ok(Answer { head, body: Source::Pieces(pieces).into() })
        }
        Target::App { app, strip } => {
            let rewritten = rewrite(head, route, found)?;
            let script_bytes = if *strip && rewritten.is_none() { found.before(head.path()) } else { 0 };
            let body_bytes_max = route.body_bytes_max.unwrap_or(rules.plan.limits.body_bytes_max);
            context.record.app = Some(*app);
            let timeout_ms = route.timeout_ms.unwrap_or(rules.plan.apps[*app].timeout_ms);
            let (app, desk) = (&rules.plan.apps[*app], &*rules.desks[*app]);
            let to = Destination { app, desk, script_bytes, body_bytes_max, timeout_ms };
            let head = rewritten.as_ref().unwrap_or(head);
            let mut exchange = Exchange { head, arrival: exchange.arrival, wire: &mut *exchange.wire };
            let (head, stream) = app::fetch(&state.apps, &mut exchange, context, to).await?;
            Ok(Answer { head, body: Source::Lane(stream).into() })
        }
        Target::Pool { pool, strip } => {
            let rewritten = rewrite(head, route, found)?;
            let prefix_bytes = if *strip && rewritten.is_none() { found.before(head.path()) } else { 0 };
            let body_bytes_max = route.body_bytes_max.unwrap_or(rules.plan.limits.body_bytes_max);
            let places = route.maps_outward.then(|| places(head, rewritten.as_ref(), (route, found), prefix_bytes));
            let timeout_ms = route.timeout_ms;
            let as_it_came = as_it_came(rules, exchange, context, prefix_bytes);
            let to = pool::Destination { pool: *pool, prefix_bytes, body_bytes_max, timeout_ms, places, as_it_came };
            let head = rewritten.as_ref().unwrap_or(head);
            let turned = pool::turn_inward(head, &state.event_loop, (exchange, context), places);
            let head = turned.as_ref().unwrap_or(head);
            let mut exchange = Exchange { head, arrival: exchange.arrival, wire: &mut *exchange.wire };
            Ok(match Box::pin(pool::fetch((&state.upstreams, &rules.pools), &mut exchange, context, to)).await? {
                Fetched::Answer(head, stream) => Answer { head, body: Source::Upstream(Box::new(stream)).into() },
                Fetched::Whole(head, piece) => Answer { head, body: Source::Whole(piece).into() },
                Fetched::Upgrade(head, tunnel) => Answer { head, body: Source::Tunnel(tunnel).into() },
            })
        }
        Target::Redirect { status, to } => Ok(Answer::whole(redirect(head, *status, to, found), Vec::new())),
        Target::Respond { status, media_type, body } => {
            Ok(Answer::whole(respond(*status, media_type), body.clone().into_bytes()))
        }
        Target::Compose(_) => Err(Fault::Internal("A part cannot be made of parts.")),
    }
}

/// Whether a server may be asked for the target as it came.
pub(crate) fn as_it_came<W>(
    rules: &Rules,
    exchange: &Exchange<'_, W>,
    context: &RequestContext,
    prefix_bytes: usize,
) -> AsItCame {
    let is_rewritten = || context.route().is_some_and(|route| !route.rewrite.is_empty());
    if !rules.pools.has_raw || prefix_bytes > 0 || is_rewritten() {
        return AsItCame::No;
    }
    if has_dot_segments(&origin_form(exchange.head.raw_target())) {
        let (site, client) = (context.site.unwrap_or_default(), context.client(&exchange.arrival.peer).address);
        let literal = route::as_it_came(exchange.head);
        let found = rules.sites.pick(&rules.plan, site, &literal, client);
        if found.map(|matched| Some(matched.index)) != Ok(context.route) {
            return AsItCame::Ambiguous;
        }
    }
    AsItCame::Yes
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
