//! In:     a word of another server's configuration.
//! Out:    what it is here.
//! Actors: none.
//! Never:  is a word explained where the key that it stands for may not be.

use super::declare::{Key, Kind};
use super::foreign::{ADVICE, WORDS};
use super::tables::{APP, FILE, LOG, POOL, ROUTE, SERVER, SITE, TLS};
use crate::near::{is_slip, nearest};

/// What the same words of other servers are in one table only.
const KEYS: &[(&str, &str)] = &[
    ("address", "url"),
    ("backends", "servers"),
    ("ca_cert", "ca"),
    ("ca_file", "ca"),
    ("checks", "health"),
    ("directory", "dir"),
    ("headers", "request_headers"),
    ("inter", "every"),
    ("interval", "every"),
    ("health_interval", "every"),
    ("keepalive", "keep_alive"),
    ("max_conns", "max_connections"),
    ("maxconn", "max_connections"),
    ("members", "servers"),
    ("method", "balance"),
    ("proxy_read_timeout", "answer_timeout"),
    ("proxy_ssl_name", "name"),
    ("proxy_ssl_trusted_certificate", "ca"),
    ("proxy_ssl_verify", "verify"),
    ("read_timeout", "answer_timeout"),
    ("retries", "retry"),
    ("server", "servers"),
    ("server_name", "name"),
    ("sni", "name"),
    ("target", "url"),
    ("timeout", "answer_timeout"),
    ("to", "servers"),
    ("uri", "path"),
    ("websocket_timeout", "tunnel_timeout"),
    ("log", "access"),
];

/// What is no key, where there is this one, and is said in another way.
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
    ("keepalive_timeout", "keep_alive", "write keep_alive = { idle = \"30s\" }"),
    ("tls", "proxy", "how a server is known stands in its pool: [pool.NAME] with servers and tls = { … }"),
    ("proxy_read_timeout", "proxy", "write timeout = \"60s\""),
    ("try_files", "php", "write php = { root = \"/srv/app/public\", front = \"index.php\" }"),
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

/// Tables in which a key may stand, and how they are called.
const PLACES: &[(&str, &[Key])] = &[
    ("a route", ROUTE),
    ("a site", SITE),
    ("[server]", SERVER),
    ("[log]", LOG),
    ("[pool.NAME]", POOL),
    ("[app.NAME]", APP),
    ("the tls of a site", TLS),
];

/// What an unknown key is most likely meant to be.
pub(super) struct Meant {
    /// The key here, where it is one of this table.
    pub(super) key: Option<&'static str>,
    /// What to do.
    pub(super) mend: String,
}

/// What this word is where there are these keys: a word of another server, a key of another table, or a slip.
pub(super) fn explain(word: &str, keys: &'static [Key]) -> Option<Meant> {
    let own = |name: &str| keys.iter().find(|key| key.name == name).map(|key| key.name);
    let plain = word.to_ascii_lowercase().replace('-', "_");
    let phrase = PHRASES.iter().find(|(known, beside, _)| *known == plain && own(beside).is_some());
    if let Some((.., mend)) = phrase {
        return Some(Meant { key: None, mend: (*mend).to_owned() });
    }
    let synonym = KEYS.iter().filter(|(known, _)| *known == plain).find_map(|(_, ours)| own(ours));
    // A key in other letters: `Body-Max`.
    if let Some(key) = synonym.or_else(|| own(&plain).filter(|_| plain != word)) {
        return Some(Meant { key: Some(key), mend: format!("here it is '{key}'") });
    }
    let foreign = WORDS.iter().filter(|(known, _)| *known == plain);
    let examples: Vec<(&str, &str)> = foreign.map(|(_, example)| (key_of(example), *example)).collect();
    if let Some((key, example)) = examples.iter().find_map(|(key, example)| Some((own(key)?, example))) {
        return Some(Meant { key: Some(key), mend: format!("here it is '{key}', as in {example}") });
    }
    let elsewhere = examples.first().and_then(|(key, example)| Some(format!("write {example} in {}", places(key)?)));
    let advice = ADVICE.iter().find(|(known, _)| *known == plain).map(|(_, mend)| (*mend).to_owned());
    if let Some(mend) = if keys.len() == FILE.len() { advice.or(elsewhere) } else { elsewhere.or(advice) } {
        return Some(Meant { key: None, mend });
    }
    let built = || keys.iter().filter(|key| !matches!(key.kind, Kind::Later)).map(|key| key.name);
    if let Some(places) = places(&plain).filter(|_| !built().any(|key| is_slip(word, key))) {
        return Some(Meant { key: None, mend: format!("it stands in {places}") });
    }
    if PLACES.iter().any(|(_, keys)| keys.iter().any(|key| key.name == plain && matches!(key.kind, Kind::Later))) {
        return Some(Meant { key: None, mend: format!("'{plain}' is not built yet in this version; take it out") });
    }
    if let Some((key, mend)) = inside(&plain, keys).filter(|_| !built().any(|key| is_slip(word, key))) {
        return Some(Meant { key: Some(key), mend });
    }
    let near = nearest(word, built()).and_then(own)?;
    Some(Meant { key: Some(near), mend: format!("did you mean '{near}'?") })
}

