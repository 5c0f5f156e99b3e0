//! In:     a request for a server that verifies signatures over the target.
//! Out:    whether it can go on as it came.
//! Actors: none.
//! Never:  does a request get past what guards a route because its server reads the path in another way.

use super::attempt::Attempt;
use crate::exchange::Exchange;
use hallway_core::Fault;
use hallway_core::route::{as_it_came, has_dot_segments, origin_form};

/// Whether the server is asked for the target as it came. One with dot segments is read by each reader in its own way: it goes
/// on where both ways lead to the same route, or it could get past what guards the other.
pub(super) fn is_raw<W>(exchange: &Exchange<'_, W>, attempt: &Attempt<'_>) -> Result<bool, Fault> {
    let Attempt { trip, to, pool, .. } = attempt;
    if !pool.raw_path {
        return Ok(false);
    }
    let Exchange { head, rules, arrival, .. } = exchange;
    if to.prefix_bytes > 0 || rules.route(trip).is_some_and(|route| !route.rewrite.is_empty()) {
        return Ok(false);
    }
    if has_dot_segments(&origin_form(head.raw_target())) {
        let (site, client) = (trip.site.unwrap_or_default(), trip.client(&arrival.peer).address);
        let literal = as_it_came(head);
        let found = rules.sites.pick(&rules.plan, site, &literal, client);
        if found.map(|matched| Some(matched.index)) != Ok(trip.route) {
            return Err(Fault::BadRequest("The path can be read in two ways: it has dot segments."));
        }
    }
    Ok(true)
}
