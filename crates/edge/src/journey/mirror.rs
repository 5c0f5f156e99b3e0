//! In:     a request of which another pool is to have a copy.
//! Out:    the copy on its way; the request as before.
//! Actors: a task for each copy, which nobody waits for.
//! Never:  does a copy slow a request down, fail it, or change its answer.

use crate::handlers::pool::{self, AsItCame};
use crate::journey::state::Course;
use crate::journey::subrequest::{Ask, Replayed, To};
use crate::request::context::RequestContext;
use hallway_core::Fault;
use hallway_core::head::Framing;
use hallway_core::plan::{Limits, Mirror, Target};
use hallway_core::route::{Matched, rewrite, target_of};
use hallway_net::body::replay::Whole;
use hallway_net::http::exchange::{Exchange, Wire};
use hallway_net::http::request_body::gather;
use std::time::Duration;

/// Copies that are on their way at a time, for one event loop; what is beyond is not copied.
const COPIES_MAX: usize = 256;
const COPY_TIME_MAX: Duration = Duration::from_secs(60);

/// Sends a copy; the way by which the request goes on, whose body was read for both.
pub(crate) async fn copied<'w, W: Wire>(
    course: Course<'_>,
    exchange: &'w mut Exchange<'_, W>,
    context: &RequestContext,
    (mirror, matched): (&Mirror, &Matched<'_, '_>),
) -> Result<Replayed<'w, W>, Fault> {
    let Course { state, rules } = course;
    let body_bytes_max = matched.route.body_bytes_max.unwrap_or(rules.plan.limits.body_bytes_max);
    let body = match exchange.head.framing {
        Framing::None => None,
        _ => {
            let limits = Limits { body_bytes_max, ..rules.plan.limits };
            Some(Whole::from(gather(&state.event_loop.spool, exchange.wire, &limits).await?))
        }
    };
    let is_chosen = state.upstreams.dice() % 100 < u64::from(mirror.percent);
    if is_chosen && state.copies.get() < COPIES_MAX && !exchange.head.wants_upgrade() {
        let head = exchange.head;
        let rewritten = rewrite(head, matched.route, &matched.found)?;
        // It goes by the same path as the request itself.
        let target = target_of(matched.route, head, &context.client(&exchange.arrival.peer).ip);
        let strips = matches!(target, Target::App { strip: true, .. } | Target::Pool { strip: true, .. });
        let prefix_bytes = if strips && rewritten.is_none() { matched.found.before(head.path()) } else { 0 };
        let head = rewritten.unwrap_or_else(|| head.clone());
        let pool = mirror.pool;
        let to = pool::Destination {
            pool,
            prefix_bytes,
            body_bytes_max,
            timeout_ms: None,
            places: None,
            as_it_came: AsItCame::No,
        };
        let mut own = RequestContext { is_copy: true, route: context.route, ..context.copied(&state.event_loop) };
        // What a client may not say of itself, it may not say to this one either.
        own.lines.clone_from(&context.lines);
        let (arrival, own_body) = (exchange.arrival.clone(), body.clone());
        state.copies.set(state.copies.get() + 1);
        let (state, rules) = (state.clone(), rules.clone());
        tokio::task::spawn_local(async move {
            // One whose answer never ends is not one for ever.
            let course = Course { state: &state, rules: &rules };
            let mut copy = Ask { head: &head, arrival: &arrival, context: own, body: own_body };
            let _ = tokio::time::timeout(COPY_TIME_MAX, take(course, &mut copy, to)).await;
            state.copies.set(state.copies.get() - 1);
        });
    }
    Ok(Replayed::new(exchange.wire, body))
}

/// What is answered is taken, so that the server sees no difference, and forgotten.
async fn take(course: Course<'_>, copy: &mut Ask<'_>, to: pool::Destination<'_>) {
    if let Ok(mut answer) = copy.answer(course, To::Pool(to)).await {
        while matches!(answer.body.next().await, Ok((_, false))) {}
    }
}
