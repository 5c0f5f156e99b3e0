//! In:     a request whose route is known.
//! Out:    pass, an answer instead, or a fault; what the context learned of its client.
//! Actors: the task of the request; a thread where a password has to be looked at.
//! Never:  is a password looked at before the client's rate, or a body read before all of this.

use crate::journey::auth::ask;
use crate::journey::response::Answer;
use crate::journey::state::Course;
use crate::request::context::RequestContext;
use crate::request::limits::{Asker, Limiter};
use crate::request::passwords::authenticate;
use hallway_core::plan::{LimitBy, Route};
use hallway_core::semantics::preflight;
use hallway_core::{Fault, permit};
use hallway_net::http::exchange::Exchange;
use std::sync::Arc;

/// Stop 5 of the journey. An answer is that to a browser which asks what a page may do, or of who was asked whether the
/// request may pass.
pub(crate) async fn permit<W>(
    Course { state, rules }: Course<'_>,
    exchange: &Exchange<'_, W>,
    context: &mut RequestContext,
    (route, number): (&Route, u32),
) -> Result<Option<Box<Answer>>, Fault> {
    let head = exchange.head;
    permit::allow_client(&route.access, context.client(&exchange.arrival.peer).address)?;
    // A browser that asks first would not understand any other answer.
    if let Some(answer) = route.cors.as_ref().and_then(|cors| preflight(head, cors)) {
        return Ok(Some(Box::new(Answer::whole(answer, Vec::new()))));
    }
    let limiters = rules.limiters(number);
    count(limiters, |by| *by != LimitBy::User, exchange, context)?;
    if let Some(auth) = &route.basic_auth {
        let (client, now_ms) = (context.client(&exchange.arrival.peer).address, state.event_loop.clock.coarse_ms());
        context.user = Some(authenticate((head, b"authorization"), auth, client, now_ms).await?);
    }
    if let Some(auth) = &route.auth
        && let Some(answer) = Box::pin(ask(Course { state, rules }, exchange, context, (auth, route))).await?
    {
        return Ok(Some(answer));
    }
    count(limiters, |by| *by == LimitBy::User, exchange, context)?;
    permit::allow_body(head, route.body_bytes_max.unwrap_or(rules.plan.limits.body_bytes_max))?;
    Ok(None)
}

fn count<W>(
    limiters: &[Arc<Limiter>],
    is_meant: impl Fn(&LimitBy) -> bool,
    exchange: &Exchange<'_, W>,
    context: &mut RequestContext,
) -> Result<(), Fault> {
    for limiter in limiters.iter().filter(|limiter| is_meant(&limiter.zone().by)) {
        let client = context.client(&exchange.arrival.peer).address;
        let asker = Asker { head: exchange.head, client, user: context.user.as_deref() };
        let counted = limiter.take(asker, &mut context.record.left)?;
        context.counted.extend(counted);
    }
    Ok(())
}
