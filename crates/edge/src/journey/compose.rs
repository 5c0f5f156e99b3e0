//! In:     an exchange whose answer is made of several.
//! Out:    one JSON object: what each part answered, with its status.
//! Actors: the task of the request, which asks for all parts at a time.
//! Never:  does a part that fails or hangs take the others with it; or get past what its own route asks for.

use crate::journey::access::permit;
use crate::journey::mirror::copied;
use crate::journey::response::Answer;
use crate::journey::state::Course;
use crate::journey::subrequest::{Ask, Detached, To};
use crate::request::context::RequestContext;
use crate::request::record::Try;
use hallway_core::method::Methods;
use hallway_core::plan::Part;
use hallway_core::route::{Found, target_of};
use hallway_core::semantics::{AnswerHead, fill, put_query, subrequest_head};
use hallway_core::{Fault, Head};
use hallway_net::http::exchange::{Exchange, Wire};
use serde::de::IgnoredAny;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// Bytes of one part.
const PART_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a part answered.
struct Answered {
    status: u16,
    /// As JSON.
    body: Vec<u8>,
}

/// Asks for all parts.
pub(crate) async fn handle<W: Wire>(
    course: Course<'_>,
    exchange: &Exchange<'_, W>,
    context: &mut RequestContext,
    (parts, found): (&[Part], &Found<'_>),
) -> Result<Answer, Fault> {
    if !matches!(exchange.head.method(), b"GET" | b"HEAD") {
        let mut methods = Methods::default();
        methods.add("GET");
        return Err(Fault::MethodNotAllowed(methods));
    }
    let whole: &RequestContext = context;
    let mut asked: Vec<Asking<'_>> = parts.iter().map(|part| ask(course, exchange, whole, (part, found))).collect();
    let mut answered: Vec<Option<(Answered, Vec<Try>)>> = parts.iter().map(|_| None).collect();
    poll_fn(|task| {
        for (asking, answered) in asked.iter_mut().zip(&mut answered) {
            if answered.is_none()
                && let Poll::Ready(done) = asking.as_mut().poll(task)
            {
                *answered = Some(done);
            }
        }
        if answered.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(asked);
    let mut body = vec![b'{'];
    for (part, (answered, tries)) in parts.iter().zip(answered.into_iter().flatten()) {
        context.record.tries.extend(tries);
        if body.len() > 1 {
            body.push(b',');
        }
        let name = serde_json::to_string(&part.name).unwrap_or_default();
        // Writing to a Vec cannot fail.
        let _ = write!(body, "{name}:{{\"status\":{},\"body\":", answered.status);
        body.extend_from_slice(&answered.body);
        body.push(b'}');
    }
    body.push(b'}');
    // What its parts say of caches, each for itself, does not go on.
    let head = AnswerHead::new(200).with("Content-Type", "application/json").with("Cache-Control", "no-store");
    Ok(Answer::whole(head, body))
}

/// What a part answered, and the servers that were asked for it.
type Asking<'a> = Pin<Box<dyn Future<Output = (Answered, Vec<Try>)> + 'a>>;

fn ask<'a, W: Wire>(
    course: Course<'a>,
    exchange: &'a Exchange<'_, W>,
    context: &'a RequestContext,
    (part, found): (&'a Part, &'a Found<'_>),
) -> Asking<'a> {
    Box::pin(async move {
        let whole = context;
        let mut tries = Vec::new();
        let asking = async {
            let head = part_head(exchange.head, part, found)?;
            let mut ask = Ask::new(course, (exchange, whole), &head);
            let asking = answer(course, &mut ask);
            let answered = tokio::time::timeout(Duration::from_millis(part.timeout_ms), asking).await;
            tries = std::mem::take(&mut ask.context.record.tries);
            answered.unwrap_or(Err(Fault::ServerTimeout))
        };
        let answered = asking.await;
        let fault = match answered {
            Ok(answered) => return (answered, tries),
            Err(fault) => fault,
        };
        let (path, id) = (String::from_utf8_lossy(exchange.head.path()), whole.request_id.as_str());
        course.state.event_loop.report(&format!("GET {path} ({id}): part '{}': {}", part.name, fault.detail()));
        (Answered { status: fault.status(), body: quoted(fault.detail().as_bytes()) }, tries)
    })
}

/// The head of the request for a part: the client's, for another path.
fn part_head(head: &Head, part: &Part, found: &Found<'_>) -> Result<Head, Fault> {
    let mut target = fill(head, &part.to, found);
    if !target.contains(&b'?') {
        put_query(&mut target, head);
    }
    subrequest_head(head, &target)
}

/// Stops 4 to 8 for a part, and all of its body.
async fn answer(course: Course<'_>, ask: &mut Ask<'_>) -> Result<Answered, Fault> {
    let (rules, head, peer) = (course.rules, ask.head, &ask.arrival.peer);
    let site = ask.context.site.ok_or(Fault::NotFound)?;
    let matched = rules.sites.pick(&rules.plan, site, head, ask.context.client(peer).address)?;
    ask.context.route = Some(matched.index);
    let mut wire = Detached::new(None);
    let mut exchange = Exchange { head, arrival: ask.arrival, wire: &mut wire };
    let context = &mut ask.context;
    if let Some(answer) = Box::pin(permit(course, &exchange, context, (matched.route, matched.number))).await? {
        return Ok(Answered { status: answer.head.status, body: b"null".to_vec() });
    }
    if let Some(mirror) = &matched.route.mirror {
        drop(Box::pin(copied(course, &mut exchange, context, (mirror, &matched))).await?);
    }
    let target = target_of(matched.route, head, &ask.context.client(peer).ip);
    let mut answer = ask.answer(course, To::Route(&matched, target)).await?;
    let mut body = Vec::new();
    loop {
        let (piece, last) = answer.body.next().await?;
        if body.len() as u64 + piece.len() > PART_BYTES_MAX as u64 {
            return Err(Fault::BadAnswer("A part of the answer is too long."));
        }
        piece.append_to(&mut body).await?;
        if last {
            break;
        }
    }
    let is_json = serde_json::from_slice::<IgnoredAny>(&body).is_ok();
    let body = match body.is_empty() {
        true => b"null".to_vec(),
        false if is_json => body,
        false => quoted(&body),
    };
    Ok(Answered { status: answer.head.status, body })
}

fn quoted(text: &[u8]) -> Vec<u8> {
    serde_json::to_vec(&String::from_utf8_lossy(text)).unwrap_or_default()
}
