//! What clients, operators and logs are told of a request.
//!
//! In:     a fault; what is known of the request at its end.
//! Out:    the response that explains the fault, a line for the operator, the line of the access log (stop 11).
//! Actors: the task of the request.
//! Never:  tells a client what is for the operator alone.

use crate::journey::response::Answer;
use crate::journey::state::Course;
use crate::request::context::RequestContext;
use hallway_core::plan::Target;
use hallway_core::record::{Facts, TryFacts};
use hallway_core::semantics::{explain_fault, vary_by_coding};
use hallway_core::{Fault, Head};
use hallway_net::http::exchange::Exchange;
use hallway_net::runtime::event_loop::EventLoop;

/// The response that says what went wrong.
pub(super) fn explain(context: &RequestContext, fault: Fault, head: Option<&Head>) -> Answer {
    let site = context.site.map(|site| &context.plan.sites[site]);
    let closed = site.and_then(|site| site.maintenance.as_ref()).filter(|_| fault == Fault::Maintenance);
    let (mut answer, mut body) =
        explain_fault(fault, (head, context.request_id.as_str()), site.map_or(&[], |site| &site.errors));
    if let Some(page) = closed.map(|closed| &closed.page).filter(|page| !page.is_empty()) {
        answer.fields.retain(|name| !name.eq_ignore_ascii_case(b"content-type"));
        (answer, body) = (answer.with("Content-Type", "text/html; charset=utf-8"), page.clone().into_bytes());
    }
    if let (Fault::Unauthorized, Some(auth)) = (fault, context.route().and_then(|route| route.basic_auth.as_ref())) {
        answer = answer.with("WWW-Authenticate", &format!("Basic realm=\"{}\", charset=\"UTF-8\"", auth.realm));
    }
    if matches!(fault, Fault::PreconditionFailed | Fault::RangeNotSatisfiable(_)) {
        // Whose tag or length was meant depends on the coding: of a file others may be stored at any time.
        vary_by_coding(&mut answer);
    }
    let is_pools = context.route().is_some_and(|route| matches!(route.target, Target::Pool { .. }));
    if let Some(error) = fault.proxy_error().filter(|_| is_pools) {
        answer = answer.with("Proxy-Status", &format!("hallway; error={error}"));
    }
    if fault == Fault::ProxyUnauthorized {
        answer = answer.with("Proxy-Authenticate", "Basic realm=\"proxy\", charset=\"UTF-8\"");
    }
    Answer::whole(answer, body)
}

/// Tells the operator what no log line of a request could say.
pub(super) fn complain(event_loop: &EventLoop, head: &Head, context: &RequestContext, fault: Fault) {
    let say = |what: &str| {
        let (method, path) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.path()));
        event_loop.report(&format!("{method} {path} ({}): {what}", context.request_id.as_str()));
    };
    match (fault, context.record.tries.last()) {
        // What a try failed by was told then.
        (_, Some(last)) if !last.has_answered => {}
        (Fault::ServerLost | Fault::ServerTimeout | Fault::BadAnswer(_), Some(last)) => {
            let why = match fault {
                Fault::ServerLost => "it ended the connection in the middle",
                Fault::ServerTimeout => "it paused for longer than it may",
                fault => fault.detail().trim_end_matches('.'),
            };
            say(&format!("server {}: its answer is cut: {why}", last.server));
        }
        (Fault::BadAnswer(_) | Fault::Internal(_), _) => say(fault.detail()),
        (Fault::FilesLate | Fault::NamesLate | Fault::SpoolFull, _) => say(fault.detail()),
        _ => {}
    }
}

/// Stop 11.
pub(super) fn record<W>(
    Course { state, rules }: Course<'_>,
    exchange: &Exchange<'_, W>,
    context: &RequestContext,
    outcome: Result<(), Fault>,
) {
    let Exchange { head, arrival, .. } = exchange;
    let Some(sink) = rules.sink(context.site) else { return };
    let now_us = state.event_loop.clock.now_us();
    let tries: Vec<TryFacts<'_>> = context.record.tries.iter().map(|one| one.facts(now_us)).collect();
    let begun = context.record.status != 0 && !matches!(outcome, Err(Fault::ClientGone));
    let facts = Facts {
        head: Some(head),
        peer_ip: &context.client(&arrival.peer).ip,
        user: context.user.as_deref().unwrap_or_default(),
        request_id: context.request_id.as_str(),
        unix_ms: state.event_loop.clock.unix_ms(context.begun_us),
        status: if begun { context.record.status } else { Fault::ClientGone.status() },
        body_bytes: context.record.body_bytes,
        https: context.is_https(arrival),
        tls: arrival.tls_told(),
        app: context.record.app.map_or("", |app| &rules.plan.apps[app].name),
        cut: begun && outcome.is_err(),
        total_us: now_us.saturating_sub(context.begun_us),
        lane: context.record.lane,
        queue_us: context.record.queue_us,
        tries: &tries,
    };
    state.log.access(sink, &facts);
}
