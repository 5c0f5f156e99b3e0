//! In:     a head with its raw target, the plan.
//! Out:    path and query as they are matched and forwarded; the site and the route that answer.
//! Actors: none.
//! Never:  is something forwarded that is not what was matched.

mod condition;
mod hosts;
mod path;
mod pattern;
mod rewrite;
mod routes;
mod share;
mod sites;
mod target;
mod tree;

pub use condition::{Conditions, Verdict, Wanted, query_values};
pub use hosts::{Hosts, host_of, port_of};
pub(crate) use path::put_escaped;
pub use path::{has_dot_segments, normalise, percent_decode};
pub use pattern::{CAPTURES_MAX, Pattern, Segment};
pub use rewrite::rewrite;
pub use routes::{Clash, Picked, Routes};
pub use share::{key_of, target_of};
pub use sites::{Matched, Sites};
pub use target::{as_it_came, keep_slashes, origin_form, settle_target};
pub use tree::{Found, Tree};
