//! In:     heads of requests and answers, facts of the connection.
//! Out:    which fields pass on, which are written fresh, what an answer looks like when it leaves.
//! Actors: none.
//! Never:  does meaning depend on which protocol a message came by (RFC 9110, not 9112).

mod answer;
mod authorization;
mod client_certificate;
mod coding;
mod conditional;
mod cookies;
mod cors;
mod filled;
mod forwarded;
mod mapping;
mod packed;
mod problem;
mod range;
mod redirect;
mod relayed;
mod request_lines;
mod subrequest;
mod trace;

pub use answer::{AnswerHead, ShapeFacts, adjust, delimit, keep_private, shape, take_app_answer};
pub use authorization::basic_credentials;
pub use client_certificate::ClientCertificate;
pub use coding::{Coding, choose_coding};
pub use conditional::{Precondition, Validators, check_preconditions, wants_range};
pub use cookies::cookie;
pub use cors::{allow_origin, preflight};
pub use filled::filled;
pub use forwarded::{Addresses, Belief, ForwardedFacts, Speaker, may_trail, may_trail_answer, put_forwarded};
pub use mapping::{Mapping, map_inward, map_outward, names_address, names_destination};
pub use packed::{is_packable, pack, vary_by_coding};
pub use problem::{explain_fault, intercept, wants_page};
pub use range::{Selection, part_end, part_head, select_ranges};
pub use redirect::{fill, options, put_query, redirect, respond, to_https};
pub use relayed::{Relayed, relayed};
pub use request_lines::put_request_lines;
pub use subrequest::subrequest_head;
pub use trace::{Trace, is_traceparent};
