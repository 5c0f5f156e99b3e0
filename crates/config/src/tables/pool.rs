//! In:     -
//! Out:    every key of a pool.
//! Actors: none.
//! Never:  does a default stand here that `Pool::new` has not.

use super::kinds::{COUNT, PATH, TEXT, key, key_or};
use super::modifiers::REQUEST_HEADERS;
use crate::declare::{Key, Kind};

pub(crate) const POOL: &[Key] = &[
    key(
        "servers",
        Kind::Either(&[Kind::List(&Kind::Either(&[TEXT, Kind::Table(SERVER_OF_POOL)])), TEXT]),
        "Its servers: \"http://10.0.0.11:9000\", \"https://…\", \"h2c://…\", \"grpc://…\", \"fastcgi://…\", \"uwsgi://…\", \"unix:/run/app.sock\", \"pool:NAME\".",
    ),
    key_or(
        "balance",
        TEXT,
        "How one is chosen: \"round-robin\", \"least-outstanding\", \"latency\", \"hash:path\", \"hash:client\", \"hash:header:NAME\", \"hash:cookie:NAME\".",
        "\"round-robin\"",
    ),
    key(
        "health",
        Kind::Either(&[TEXT, Kind::Table(HEALTH)]),
        "How servers are asked whether they are well, beside what their answers show: \"/healthz\".",
    ),
    key_or(
        "eject",
        Kind::Table(&[
            key_or("after", Kind::Whole(0, 1_000_000), "Failed requests, one after the other; 0 for never.", "3"),
            key_or("for", Kind::Duration, "For how long at first; each further time twice as long.", "1s"),
            key_or("max", Kind::Duration, "For how long at most.", "60s"),
            key_or(
                "on",
                STATUSES,
                "Statuses of answers that count as failed requests, too: [500, 503].",
                "none: a server that answers is well",
            ),
        ]),
        "When a server that fails is left alone for a while. One where nobody listens is at once.",
        "{ after = 3, for = \"1s\", max = \"60s\" }",
    ),
    key_or(
        "retry",
        Kind::Table(&[
            key_or(
                "tries",
                Kind::Whole(1, 100),
                "How often a request is sent at most, each time to another server; 1: never to another one. A server that takes no connection has not been sent it.",
                "2",
            ),
            key_or("budget", Kind::Percent, "How many of all requests may be sent again.", "\"20%\""),
            key_or(
                "on",
                STATUSES,
                "Statuses of answers after which another server is asked, where the method may be repeated: [502, 503]. The last one's answer counts.",
                "none",
            ),
        ]),
        "When a request goes to another server: where it was not sent, or its method may be repeated.",
        "{ tries = 2, budget = \"20%\" }",
    ),
    key(
        "sticky",
        Kind::Either(&[Kind::Switch, Kind::Table(STICKY)]),
        "Whether a cookie keeps each client at its server, and which.",
    ),
    key_or("slow_start", Kind::Duration, "How long a server that comes back gets less than its share.", "0s"),
    key_or(
        "queue",
        Kind::Table(&[
            key_or("size", COUNT, "Requests that may wait.", "256"),
            key_or("max_wait", Kind::Duration, "How long each may.", "10s"),
        ]),
        "How requests wait while every server has its max_connections.",
        "{ size = 256, max_wait = \"10s\" }",
    ),
    key_or("connect_timeout", Kind::Duration, "For a server to take a connection.", "5s"),
    key_or("answer_timeout", Kind::Duration, "For a server to begin its answer.", "60s"),
    key_or("pause_timeout", Kind::Duration, "Longest pause inside an answer.", "60s"),
    key_or("tunnel_timeout", Kind::Duration, "Longest silence of a WebSocket, of both sides.", "1h"),
    key_or(
        "keep_alive",
        Kind::Table(&[
            key_or("idle", Kind::Duration, "How long a connection may be idle before it is used again.", "30s"),
            key_or("age", Kind::Duration, "How old it may be then.", "1h"),
            key_or("connections", COUNT, "How many each event loop keeps for one server.", "256"),
        ]),
        "How connections to servers are kept; idle = \"0s\" keeps none.",
        "{ idle = \"30s\", age = \"1h\", connections = 256 }",
    ),
    key_or("host", TEXT, "The Host that servers are asked for.", "the client's"),
    REQUEST_HEADERS,
    key_or(
        "raw_path",
        Kind::Switch,
        "Whether servers are asked for the target as it came, and not as it was matched: for those that verify signatures.",
        "false",
    ),
    key_or(
        "buffer_requests",
        Kind::Switch,
        "Whether a request body is here as a whole before a server gets any of it.",
        "true; false where a server speaks HTTP/2",
    ),
    key(
        "php",
        Kind::Table(&[
            key("root", TEXT, "The directory of the scripts, as the PHP server sees it."),
            key_or(
                "index",
                TEXT,
                "The script of a directory. Beside front, where this machine sees it.",
                "\"index.php\"",
            ),
            key("front", TEXT, "The script that has every request whose path names none: \"index.php\"."),
        ]),
        "Where the scripts are of servers that speak FastCGI.",
    ),
    key("tls", Kind::Table(TLS_OF_POOL), "How servers behind https are known."),
];

const STATUSES: Kind = Kind::OneOrMore(&Kind::Whole(400, 599));

const STICKY: &[Key] = &[
    key_or("cookie", TEXT, "Its name.", "\"hallway\""),
    key_or("secret", Kind::Secret, "With which it is signed, the same on all machines.", "one of this machine"),
    key_or("max_age", Kind::Duration, "For how long.", "until the browser is closed"),
];

const HEALTH: &[Key] = &[
    key_or("path", TEXT, "The path that is asked for.", "\"/\""),
    key_or("host", TEXT, "The host that is asked for.", "that of the pool, or the server's address"),
    key_or("status", Kind::OneOrMore(&Kind::Whole(200, 599)), "The statuses of a server that is well.", "200 to 399"),
    key("body", TEXT, "What has to be in the answer."),
    key_or("every", Kind::Duration, "Between two.", "5s"),
    key_or("timeout", Kind::Duration, "For the answer.", "2s"),
    key_or("rise", Kind::Whole(1, 100), "Good ones, one after the other, that bring a server back.", "2"),
    key_or("fall", Kind::Whole(1, 100), "Bad ones that take it out.", "3"),
];

const SERVER_OF_POOL: &[Key] = &[
    key(
        "url",
        TEXT,
        "Where it is. A name stands for all of its addresses; one like _http._tcp.NAME, for its SRV records.",
    ),
    key_or("weight", Kind::Whole(0, 10_000), "How much of the work it gets, beside the others.", "1"),
    key_or("backup", Kind::Switch, "Whether it is asked only when the others cannot be.", "false"),
    key_or("max_connections", Kind::Whole(0, 1_000_000), "Requests that it has at a time.", "0: any number"),
];

const TLS_OF_POOL: &[Key] = &[
    key_or("ca", PATH, "The file of the authorities that sign their certificates (PEM).", "those of this machine"),
    key_or("name", TEXT, "The name in their certificates, and that they are asked for (SNI).", "the host of the URL"),
    key_or("verify", Kind::Switch, "Whether their certificates are verified.", "true"),
    key("cert", PATH, "The certificate that hallway shows them (PEM)."),
    key("key", PATH, "The file of its key (PEM)."),
];
