//! In:     a route whose clients are split, a request.
//! Out:    which target has it.
//! Actors: none.
//! Never:  does a client go now here, now there.

use crate::balance::ring::Hash;
use crate::head::Head;
use crate::plan::{HashBy, Route, Target};
use crate::semantics::cookie;

/// The target of a route for this request of this client.
pub fn target_of<'r>(route: &'r Route, head: &Head, client: &str) -> &'r Target {
    match &route.split {
        // Other bits than those by which a pool chooses.
        Some(split) if key_of(&split.by, head, client).rotate_left(32) % 10_000 < u64::from(split.percent) * 100 => {
            &split.to
        }
        _ => &route.target,
    }
}

/// The hash of what tells one request from another; `client` is an address.
pub fn key_of(by: &HashBy, head: &Head, client: &str) -> u64 {
    match by {
        HashBy::Path => Hash::Xxh3.of(head.path()),
        HashBy::Client => Hash::Xxh3.of(client.as_bytes()),
        HashBy::Header(name) => Hash::Xxh3.of(head.fields.named(name.as_bytes()).unwrap_or_default()),
        HashBy::Cookie(name) => Hash::Xxh3.of(cookie(head, name.as_bytes()).unwrap_or_default()),
    }
}
