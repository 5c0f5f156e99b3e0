//! In:     an exchange.
//! Out:    its answer delivered, its line in the log.
//! Actors: the task of the connection.
//! Never:  is a stop skipped or taken in another order; read it as the list it is.

mod access;
pub(crate) mod access_log;
mod auth;
mod compose;
mod compress;
mod deliver;
mod dispatch;
mod mirror;
mod pace;
mod response;
pub(crate) mod rules;
mod site;
pub(crate) mod state;
mod subrequest;
mod telling;

use crate::handlers::pool;
use crate::journey::access::permit;
use crate::journey::compress::Packer;
use crate::journey::deliver::deliver;
use crate::journey::dispatch::dispatch;
use crate::journey::mirror::copied;
use crate::journey::response::Answer;
use crate::journey::state::{Course, LoopState};
use crate::journey::telling::{complain, explain, record};
use crate::request::context::RequestContext;
use hallway_core::plan::Target;
use hallway_core::route::{Matched, target_of};
use hallway_core::semantics::{adjust, intercept, options, pack};
use hallway_core::{Fault, permit};
use hallway_net::http::exchange::{Exchange, Wire};
use hallway_net::http::service::Service;
use hallway_net::tls::server::Tls;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

impl Service for LoopState {
    fn believes(&self, peer: Option<IpAddr>) -> bool {
        self.rules().plan.trust.believes(peer)
    }

    fn tls(&self) -> Arc<Tls> {
        self.rules().tls.clone()
    }

    async fn serve<W: Wire>(self: &Rc<Self>, exchange: Exchange<'_, W>) {
        let rules = self.rules();
        let course = Course { state: self, rules: &rules };
        if exchange.arrival.gate.is_forward() {
            // What few requests need is not kept by the connections of the others.
            return Box::pin(travel_forward(course, exchange)).await;
        }
        travel(course, exchange).await;
    }

    async fn refuse<W: Wire>(self: &Rc<Self>, mut exchange: Exchange<'_, W>, fault: Fault) {
        let rules = self.rules();
        let course = Course { state: self, rules: &rules };
        // Nothing of it is certain, so only stops 9 to 11.
        let mut context = RequestContext::begin(&self.event_loop, rules.plan.clone());
        let explained = explain(&context, fault, None);
        let outcome = deliver(course, &mut exchange, &mut context, explained).await;
        record(course, &exchange, &context, outcome);
    }

    fn note_malformed<W: Wire>(self: &Rc<Self>, exchange: &Exchange<'_, W>) {
        let rules = self.rules();
        let mut context = RequestContext::begin(&self.event_loop, rules.plan.clone());
        context.record.status = 400;
        record(Course { state: self, rules: &rules }, exchange, &context, Ok(()));
    }
}

/// Carries one request from its head to its log line. Arriving (1) and reading (2) were the
/// listener's and the engine's; there is no cache yet to look up in (6).
async fn travel<W: Wire>(course: Course<'_>, exchange: Exchange<'_, W>) {
    let context = RequestContext::begin(&course.state.event_loop, course.rules.plan.clone());
    let mut voyage = Voyage { course, exchange, context, outcome: None };
    let Voyage { exchange, context, .. } = &mut voyage;
    context.learn_client(exchange);
    let mut answer = answer(course, exchange, context).await;
    let outcome = loop {
        let given = match answer {
            Ok(answer) => answer,
            Err(Fault::ClientGone) => break Err(Fault::ClientGone),
            Err(fault) => {
                complain(&course.state.event_loop, exchange.head, context, fault);
                explain(context, fault, Some(exchange.head))
            }
        };
        match deliver(course, exchange, context, given).await {
            // Nothing of it was sent: a client that sees a bare close would ask again.
            Err(fault) if context.record.status == 0 && fault != Fault::ClientGone => answer = Err(fault),
            outcome => break outcome,
        }
    };
    if let Err(fault) = outcome {
        complain(&course.state.event_loop, exchange.head, context, fault);
    }
    voyage.outcome = Some(outcome);
}

