//! In:     -
//! Out:    every key of a site.
//! Actors: none.
//! Never:  does a key of its routes stand here twice.

use super::kinds::{FIELD_NAME, NETWORK, PATH, TEXT, key, key_or};
use super::modifiers::{
    ALLOW, BANDWIDTH_KEY, BASIC_AUTH, BODY_MAX, CACHE_CONTROL, COMPRESS, CORS_KEY, DENY, HEADERS_KEY, INTERCEPT_ERRORS,
    LIMIT, REQUEST_HEADERS, REWRITE_ANSWERS, TIMEOUT,
};
use super::route::ROUTE;
use super::server::SITE_LOG;
use crate::declare::{Key, Kind};

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

const MAINTENANCE: &[Key] = &[
    key("file", PATH, "While this file is there everybody is answered 503."),
    key("page", PATH, "With this page."),
    key("allow", Kind::OneOrMore(&NETWORK), "But for clients in these networks."),
];
