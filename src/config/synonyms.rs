//! In:     a word of another server's configuration.
//! Out:    what it is here.
//! Actors: none.
//! Never:  is a word explained where the key that it stands for may not be.

use super::declare::Key;

/// What nginx, HAProxy, Caddy and Traefik call things, and the keys here.
const KEYS: &[(&str, &str)] = &[
    ("address", "url"),
    ("algorithm", "balance"),
    ("alias", "files"),
    ("backend", "pool"),
    ("backends", "servers"),
    ("ca_cert", "ca"),
    ("ca_file", "ca"),
    ("check", "health"),
    ("checks", "health"),
    ("client_max_body_size", "body_max"),
    ("expires", "cache_control"),
    ("fastcgi_pass", "proxy"),
    ("file_server", "files"),
    ("healthcheck", "health"),
    ("health_check", "health"),
    ("inter", "every"),
    ("interval", "every"),
    ("keepalive_timeout", "idle_timeout"),
    ("keepalive", "keep_alive"),
    ("lb_policy", "balance"),
    ("lb_method", "balance"),
    ("limit_req", "limit"),
    ("listen", "http"),
    ("location", "path"),
    ("max_conns", "max_connections"),
    ("maxconn", "max_connections"),
    ("members", "servers"),
    ("method", "balance"),
    ("proxy_connect_timeout", "connect_timeout"),
    ("proxy_pass", "proxy"),
    ("proxy_read_timeout", "answer_timeout"),
    ("proxy_request_buffering", "buffer_requests"),
    ("proxy_set_header", "request_headers"),
    ("headers", "request_headers"),
    ("read_timeout", "answer_timeout"),
    ("retries", "retry"),
    ("return", "redirect"),
    ("reverse_proxy", "proxy"),
    ("root", "files"),
    ("routes", "site"),
    ("server_name", "name"),
    ("slowstart", "slow_start"),
    ("sni", "name"),
    ("ssl", "tls"),
    ("ssl_certificate", "cert"),
    ("ssl_certificate_key", "key"),
    ("static", "files"),
    ("strip_prefix", "strip"),
    ("target", "url"),
    ("timeout", "answer_timeout"),
    ("upstream", "pool"),
    ("upstreams", "servers"),
    ("uri", "path"),
    ("uwsgi_pass", "proxy"),
    ("websocket_timeout", "tunnel_timeout"),
];

/// What is no key, where there are these, and is said in another way.
const PHRASES: &[(&str, &str, &str)] = &[
    (
        "fail_timeout",
        "max_connections",
        "the pool says it for all of its servers: eject = { after = 3, for = \"10s\" }",
    ),
    ("max_fails", "max_connections", "the pool says it for all of its servers: eject = { after = 3, for = \"10s\" }"),
    ("down", "max_connections", "write weight = 0, or take the server out"),
    ("answer_timeout", "proxy", "write timeout = \"60s\""),
    ("balance", "proxy", "it stands in the pool: [pool.NAME]"),
    ("health", "proxy", "it stands in the pool: [pool.NAME]"),
    ("host", "proxy", "it stands in the pool: [pool.NAME]"),
    ("sticky", "proxy", "it stands in the pool: [pool.NAME]"),
    ("insecure_skip_verify", "verify", "write verify = false"),
    ("tls", "proxy", "how a server is known stands in its pool: [pool.NAME] with servers and tls = { … }"),
    ("request_headers", "proxy", "it stands in the pool: [pool.NAME] with servers and request_headers = { … }"),
    ("proxy_set_header", "proxy", "it stands in the pool: [pool.NAME] with servers and request_headers = { … }"),
    ("proxy_read_timeout", "proxy", "write timeout = \"60s\""),
    ("try_files", "files", "write files = { dir = \"…\", fallback = \"index.html\" }"),
    ("upstream", "site", "write [pool.NAME]"),
    ("location", "site", "write a route in its site: { path = \"/…\", … }"),
];

/// How nginx, HAProxy and Caddy name ways to choose a server.
const BALANCES: &[(&str, &str)] = &[
    ("ewma", "latency"),
    ("ip_hash", "hash:client"),
    ("least-connections", "least-outstanding"),
    ("least_conn", "least-outstanding"),
    ("least_time", "latency"),
    ("leastconn", "least-outstanding"),
    ("peak_ewma", "latency"),
    ("random", "latency"),
    ("source", "hash:client"),
    ("uri", "hash:path"),
    ("uri_hash", "hash:path"),
];

/// What this word is where there are these keys.
pub(super) fn explain(word: &str, keys: &[Key]) -> Option<String> {
    let is_here = |name: &str| keys.iter().any(|key| key.name == name);
    let phrase = PHRASES.iter().find(|(known, beside, _)| *known == word && is_here(beside));
    let key = KEYS.iter().find(|(known, ours)| *known == word && is_here(ours));
    phrase.map(|(.., mend)| (*mend).to_owned()).or_else(|| key.map(|(_, ours)| format!("here it is '{ours}'")))
}

/// The way to choose that is meant by this word.
pub(super) fn balance(word: &str) -> Option<&'static str> {
    BALANCES.iter().find(|(known, _)| *known == word).map(|(_, ours)| *ours)
}
