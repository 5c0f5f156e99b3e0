//! In:     -
//! Out:    every key that a configuration file may have.
//! Actors: none.
//! Never:  is a key read that does not stand here.

mod pool;

use super::declare::{Key, Kind};
pub(crate) use pool::POOL;

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about, default: "" }
}

const fn key_or(name: &'static str, kind: Kind, about: &'static str, default: &'static str) -> Key {
    Key { name, kind, about, default }
}

const COUNT: Kind = Kind::Whole(0, i64::MAX);
const PATH: Kind = Kind::Path;
const TEXT: Kind = Kind::Text;
const NETWORK: Kind = Kind::Network;
const WANTED: Kind = Kind::Either(&[TEXT, Kind::Switch]);
const FIELD_NAME: Kind = Kind::FieldName;

/// The whole file.
pub(crate) const FILE: &[Key] = &[
    key("server", Kind::Table(SERVER), "Sockets, threads, and whom to believe."),
    key("log", Kind::Table(LOG), "What is written of each request, and where."),
    key("app", Kind::Named("app", &Kind::Table(APP)), "Applications that hallway runs."),
    key("pool", Kind::Named("pool", &Kind::Table(POOL)), "Upstream servers."),
    key("site", Kind::Named("site", &Kind::Table(SITE)), "What answers under which host name."),
];

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

pub(crate) const LOG: &[Key] = &[key_or("access", SITE_LOG, "The access log.", "\"off\"")];

pub(crate) const APP: &[Key] = &[
    key("wsgi", TEXT, "The WSGI application as MODULE:APP."),
    key("asgi", Kind::Later, "The ASGI application."),
    key("command", Kind::Later, "Any other program that serves HTTP."),
    key_or("chdir", PATH, "The directory it runs in.", "that of this file"),
    key_or("python", PATH, "Its interpreter.", "./.venv in its directory, $VIRTUAL_ENV, python3"),
    key_or(
        "workers",
        Kind::Either(&[Kind::Whole(1, 1024), Kind::Word(&["auto"])]),
        "Worker processes.",
        "\"auto\": one for each core, at least 2",
    ),
    key_or("threads", Kind::Whole(1, 256), "Requests that one worker works on at a time.", "1"),
    key_or("timeout", Kind::Duration, "A request that takes longer ends its worker.", "30s; 0 for never"),
    key_or("graceful_timeout", Kind::Duration, "How long a worker that leaves may finish what it has.", "30s"),
    key_or("factory", Kind::Switch, "Whether the callable returns the application.", "false"),
    key("preload", Kind::Later, "Whether the application is loaded once for all workers."),
    key_or("max_requests", COUNT, "Requests after which a worker is replaced.", "0: never"),
    key_or("max_requests_jitter", COUNT, "Up to so many more, by chance.", "0"),
    key_or("max_rss", Kind::Size, "Memory at which a worker is replaced.", "never"),
    key(
        "queue",
        Kind::Table(&[
            key_or("size", COUNT, "Requests that may wait for a worker.", "256"),
            key_or("max_wait", Kind::Duration, "How long a request may wait for a worker.", "10s"),
        ]),
        "How requests wait for a worker.",
    ),
    key("env", Kind::Named("variable", &Kind::Secret), "Variables for its environment."),
    REQUEST_HEADERS,
    key("env_file", PATH, "A file with such variables, as shells and dotenv write them."),
    key_or(
        "output",
        Kind::Word(&["prefixed", "raw"]),
        "Whether what its workers print is logged behind their names, or as it is.",
        "\"prefixed\"",
    ),
    key(
        "pass_env",
        Kind::OneOrMore(&TEXT),
        "Variables that hallway was started with, which its workers have, too, by name: they have none of them but PATH, LANG, LC_* and TZ.",
    ),
    key_or(
        "user",
        TEXT,
        "Who its workers run as, where hallway is started as root.",
        "the owner of chdir; where that is root or the edge's user, nobody or daemon",
    ),
    key_or(
        "new_privileges",
        Kind::Switch,
        "Whether programs that it starts may have rights that it has not, as sudo and sendmail need.",
        "false",
    ),
    key("jobs", Kind::Later, "Workers for background jobs."),
    key("php", Kind::Later, "A PHP application."),
    key("sendfile", Kind::Later, "Directories from which it may have files sent."),
];

const FORWARD: &[Key] = &[
    key("listen", Kind::OneOrMore(&Kind::Address), "Where it listens."),
    key("allow", Kind::OneOrMore(&TEXT), "Where requests may go: \"api.example.com:443\", \"*.example.com:443\"."),
    key("clients", Kind::OneOrMore(&NETWORK), "Only for clients in these networks."),
    key("basic_auth", Kind::Table(BASIC), "Only for those who show a name and a password."),
];

pub(crate) const SITE: &[Key] = &[
    key("aliases", Kind::OneOrMore(&TEXT), "Other names of this site."),
    key_or(
        "tls",
        Kind::Either(&[Kind::Word(&["off", "internal"]), Kind::Table(TLS)]),
        "Its certificate: \"internal\" for one of this machine's own authority.",
        "\"off\"",
    ),
    key_or("https_redirect", Kind::Switch, "Whether who comes unencrypted is sent to HTTPS.", "true, with tls"),
    key_or(
        "hsts",
        Kind::Either(&[Kind::Switch, Kind::Table(HSTS)]),
        "Whether browsers are told to come encrypted only.",
        "false",
    ),
    key("routes", Kind::List(&Kind::Table(ROUTE)), "What answers which path."),
    key("log", SITE_LOG, "Its own access log, instead of that of [log]."),
    key_or("merge_slashes", Kind::Switch, "Whether // in a path is one slash.", "true"),
    key("maintenance", Kind::Table(MAINTENANCE), "When it is closed for work."),
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
    key(
        "errors",
        Kind::Named("status", &PATH),
        "Pages for people instead of hallway's own: 404 = \"errors/404.html\".",
    ),
];

