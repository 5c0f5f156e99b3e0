//! In:     -
//! Out:    every key that a route may have, and a site for all of its routes.
//! Actors: none.
//! Never:  does a key stand here that a site has for itself alone.

use super::kinds::{FIELD_NAME, NETWORK, PATH, TEXT, key, key_or};
use crate::declare::{Key, Kind};

// What a route may have, and a site for all of its routes.
pub(super) const HEADERS_KEY: Key =
    key("headers", Kind::Table(HEADERS), "Headers of the answer; those of a site and of its route come together.");

pub(super) const CACHE_CONTROL: Key = key("cache_control", TEXT, "The answer's Cache-Control.");
pub(super) const ALLOW: Key = key("allow", Kind::OneOrMore(&NETWORK), "Clients in these networks and no others.");
pub(super) const DENY: Key = key("deny", Kind::OneOrMore(&NETWORK), "No clients in these networks.");

pub(super) const REQUEST_HEADERS: Key = key(
    "request_headers",
    Kind::Table(REQUEST_LINES),
    "Headers of requests to apps and servers: { set = { X-Key = \"file:api.key\", X-User = \"$remote_user\" } }.",
);

pub(super) const BODY_MAX: Key = key("body_max", Kind::Size, "The largest request body here; 0 for no limit.");

pub(super) const TIMEOUT: Key = key(
    "timeout",
    Kind::Duration,
    "How long an app may take here before its worker is ended (0 for ever); a server, to begin its answer.",
);

pub(super) const LIMIT: Key = key(
    "limit",
    Kind::OneOrMore(&Kind::Table(LIMITS)),
    "How often, or how many at a time; who comes more often is answered 429 with Retry-After.",
);

pub(super) const BASIC_AUTH: Key = key(
    "basic_auth",
    Kind::Either(&[Kind::Word(&["off"]), Kind::Table(BASIC)]),
    "Only for those who show a name and a password.",
);

pub(super) const CORS_KEY: Key = key(
    "cors",
    Kind::Either(&[Kind::Switch, Kind::Table(CORS)]),
    "What pages of other origins may do; true: those of any origin may read, without cookies.",
);

pub(super) const COMPRESS: Key = key_or(
    "compress",
    Kind::Either(&[Kind::Switch, Kind::OneOrMore(&Kind::Word(&["zstd", "br", "gzip"]))]),
    "Whether answers that are text are compressed, and how, what is liked best first.",
    "false",
);

pub(super) const REWRITE_ANSWERS: Key = key_or(
    "rewrite_answers",
    Kind::Switch,
    "Whether Location and cookies of a server that name its own address, path or domain are rewritten as clients know them.",
    "true",
);

pub(super) const INTERCEPT_ERRORS: Key = key_or(
    "intercept_errors",
    Kind::Switch,
    "Whether the pages of errors also stand for what a server or an app answers with such a status.",
    "false",
);

pub(super) const BANDWIDTH_KEY: Key = key(
    "bandwidth",
    Kind::Either(&[Kind::Size, Kind::Table(BANDWIDTH)]),
    "How fast an answer is sent, in bytes a second.",
);

const REQUEST_LINES: &[Key] = &[
    key("set", Kind::Named("header", &Kind::Secret), "These, instead of what the client says; with variables."),
    key("remove", Kind::OneOrMore(&FIELD_NAME), "Not these."),
];

const LIMITS: &[Key] = &[
    key("rate", Kind::Rate, "How often, in the long run."),
    key_or("burst", Kind::Whole(1, 1_000_000), "How many of them may come at once.", "as many as the rate has"),
    key("connections", Kind::Whole(1, 1_000_000), "How many requests one client may have open at a time."),
    key("concurrency", Kind::Whole(1, 1_000_000), "How many requests of all clients may be open at a time."),
    key_or(
        "by",
        TEXT,
        "Who is told from whom: \"client\", \"user\", \"header:NAME\", \"cookie:NAME\" or \"all\".",
        "\"client\"",
    ),
    key_or("headers", Kind::Switch, "Whether answers say what is left (RateLimit).", "false"),
];

pub(super) const BASIC: &[Key] = &[
    key_or("realm", TEXT, "What browsers show.", "the name of the site"),
    key("users", Kind::Named("user", &Kind::Secret), "Names, and what their passwords hash to."),
    key("file", PATH, "A file with such, as htpasswd writes it; a changed one counts a few seconds later."),
];

const CORS: &[Key] = &[
    key("origins", Kind::OneOrMore(&TEXT), "As \"https://app.example\"; \"*\" for any."),
    key("methods", Kind::OneOrMore(&Kind::Method), "Methods beside GET, HEAD and POST."),
    key("headers", Kind::OneOrMore(&TEXT), "Headers that pages may send; \"*\" for any."),
    key("expose", Kind::OneOrMore(&FIELD_NAME), "Headers of answers that pages may read."),
    key_or("credentials", Kind::Switch, "Whether cookies are sent along.", "false"),
    key_or("max_age", Kind::Duration, "How long browsers need not ask again.", "10m"),
];

const BANDWIDTH: &[Key] = &[
    key("rate", Kind::Size, "Of one answer, in bytes a second."),
    key_or("after", Kind::Size, "What is sent of it before that counts.", "0"),
    key("client", Kind::Size, "Of all answers to one client here, in bytes a second."),
];

const HEADERS: &[Key] = &[
    key("set", Kind::Named("header", &TEXT), "These, instead of what the answer has."),
    key("add", Kind::Named("header", &Kind::OneOrMore(&TEXT)), "These, beside what the answer has."),
    key("remove", Kind::OneOrMore(&FIELD_NAME), "Not these."),
];
