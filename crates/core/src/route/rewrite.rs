//! Paths that routes pass on.
//!
//! In:     a request, its route, what the route's pattern found.
//! Out:    the request with the path that the route passes on.
//! Actors: none.
//! Never:  passes on a path that is not normal.

use super::path::normalise;
use super::tree::Found;
use crate::fault::Fault;
use crate::head::Head;
use crate::plan::Route;
use crate::semantics::fill;

/// The head with the path that its route passes on, where that is another one.
///
/// # Errors
/// 400 where what was captured makes no path.
pub fn rewrite(head: &Head, route: &Route, found: &Found<'_>) -> Result<Option<Head>, Fault> {
    if route.rewrite.is_empty() {
        return Ok(None);
    }
    let filled = fill(head, &route.rewrite, found);
    let (path, query) = match memchr::memchr(b'?', &filled) {
        Some(at) => (&filled[..at], Some(&filled[at + 1..])),
        None => (&filled[..], None),
    };
    let mut rewritten = head.clone();
    rewritten.set_path(&normalise(path)?);
    if let Some(query) = query {
        rewritten.set_query(query);
    }
    Ok(Some(rewritten))
}
