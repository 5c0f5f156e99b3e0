//! In:     -
//! Out:    one declaration for each flag of `run`: its parser, its help and its variable come from it.
//! Actors: none.
//! Never:  is a flag read that does not stand here.

/// One flag.
pub(crate) struct Flag {
    /// Behind `--`.
    pub(crate) long: &'static str,
    /// Behind `-`.
    pub(crate) short: Option<char>,
    /// What its value is, for the help.
    pub(crate) value: &'static str,
    /// What it does, in the words of the help.
    pub(crate) help: &'static str,
}

const fn flag(long: &'static str, short: Option<char>, value: &'static str, help: &'static str) -> Flag {
    Flag { long, short, value, help }
}

/// Every flag of `run`.
pub(crate) const FLAGS: &[Flag] = &[
    flag(
        "bind",
        Some('b'),
        "ADDR",
        "where to listen: host:port, [::]:port, unix:PATH or fd://N;\na host alone: at port 8000; may be repeated (default 127.0.0.1)",
    ),
    flag("workers", Some('w'), "N|auto", "worker processes (default auto: one for each core, at least 2)"),
    flag("threads", None, "N", "requests that one worker works on at a time (default 1)"),
    flag(
        "timeout",
        Some('t'),
        "TIME",
        "a request that takes longer is answered 504 and its worker\nreplaced; 0 for never (default 30s)",
    ),
    flag(
        "graceful-timeout",
        None,
        "TIME",
        "how long a worker that leaves, and a stop, may finish what it has\n(default 30s)",
    ),
    flag("max-requests", None, "N", "replace a worker after so many requests (default 0: never)"),
    flag("max-requests-jitter", None, "N", "up to so many more, by chance (default 0)"),
    flag("max-rss", None, "SIZE", "replace a worker that has grown to this (default: never)"),
    flag("factory", None, "", "APP is a function that returns the application"),
    flag(
        "reload",
        None,
        "",
        "replace the workers when a file of the app changes (development);\none worker where no number is given",
    ),
    flag("chdir", None, "DIR", "the app's directory (default: this one)"),
    flag("python", None, "PATH", "the app's interpreter (default $VIRTUAL_ENV, ./.venv, python3)"),
    flag("output", None, "prefixed|raw", "whether what the app prints is logged behind its name, or as it is"),
    flag("new-privileges", None, "", "let the app get rights by the programs that it starts (sudo, sendmail)"),
    flag("env", Some('e'), "K=V", "a variable for the app; may be repeated"),
    flag("static", None, "PREFIX=DIR", "answer paths below PREFIX from the files in DIR; may be repeated"),
    flag("script-name", None, "PATH", "where the app is mounted: what stands before its own paths, as /shop"),
    flag("merge-slashes", None, "on|off", "whether // in a path is one slash (default on)"),
    flag("body-max", None, "SIZE", "largest request body (default 32MiB; 0 for no limit)"),
    flag(
        "client-connections",
        None,
        "N",
        "connections of one client that is no trusted proxy (default 256; 0 for any number)",
    ),
    flag("head-max", None, "SIZE", "largest request head (default 32KiB)"),
    flag("head-line-max", None, "SIZE", "longest header line (default 8190)"),
    flag("head-lines-max", None, "N", "most header lines of a request (default 100)"),
    flag("target-max", None, "SIZE", "longest request target (default 8KiB)"),
    flag("queue-size", None, "N", "requests that may wait for a worker (default 256)"),
    flag("queue-max-wait", None, "TIME", "how long a request may wait for a worker (default 10s)"),
    flag(
        "trusted-proxy",
        None,
        "NETWORK|unix",
        "believe what proxies there say of their clients (X-Forwarded-*);\nmay be repeated (default: nobody)",
    ),
    flag("access-log", None, "-|FILE|off", "where a line for each request goes (default off)"),
    flag(
        "access-log-format",
        None,
        "FORM",
        "what such a line looks like: combined, json, or nginx's variables\nas in '$remote_addr \"$request\" $status' (default combined)",
    ),
    flag("edge-threads", None, "N|auto", "event loops of the edge (default auto: one for each core)"),
];

/// Flags of Gunicorn and uWSGI, and what is to be written for each.
pub(crate) const FOREIGN: &[(&str, &str)] = &[
    ("access-logfile", "write '--access-log -' or '--access-log FILE'"),
    ("access-logformat", "write '--access-log-format FORM', with nginx's variables"),
    ("backlog", "requests that wait for a worker are '--queue-size N'"),
    ("c", "'hallway run' reads no file; write flags or variables, or a hallway.toml for 'hallway serve'"),
    ("certfile", "'hallway serve' has certificates: tls = { cert = \"…\", key = \"…\" } of a site"),
    ("config", "'hallway run' reads no file; write flags or variables, or a hallway.toml for 'hallway serve'"),
    ("D", "let systemd, or what starts it, keep it in the background; take it out"),
    ("daemon", "let systemd, or what starts it, keep it in the background; take it out"),
    ("error-logfile", "what goes wrong is said on standard error; take it out"),
    ("forwarded-allow-ips", "write '--trusted-proxy NETWORK'"),
    ("group", "start it as the app's own user; take it out"),
    ("http", "write '--bind HOST:PORT'"),
    ("http-socket", "write '--bind HOST:PORT'"),
    ("interface", "applications are WSGI; ASGI is not built yet; take it out"),
    ("k", "workers take whole requests, so that slow clients hold none; take it out, or write '--threads N'"),
    ("keep-alive", "connections of clients are kept by the edge, for 75 s; take it out"),
    ("keyfile", "'hallway serve' has certificates: tls = { cert = \"…\", key = \"…\" } of a site"),
    ("limit-request-field-size", "write '--head-line-max SIZE'"),
    ("limit-request-fields", "write '--head-lines-max N'"),
    ("limit-request-line", "write '--target-max SIZE'"),
    ("log-file", "what goes wrong is said on standard error; take it out"),
    ("log-level", "what goes wrong is said on standard error; take it out"),
    ("module", "write the module by itself: 'hallway run shop:app'"),
    ("pid", "what starts it knows the process; take it out"),
    ("preload-app", "this is not built yet; take it out"),
    ("processes", "write '--workers N'"),
    ("proxy-protocol", "it is told by its first bytes: write '--trusted-proxy NETWORK'"),
    ("pythonpath", "write '--env PYTHONPATH=DIR', or '--chdir DIR'"),
    ("socket", "write '--bind unix:PATH'"),
    ("u", "start it as the app's own user; take it out"),
    ("umask", "a socket has the mode that the umask of this shell gives it: 'umask 007' before it"),
    ("user", "start it as the app's own user; take it out"),
    ("virtualenv", "write '--python DIR/bin/python'"),
    (
        "worker-class",
        "workers take whole requests, so that slow clients hold none; take it out, or write '--threads N'",
    ),
    ("worker-connections", "as many as there are descriptors for (ulimit -n); take it out"),
    ("worker-tmp-dir", "there is none; take it out"),
    ("wsgi-file", "write the module by itself: 'hallway run shop:app'"),
];
