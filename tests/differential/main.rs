//! In:     byte streams: listed attacks, and streams made by chance of sound and broken parts.
//! Out:    the requests that our HTTP/1 engine sees in each, beside those that hyper sees.
//! Actors: both engines on the same bytes; replay: `SEED=7 cargo test --test differential`.
//! Never:  do they see different requests, or hyper refuse what ours takes, but for what is listed here.

#![allow(
    clippy::disallowed_macros,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod ours;
mod streams;
mod theirs;

use std::collections::BTreeMap;

/// One request as an engine saw it: method, target, body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    method: String,
    target: String,
    body: Vec<u8>,
}

/// What an engine made of a stream: requests, then why it stopped, if not at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    seen: Vec<Seen>,
    refused: Option<String>,
}

/// Where hyper goes on and hallway refuses, by hallway's own words. Each is stricter on purpose.
const STRICTER: &[(&str, &str)] = &[
    ("There is no Host.", "RFC 9112, 3.2 asks for 400; hyper leaves it to its user"),
    ("There is more than one Host.", "as above"),
    ("The Host is not a host and port.", "as above"),
    ("There are both Content-Length and Transfer-Encoding.", "RFC 9112, 6.1 lets a server refuse it; hyper goes on"),
    ("There is more than one Content-Length.", "RFC 9112, 6.3 lets a server refuse equal ones too; hyper takes those"),
    ("There is more than one Transfer-Encoding.", "hyper takes two lines for one list"),
    ("The Transfer-Encoding does not say where the body ends.", "hyper looks at the end of the list alone"),
    ("The only transfer coding taken here is chunked.", "hyper passes other codings on to its user"),
    ("A line does not end with CR LF.", "RFC 9112, 2.2 lets a recipient take a bare LF; hyper does"),
    ("The chunked body is malformed.", "hyper takes white space behind a chunk's size"),
    ("A chunk extension is malformed.", "RFC 9112, 7.1.1 has a grammar for it; hyper passes over it"),
    ("A trailer line is malformed.", "hyper reads trailers only when its user asks for them"),
    ("A trailer line says what only the head may say.", "RFC 9110, 6.5.1 forbids it to senders; hyper drops it"),
    ("There is more than one Content-Type.", "RFC 9110, 5.3 forbids it to senders; hyper leaves it to its user"),
    ("A header looks like one that says where the body ends.", "some apps read _ as -; hyper has no opinion"),
    ("The request target is not a valid address.", "hyper leaves targets such as * to its user"),
    ("The path has a percent sign without two hexadecimal digits.", "RFC 3986, 2.1; hyper leaves it to its user"),
    ("The only expectation this server meets is 100-continue.", "hyper leaves it to its user"),
];

/// Where hallway goes on and hyper refuses, by hyper's own words.
const LOOSER: &[(&str, &str)] =
    &[("invalid HTTP version parsed", "RFC 9110, 2.5: a later HTTP/1 is served as HTTP/1.1; hyper refuses it")];

/// What was compared, and each kind of disagreement that is not listed, with an example.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<String, u32>,
    unlisted: BTreeMap<String, String>,
}

impl Tally {
    fn compare(&mut self, stream: &[u8]) {
        let (ours, theirs) = (ours::read(stream), theirs::read(stream));
        let both = ours.seen.len().min(theirs.seen.len());
        let (reason, is_listed) = if ours.seen[..both] != theirs.seen[..both] {
            (format!("they see different requests: {:?} and {:?}", ours.seen, theirs.seen), false)
        } else if ours.seen.len() < theirs.seen.len() {
            let why = ours.refused.unwrap_or_else(|| "it ended".into());
            let is_listed = STRICTER.iter().any(|(words, _)| why == *words);
            (format!("hyper takes what hallway refuses: {why}"), is_listed)
        } else if ours.seen.len() > theirs.seen.len() {
            let why = theirs.refused.unwrap_or_else(|| "it ended".into());
            let is_listed = LOOSER.iter().any(|(words, _)| why == *words);
            (format!("hallway takes what hyper refuses: {why}"), is_listed)
        } else {
            (format!("{both} requests"), true)
        };
        if !is_listed {
            self.unlisted.insert(reason.clone(), String::from_utf8_lossy(stream).replace('\r', "\\r"));
        }
        *self.counts.entry(reason).or_default() += 1;
    }

    fn assert_all_listed(&self) {
        let examples: Vec<String> = self.unlisted.iter().map(|(why, stream)| format!("{why}\n{stream}")).collect();
        assert!(examples.is_empty(), "disagreements that are not listed:\n\n{}", examples.join("\n\n"));
    }
}

#[test]
fn listed_attacks() {
    let mut tally = Tally::default();
    for stream in streams::LISTED {
        tally.compare(stream.as_bytes());
        let seen = ours::read(stream.as_bytes()).seen;
        assert!(!seen.iter().any(|seen| seen.target == "/smuggled"), "smuggled in {stream:?}");
    }
    tally.assert_all_listed();
}

#[test]
fn streams_made_by_chance() {
    let seeds: Vec<u64> = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..40_000).collect(),
    };
    let mut tally = Tally::default();
    for seed in &seeds {
        tally.compare(&streams::by_chance(*seed));
    }
    println!("{:#?}", tally.counts);
    tally.assert_all_listed();
    // Both ways were walked: a comparison of refusals alone would show nothing.
    let taken = ["1 requests", "2 requests", "3 requests"].map(|kind| tally.counts.get(kind).copied().unwrap_or(0));
    assert!(seeds.len() == 1 || taken.iter().all(|count| *count > 1000), "{taken:?}");
    for (words, _) in STRICTER.iter().filter(|_| seeds.len() > 1) {
        let met = tally.counts.keys().any(|reason| reason.ends_with(words));
        assert!(met, "'{words}' is listed and was never met: it is no disagreement any more");
    }
}
