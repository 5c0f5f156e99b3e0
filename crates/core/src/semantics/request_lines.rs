//! Headers of a request as its target gets them.
//!
//! In:     a request, what the edge knows of its client; what the route and the target say instead.
//! Out:    names and values, in their order.
//! Actors: none.
//! Never:  says twice what the operator says once.

use super::filled::filled;
use super::forwarded::{ForwardedFacts, put_forwarded};
use crate::head::Head;
use crate::plan::{RequestLines, Secret};

/// What goes on of the client's headers and what the edge knows, but for what the route and the target of the request say
/// instead. What the route says counts more.
pub fn put_request_lines(
    head: &Head,
    facts: &ForwardedFacts<'_>,
    target: &RequestLines,
    mut put: impl FnMut(&[u8], &[u8]),
) {
    let route = facts.lines.filter(|lines| !lines.is_empty());
    if route.is_none() && target.is_empty() {
        return put_forwarded(head, facts, put);
    }
    put_forwarded(head, facts, |name, value| {
        if !target.replaces(name) && !route.is_some_and(|route| route.replaces(name)) {
            put(name, value);
        }
    });
    put_lines(target, (head, facts), route, &mut put);
    if let Some(route) = route {
        put_lines(route, (head, facts), None, put);
    }
}

/// Gives `put` what is said instead, by these lines, but for names that `other` replaces.
fn put_lines(
    lines: &RequestLines,
    (head, facts): (&Head, &ForwardedFacts<'_>),
    other: Option<&RequestLines>,
    mut put: impl FnMut(&[u8], &[u8]),
) {
    let is_others = |name: &str| other.is_some_and(|other| other.replaces(name.as_bytes()));
    for (name, Secret(value)) in lines.set.iter().filter(|(name, _)| !is_others(name)) {
        put(name.as_bytes(), value);
    }
    for (name, parts) in lines.fill.iter().filter(|(name, _)| !is_others(name)) {
        if let Some(value) = filled(parts, head, facts) {
            put(name.as_bytes(), &value);
        }
    }
}
