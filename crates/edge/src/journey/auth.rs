//! Asks somebody else whether a request may pass.
//!
//! In:     a request whose route names who is asked.
//! Out:    pass, and what is said of who asks; or the response that the client gets instead.
//! Actors: the task of the request.
//! Never:  passes a request for an answer that says nothing, or a header that only who is asked may write.

use crate::handlers::app;
use crate::handlers::pool::{self, AsItCame};
use crate::journey::response::Answer;
use crate::journey::state::Course;
use crate::journey::subrequest::{Ask, To};
use crate::request::context::RequestContext;
use hallway_core::fields::Fields;
use hallway_core::plan::{Auth, AuthBy, RequestLines, Route, Secret};
use hallway_core::semantics::subrequest_head;
use hallway_core::{Fault, Head};
use hallway_net::http::exchange::Exchange;
use std::rc::Rc;

/// What goes to the client of an answer that refuses it.
const PASSED_ON: [&str; 7] = [
    "Location",
    "WWW-Authenticate",
    "Set-Cookie",
    "Content-Type",
    "Content-Language",
    "Content-Encoding",
    "Retry-After",
];
/// Headers in which the name of who asks may stand, the first that is copied.
const USERS: [&str; 4] = ["X-User", "Remote-User", "X-Auth-Request-User", "X-Forwarded-User"];

/// Asks; nothing where the request may pass.
///
/// # Errors
/// 504 where no answer comes in time, 502 where none comes, or one that is neither yes nor no.
pub(super) async fn ask<W>(
    course: Course<'_>,
    exchange: &Exchange<'_, W>,
    context: &mut RequestContext,
    (auth, route): (&Auth, &Route),
) -> Result<Option<Box<Answer>>, Fault> {
    let question = subrequest_head(exchange.head, auth.path.as_bytes())?;
    let mut ask = Ask::new(course, (exchange, context), &question);
    let said = [("X-Forwarded-Method", exchange.head.method()), ("X-Forwarded-Uri", exchange.head.raw_target())];
    let set = said.map(|(name, value)| (name.to_owned(), Secret(value.to_vec()))).into();
    // What the route says to its target is for that alone.
    ask.context.lines = Some(Rc::new(RequestLines { set, ..RequestLines::default() }));
    let answered = ask.answer(course, to(course, auth)).await;
    let answer = match answered {
        Ok(answer) => answer,
        Err(Fault::ClientGone) => return Err(Fault::ClientGone),
        Err(fault) => {
            tell(course, exchange.head, (context, auth), fault.detail());
            let is_late = fault.status() == Fault::AuthLate.status() || fault == Fault::QueueTimeout;
            return Err(if is_late { Fault::AuthLate } else { Fault::AuthUnclear });
        }
    };
    match answer.head.status {
        200..=299 => {
            pass(context, (auth, route), &answer.head.fields);
            Ok(None)
        }
        301 | 302 | 303 | 307 | 308 | 401 | 403 => Ok(Some(Box::new(refusal(answer)))),
        status => {
            tell(course, exchange.head, (context, auth), &format!("it answered {status}"));
            Err(Fault::AuthUnclear)
        }
    }
}

fn to<'a>(course: Course<'a>, auth: &Auth) -> To<'a> {
    let rules = course.rules;
    match auth.by {
        AuthBy::App(number) => {
            let (app, desk) = (&rules.plan.apps[number], &*rules.desks[number]);
            To::App(app::Destination { app, desk, script_bytes: 0, body_bytes_max: 0, timeout_ms: app.timeout_ms })
        }
        AuthBy::Pool(pool) => To::Pool(pool::Destination {
            pool,
            prefix_bytes: 0,
            body_bytes_max: 0,
            timeout_ms: None,
            places: None,
            as_it_came: AsItCame::No,
        }),
    }
}

/// The request may pass: its target is told who asks, and that by nobody else.
fn pass(context: &mut RequestContext, (auth, route): (&Auth, &Route), said: &Fields) {
    let mut lines = RequestLines::default();
    for name in &auth.copy {
        match said.named(name.as_bytes()) {
            Some(value) => lines.set.push((name.clone(), Secret(value.to_vec()))),
            None => lines.remove.push(name.clone()),
        }
    }
    let is_copied = |name: &&str| auth.copy.iter().any(|copied| copied.eq_ignore_ascii_case(name));
    let user = USERS.iter().find(|name| is_copied(name)).and_then(|name| said.named(name.as_bytes()));
    // Nobody is believed who says by it who they are, also where it is not copied.
    if !is_copied(&USERS[0]) {
        lines.remove.push(USERS[0].to_owned());
    }
    if let Some(user) = user.and_then(|user| std::str::from_utf8(user).ok()) {
        context.user = Some(user.to_owned());
    }
    context.lines = Some(Rc::new(route.request_lines.merged(lines)));
    let cookies = said.iter().filter(|field| field.raw_name.eq_ignore_ascii_case(b"set-cookie"));
    context.cookies.extend(cookies.map(|field| field.value.to_vec()));
}

/// What the client gets that may not pass.
fn refusal(mut answer: Answer) -> Answer {
    let is_passed = |name: &[u8]| PASSED_ON.iter().any(|passed| passed.as_bytes().eq_ignore_ascii_case(name));
    answer.head.fields.retain(is_passed);
    answer.head.fields.push(b"Cache-Control", b"no-store");
    answer
}

fn tell(course: Course<'_>, head: &Head, (context, auth): (&RequestContext, &Auth), why: &str) {
    let (method, path) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.path()));
    let who = auth.by.told(&course.rules.plan);
    let (id, asked, why) = (context.request_id.as_str(), &auth.path, why.trim_end_matches('.'));
    course.state.event_loop.report(&format!("{method} {path} ({id}): auth: {who} was asked for {asked}: {why}"));
}