/// The key that an example begins with.
fn key_of(example: &str) -> &str {
    example.split(' ').next().unwrap_or_default()
}

/// The key here in whose table the word stands: `list` in `files`.
fn inside(word: &str, keys: &'static [Key]) -> Option<(&'static str, String)> {
    fn has_it(kind: &Kind, word: &str) -> bool {
        match kind {
            Kind::Table(keys) => keys.iter().any(|key| key.name == word),
            Kind::OneOrMore(kind) | Kind::List(kind) => has_it(kind, word),
            Kind::Either(kinds) => kinds.iter().any(|kind| has_it(kind, word)),
            _ => false,
        }
    }
    let outer = keys.iter().find(|key| has_it(&key.kind, word))?.name;
    Some((outer, format!("it stands in '{outer}': {outer} = {{ {word} = … }}")))
}

/// Where there is such a key.
fn places(key: &str) -> Option<String> {
    let has_it = |keys: &[Key]| keys.iter().any(|one| one.name == key && !matches!(one.kind, Kind::Later));
    let found: Vec<&str> = PLACES.iter().filter(|(_, keys)| has_it(keys)).map(|(place, _)| *place).collect();
    (!found.is_empty()).then(|| found.join(" or "))
}

/// The way to choose that is meant by this word.
pub(super) fn balance(word: &str) -> Option<&'static str> {
    BALANCES.iter().find(|(known, _)| *known == word).map(|(_, ours)| *ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_others_leads_to_a_key() {
        for (word, example) in WORDS {
            assert!(places(key_of(example)).is_some(), "{word}: there is no key as in {example}");
            assert_eq!(word.to_ascii_lowercase(), *word, "words are compared in small letters");
        }
    }

    #[test]
    fn words_of_nginx_caddy_and_apache_are_known_wherever_they_stand() {
        let of_nginx = "proxy_pass try_files root alias listen server_name client_max_body_size gzip proxy_set_header \
                        add_header return rewrite location upstream ssl_certificate error_page keepalive_timeout limit_req \
                        limit_conn expires auth_basic autoindex proxy_read_timeout resolver access_log error_log include \
                        set_real_ip_from index if set map sendfile worker_processes ssl_protocols proxy_buffering internal";
        let of_others = "reverse_proxy file_server encode handle_path php_fastcgi redir header basicauth tls bind \
                         ServerName DocumentRoot ProxyPass RewriteRule ErrorDocument SSLCertificateFile WSGIScriptAlias \
                         RequestHeader VirtualHost Require";
        for word in of_nginx.split_whitespace().chain(of_others.split_whitespace()) {
            for (place, keys) in PLACES {
                if !keys.iter().any(|key| key.name == word) {
                    let meant = explain(word, keys).map(|meant| meant.mend);
                    let is_told = meant.as_ref().is_some_and(|mend| !mend.contains("did you mean"));
                    assert!(is_told, "{word} in {place}: {meant:?}");
                }
            }
        }
    }

    #[test]
    fn a_word_is_explained_by_where_it_stands() {
        let mend = |word: &str, keys| explain(word, keys).map(|meant| meant.mend).unwrap_or_default();
        assert_eq!(mend("proxy_pass", ROUTE), "here it is 'proxy', as in proxy = \"http://127.0.0.1:9000\"");
        assert_eq!(mend("proxy_pass", SITE), "write proxy = \"http://127.0.0.1:9000\" in a route");
        assert_eq!(mend("client_max_body_size", APP), "write body_max = \"10MiB\" in a route or a site or [server]");
        assert_eq!(mend("workers", SITE), "it stands in [app.NAME]");
        assert_eq!(mend("Body-Max", SITE), "here it is 'body_max'");
        assert_eq!(mend("routs", SITE), "did you mean 'routes'?");
        assert_eq!(mend("zzzzzzz", SITE), "");
    }
}