/// Carries one request to the server that its client chose.
async fn travel_forward<W: Wire>(course: Course<'_>, mut exchange: Exchange<'_, W>) {
    let event_loop = &course.state.event_loop;
    let mut context = RequestContext::begin(event_loop, course.rules.plan.clone());
    let outcome = match pool::carry(event_loop, &mut exchange, &mut context).await {
        // What the client has not heard of it.
        Err(fault) if context.record.status == 0 && fault != Fault::ClientGone => {
            let explained = explain(&context, fault, Some(exchange.head));
            deliver(course, &mut exchange, &mut context, explained).await
        }
        outcome => outcome,
    };
    record(course, &exchange, &context, outcome);
}

/// A request on its way: it has its line in the log also where its task is ended.
struct Voyage<'c, 'e, W: Wire> {
    course: Course<'c>,
    exchange: Exchange<'e, W>,
    context: RequestContext,
    outcome: Option<Result<(), Fault>>,
}

impl<W: Wire> Drop for Voyage<'_, '_, W> {
    fn drop(&mut self) {
        let event_loop = &self.course.state.event_loop;
        let outcome = self.outcome.unwrap_or_else(|| {
            if !event_loop.cutting.get() {
                return Err(Fault::ClientGone);
            }
            event_loop.cut.set(event_loop.cut.get() + 1);
            if self.context.record.status == 0 {
                // A bare close would have the client ask again for what may have been done.
                self.exchange.wire.cut();
                self.context.record.status = Fault::NoServer.status();
            }
            Err(Fault::Internal("The time of a stop was over."))
        });
        record(self.course, &self.exchange, &self.context, outcome);
    }
}

/// Stop 8 (fetch).
async fn fetch<W: Wire>(
    course: Course<'_>,
    exchange: &mut Exchange<'_, W>,
    context: &mut RequestContext,
    (matched, target): (&Matched<'_, '_>, &Target),
) -> Result<Answer, Fault> {
    match target {
        Target::Compose(parts) => Box::pin(compose::handle(course, exchange, context, (parts, &matched.found))).await,
        target => dispatch(course, exchange, context, (matched, target)).await,
    }
}

/// Stops 3 to 9.
async fn answer<W: Wire>(
    course: Course<'_>,
    exchange: &mut Exchange<'_, W>,
    context: &mut RequestContext,
) -> Result<Answer, Fault> {
    let Course { state, rules } = course;
    let (head, client) = (exchange.head, context.client(&exchange.arrival.peer).address);
    permit::admit(head)?; // 3 admit
    if head.path() == b"*" {
        return Ok(Answer::whole(options(), Vec::new()));
    }
    let site = rules.sites.site(head.host()).ok_or(Fault::Misdirected)?; // 4 route
    context.site = Some(site);
    if let Some(answer) = rules.enter(exchange, site, context.is_https(exchange.arrival))? {
        return Ok(Answer::whole(answer, Vec::new()));
    }
    rules.attend(site, client, &state.event_loop).await?;
    let spelled = rules.spelled(site, head)?;
    let head = spelled.as_ref().unwrap_or(head);
    let mut exchange = Exchange { head, arrival: exchange.arrival, wire: &mut *exchange.wire };
    let matched = rules.sites.pick(&rules.plan, site, head, client)?;
    context.route = Some(matched.index);
    if let Some(answer) = permit(course, &exchange, context, (matched.route, matched.number)).await? {
        return Ok(*answer); // 5 permit
    }
    let target = target_of(matched.route, head, &context.client(&exchange.arrival.peer).ip); // 7 choose
    let mut answer = match &matched.route.mirror {
        None => fetch(course, &mut exchange, context, (&matched, target)).await?,
        // What few requests need is not kept by the connections of the others.
        Some(mirror) => {
            let (head, arrival) = (exchange.head, exchange.arrival);
            let mut wire = Box::pin(copied(course, &mut exchange, context, (mirror, &matched))).await?;
            let mut exchange = Exchange { head, arrival, wire: &mut wire };
            Box::pin(fetch(course, &mut exchange, context, (&matched, target))).await?
        }
    };
    if matched.route.intercepts_errors
        && let Some((own, page)) = intercept(&answer.head, head, &rules.plan.sites[site].errors)
    {
        answer = Answer::whole(own, page);
    }
    adjust(&mut answer.head, &matched.route.adjust); // 9 shape
    let streams = answer.head.length.is_none();
    if let Some(coding) = pack(&mut answer.head, head, &matched.route.compress, state.packers.have_room())
        && let Some(packer) = Packer::new(coding, streams, &state.packers)
    {
        answer.body.pack(packer);
    }
    Ok(answer)
}
