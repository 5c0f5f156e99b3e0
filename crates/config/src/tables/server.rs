//! In:     -
//! Out:    every key of `[server]` and of `[log]`.
//! Actors: none.
//! Never:  does a default stand here that `Limits` has not.

use super::kinds::{FIELD_NAME, NETWORK, TEXT, key, key_or};
use super::modifiers::BASIC;
use crate::declare::{Key, Kind};

pub(crate) const SERVER: &[Key] = &[
    key_or("http", Kind::OneOrMore(&Kind::Address), "Where to listen for HTTP.", "127.0.0.1:8080"),
    key_or("https", Kind::OneOrMore(&Kind::Address), "Where to listen for HTTPS.", "nowhere"),
    key("admin", Kind::Later, "Where the dashboard and the metrics are."),
    key_or(
        "threads",
        Kind::Either(&[Kind::Whole(1, 64), Kind::Word(&["auto"])]),
        "Event loops of the edge.",
        "\"auto\": one for each core",
    ),
    key("state", Kind::Later, "Where jobs and certificates are kept."),
    key("shared", Kind::Later, "What several machines share."),
    key("client_ip_header", FIELD_NAME, "The header in which trusted proxies name the client, before X-Forwarded-For."),
    key(
        "trusted_headers",
        Kind::OneOrMore(&FIELD_NAME),
        "Headers that say who a client is, believed from trusted proxies also where client_ip_header is written, and from nobody else.",
    ),
    key("forward_proxy", Kind::Table(FORWARD), "A proxy for requests to other servers."),
    key(
        "trusted_proxies",
        Kind::OneOrMore(&Kind::Either(&[Kind::Word(&["unix"]), NETWORK])),
        "Proxies whose X-Forwarded-*, Forwarded and X-Request-Id are believed; \"unix\" is whoever comes by a unix socket.",
    ),
    key(
        "resolver",
        Kind::OneOrMore(&TEXT),
        "The name servers that are asked for servers of pools; those of this machine where none is named.",
    ),
    key("acme", Kind::Later, "How certificates are obtained."),
    key_or(
        "user",
        TEXT,
        "Who the edge runs as, where hallway is started as root; only root can become somebody else.",
        "hallway where there is such a user, else nobody",
    ),
    key_or(
        "graceful_timeout",
        Kind::Duration,
        "How long a stop waits for requests in flight, and for WebSockets.",
        "that of the most patient app; 30s without apps",
    ),
    key_or(
        "watchdog",
        Kind::Duration,
        "How long an event loop of the edge may hang before another edge takes over; 0 for ever.",
        "2s",
    ),
    key_or("head_max", Kind::Size, "The largest request head.", "32KiB"),
    key_or("head_line_max", Kind::Size, "The longest header line, with its end.", "8190"),
    key_or("head_lines_max", Kind::Whole(1, 1_000), "The most header lines of a request.", "100"),
    key_or("target_max", Kind::Size, "The longest request target.", "8KiB"),
    key_or("body_max", Kind::Size, "The largest request body; 0 for no limit.", "32MiB"),
    key_or(
        "spool_max",
        Kind::Size,
        "All spool files together: long request bodies, and what slow clients have not taken of their responses.",
        "a quarter of what their file system has free at the start, from 64MiB to 8GiB",
    ),
    key_or("head_timeout", Kind::Duration, "Time for a request head to arrive.", "30s"),
    key_or("body_timeout", Kind::Duration, "Longest pause in a request body.", "30s"),
    key_or("write_timeout", Kind::Duration, "Longest pause of a client that takes its answer.", "60s"),
    key_or(
        "client_connections",
        Kind::Whole(0, 1_000_000),
        "Connections that one client may have, which is no trusted proxy; 0 for any number.",
        "256",
    ),
    key_or("idle_timeout", Kind::Duration, "How long a connection may be idle.", "75s"),
];

const FORWARD: &[Key] = &[
    key("listen", Kind::OneOrMore(&Kind::Address), "Where it listens."),
    key("allow", Kind::OneOrMore(&TEXT), "Where requests may go: \"api.example.com:443\", \"*.example.com:443\"."),
    key("clients", Kind::OneOrMore(&NETWORK), "Only for clients in these networks."),
    key("basic_auth", Kind::Table(BASIC), "Only for those who show a name and a password."),
];

pub(crate) const LOG: &[Key] = &[key_or("access", SITE_LOG, "The access log.", "\"off\"")];
pub(super) const SITE_LOG: Kind = Kind::Either(&[Kind::Word(&["off"]), Kind::Table(ACCESS_LOG)]);

const ACCESS_LOG: &[Key] = &[
    key_or("path", TEXT, "A file, \"stdout\", or \"off\".", "\"stdout\""),
    key_or(
        "format",
        Kind::LogForm,
        "What a line looks like: combined, json, or a line with nginx's variables.",
        "\"combined\"",
    ),
];