pub(crate) const TLS: &[Key] = &[
    key("cert", PATH, "The file of the certificate and those that sign it (PEM). It is read again when it changes."),
    key("key", PATH, "The file of its key (PEM)."),
    key("ocsp", PATH, "The file of what its authority says of it (DER)."),
    key(
        "clients",
        Kind::Either(&[PATH, Kind::Table(CLIENTS)]),
        "Clients have to show certificates of these authorities.",
    ),
    key_or("min", Kind::Word(&["1.2", "1.3"]), "The oldest version that is spoken.", "\"1.2\""),
];

const CLIENTS: &[Key] = &[
    key("ca", PATH, "The file of the authorities (PEM)."),
    key_or("optional", Kind::Switch, "Whether clients without a certificate are let in, too.", "false"),
    key_or(
        "header",
        FIELD_NAME,
        "The header in which servers of pools are told which certificate a client showed; \"off\" for none.",
        "\"X-Forwarded-Client-Cert\"",
    ),
];

const HSTS: &[Key] = &[
    key_or("max_age", Kind::Duration, "For how long.", "8760h, a year"),
    key_or("subdomains", Kind::Switch, "Whether for all names below, too.", "false"),
    key_or("preload", Kind::Switch, "Whether browsers may carry it with them.", "false"),
];

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
    key("auth", Kind::Later, "Who says whether the request may pass."),
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

// What a route may have, and a site for all of its routes.
const HEADERS_KEY: Key =
    key("headers", Kind::Table(HEADERS), "Headers of the answer; those of a site and of its route come together.");
const CACHE_CONTROL: Key = key("cache_control", TEXT, "The answer's Cache-Control.");
const ALLOW: Key = key("allow", Kind::OneOrMore(&NETWORK), "Clients in these networks and no others.");
const DENY: Key = key("deny", Kind::OneOrMore(&NETWORK), "No clients in these networks.");
const REQUEST_HEADERS: Key = key(
    "request_headers",
    Kind::Table(REQUEST_LINES),
    "Headers of requests to apps and servers: { set = { X-Key = \"file:api.key\", X-User = \"$remote_user\" } }.",
);
const REQUEST_LINES: &[Key] = &[
    key("set", Kind::Named("header", &Kind::Secret), "These, instead of what the client says; with variables."),
    key("remove", Kind::OneOrMore(&FIELD_NAME), "Not these."),
];
const BODY_MAX: Key = key("body_max", Kind::Size, "The largest request body here; 0 for no limit.");
const TIMEOUT: Key = key(
    "timeout",
    Kind::Duration,
    "How long an app may take here before its worker is ended (0 for ever); a server, to begin its answer.",
);
const LIMIT: Key = key(
    "limit",
    Kind::OneOrMore(&Kind::Table(LIMITS)),
    "How often, or how many at a time; who comes more often is answered 429 with Retry-After.",
);
const BASIC_AUTH: Key = key(
    "basic_auth",
    Kind::Either(&[Kind::Word(&["off"]), Kind::Table(BASIC)]),
    "Only for those who show a name and a password.",
);
const CORS_KEY: Key = key(
    "cors",
    Kind::Either(&[Kind::Switch, Kind::Table(CORS)]),
    "What pages of other origins may do; true: those of any origin may read, without cookies.",
);
const COMPRESS: Key = key_or(
    "compress",
    Kind::Either(&[Kind::Switch, Kind::OneOrMore(&Kind::Word(&["zstd", "br", "gzip"]))]),
    "Whether answers that are text are compressed, and how, what is liked best first.",
    "false",
);
const REWRITE_ANSWERS: Key = key_or(
    "rewrite_answers",
    Kind::Switch,
    "Whether Location and cookies of a server that name its own address, path or domain are rewritten as clients know them.",
    "true",
);
const INTERCEPT_ERRORS: Key = key_or(
    "intercept_errors",
    Kind::Switch,
    "Whether the pages of errors also stand for what a server or an app answers with such a status.",
    "false",
);
const BANDWIDTH_KEY: Key = key(
    "bandwidth",
    Kind::Either(&[Kind::Size, Kind::Table(BANDWIDTH)]),
    "How fast an answer is sent, in bytes a second.",
);

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

const BASIC: &[Key] = &[
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

const MAINTENANCE: &[Key] = &[
    key("file", PATH, "While this file is there everybody is answered 503."),
    key("page", PATH, "With this page."),
    key("allow", Kind::OneOrMore(&NETWORK), "But for clients in these networks."),
];

const SITE_LOG: Kind = Kind::Either(&[Kind::Word(&["off"]), Kind::Table(ACCESS_LOG)]);

const ACCESS_LOG: &[Key] = &[
    key_or("path", TEXT, "A file, \"stdout\", or \"off\".", "\"stdout\""),
    key_or(
        "format",
        Kind::LogForm,
        "What a line looks like: combined, json, or a line with nginx's variables.",
        "\"combined\"",
    ),
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

const HEADERS: &[Key] = &[
    key("set", Kind::Named("header", &TEXT), "These, instead of what the answer has."),
    key("add", Kind::Named("header", &Kind::OneOrMore(&TEXT)), "These, beside what the answer has."),
    key("remove", Kind::OneOrMore(&FIELD_NAME), "Not these."),
];
