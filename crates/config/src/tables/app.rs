//! In:     -
//! Out:    every key of an app.
//! Actors: none.
//! Never:  does a default stand here that `App::new` has not.

use super::kinds::{COUNT, PATH, TEXT, key, key_or};
use super::modifiers::REQUEST_HEADERS;
use crate::declare::{Key, Kind};

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
