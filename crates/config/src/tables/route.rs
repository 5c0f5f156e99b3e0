//! In:     -
//! Out:    every key of a route.
//! Actors: none.
//! Never:  is a target here that has no place in the plan.

use super::kinds::{FIELD_NAME, NETWORK, PATH, TEXT, WANTED, key, key_or};
use super::modifiers::{
    ALLOW, BANDWIDTH_KEY, BASIC_AUTH, BODY_MAX, CACHE_CONTROL, COMPRESS, CORS_KEY, DENY, HEADERS_KEY, INTERCEPT_ERRORS,
    LIMIT, REQUEST_HEADERS, REWRITE_ANSWERS, TIMEOUT,
};
use crate::declare::{Key, Kind};

pub(crate) const ROUTE: &[Key] = &[
    key("path", Kind::Pattern, "The path, with {name} for one segment and /* for all below."),
    // Targets: exactly one.
    key("files", Kind::Either(&[PATH, Kind::Table(FILES)]), "Files below this directory answer."),
    key("app", TEXT, "This application answers."),
    key("redirect", TEXT, "The client is sent there; {name} stands for what the path captured."),
    key("respond", Kind::Table(RESPOND), "This answer, the same for all."),
    key("pool", TEXT, "One of the servers of this pool answers."),
    key("proxy", TEXT, "This upstream server answers: \"http://127.0.0.1:9000\"."),
    key(
        "compose",
        Kind::Named("part", &Kind::Either(&[TEXT, Kind::Table(PART)])),
        "One JSON object of several answers: { user = \"/api/user\", orders = \"/api/orders\" }.",
    ),
    key("jobs", Kind::Later, "Background jobs."),
    // Conditions.
    key("method", Kind::OneOrMore(&Kind::Method), "Only for these methods; GET includes HEAD."),
    key(
        "header",
        Kind::Named("header", &WANTED),
        "Only with these headers: a value, true (there) or false (not there).",
    ),
    key("query", Kind::Named("parameter", &WANTED), "Only with these parameters: a value, true or false."),
    key("client", Kind::OneOrMore(&NETWORK), "Only for clients in these networks."),
    // Modifiers.
    key_or("status", Kind::Whole(300, 399), "The status of a redirect.", "302"),
    key(
        "strip",
        Kind::Switch,
        "What stands before the * is taken off the path: an app is told by SCRIPT_NAME, a server by X-Forwarded-Prefix.",
    ),
    key(
        "rewrite",
        TEXT,
        "The path that is passed on; {name} stands for what the path captured, a last * for the rest.",
    ),
    HEADERS_KEY,
    REQUEST_HEADERS,
    CACHE_CONTROL,
    ALLOW,
    DENY,
    BODY_MAX,
    TIMEOUT,
    LIMIT,
    BASIC_AUTH,
    CORS_KEY,
    COMPRESS,
    BANDWIDTH_KEY,
    REWRITE_ANSWERS,
    INTERCEPT_ERRORS,
    key("cache", Kind::Later, "Whether answers are kept."),
    key(
        "auth",
        Kind::Table(&[
            key("app", TEXT, "The app that is asked."),
            key("pool", TEXT, "Or the pool."),
            key("proxy", TEXT, "Or the server."),
            key("path", TEXT, "What it is asked for: a path, which begins with '/'."),
            key_or(
                "copy",
                Kind::OneOrMore(&FIELD_NAME),
                "Headers of its answer that the target gets, and no client sets.",
                "none",
            ),
        ]),
        "Who says whether the request may pass: { app = \"web\", path = \"/whoami\", copy = [\"X-User\"] }.",
    ),
    key("priority", Kind::Later, "Who goes first in a queue."),
    key("promote", Kind::Later, "Whether an answer becomes a job."),
    key("internal", Kind::Later, "Whether only applications may send here."),
    key(
        "split",
        Kind::Table(&[
            key("pool", TEXT, "The other pool."),
            key("proxy", TEXT, "Or the other server."),
            key("app", TEXT, "Or the other app."),
            key("percent", Kind::Whole(0, 100), "The share of clients that it gets, the same ones each time."),
            key_or("by", TEXT, "Who is told from whom: \"client\", \"header:NAME\", \"cookie:NAME\".", "\"client\""),
            key_or("strip", Kind::Switch, "As that of the route, for the other target.", "false"),
        ]),
        "A share of the clients goes elsewhere: { pool = \"new\", percent = 5 }.",
    ),
    key(
        "mirror",
        Kind::Either(&[
            TEXT,
            Kind::Table(&[
                key("pool", TEXT, "The pool."),
                key("proxy", TEXT, "Or the server."),
                key_or("percent", Kind::Whole(0, 100), "Of how many requests.", "100"),
            ]),
        ]),
        "A copy of each request goes to this pool; what it answers changes nothing.",
    ),
    key("public", Kind::Later, "Whether jobs need no user."),
];

const FILES: &[Key] = &[
    key("dir", PATH, "The directory."),
    key(
        "fallback",
        TEXT,
        "The file below it that answers for pages that are no file, as applications in browsers want it.",
    ),
    key_or("list", Kind::Switch, "Whether a directory without index.html is shown as a list.", "false"),
    key_or(
        "fingerprints",
        Kind::Switch,
        "Whether a name with a fingerprint of its content (app.3f2a9c1b.js) says that it never changes.",
        "true",
    ),
];

const PART: &[Key] = &[
    key("path", TEXT, "The path on this site; {name} stands for what the path captured."),
    key_or("timeout", Kind::Duration, "For all of it.", "5s"),
];

const RESPOND: &[Key] = &[
    key_or("status", Kind::Whole(200, 599), "Its status.", "200"),
    key_or("body", TEXT, "Its body.", "empty"),
    key_or("type", TEXT, "Its media type.", "text/plain; charset=utf-8"),
];
