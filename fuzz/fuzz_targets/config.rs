//! In:     any text as a configuration file, or as the flags of a run, with files of a machine that is made of data.
//! Out:    a plan that can be served and shown, or remarks that say where.
//! Actors: libFuzzer.
//! Never:  is a remark about a line that the file does not have, or a plan another one when what is shown of it is read.

#![no_main]

use hallway_config::machine::{Access, Given};
use hallway_config::settings::{Raw, Written, plan_of_run};
use hallway_config::{Model, Wanted, effective, inspect, load, routes, summary};
use hallway_core::plan::{Plan, User};
use hallway_core::route::Sites;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::path::Path;

const MAIN: &str = "/etc/hallway/hallway.toml";
const BESIDE: &str = "/etc/hallway/conf.d/more.toml";

/// What stands between the files of an input: the main one, one of `conf.d`, a file of variables.
const NEXT_FILE: &str = "\n#### next file\n";

/// Flags of `hallway run` that have a value of any kind.
const FLAGS: &[&str] = &[
    "bind",
    "workers",
    "threads",
    "timeout",
    "max-requests",
    "max-rss",
    "factory",
    "reload",
    "chdir",
    "python",
    "output",
    "env",
    "static",
    "script-name",
    "merge-slashes",
    "body-max",
    "client-connections",
    "head-max",
    "head-lines-max",
    "target-max",
    "queue-size",
    "trusted-proxy",
    "access-log",
    "access-log-format",
    "edge-threads",
];

/// Lines that mean something: those of the documents and of what is tested.
const LINES: &[&str] = &[
    include_str!("../../crates/config/cases/broken.txt"),
    include_str!("../../docs/CONFIGURATION.md"),
    include_str!("../../examples/myapp/hallway.toml"),
    include_str!("../../examples/strangler/hallway.toml"),
];

fn machine(parts: &[&str]) -> Model {
    let mut machine = Model::default()
        .with(MAIN, parts[0])
        .with("/srv/shop/static/index.html", "index")
        .with("/srv/shop/.venv/bin/python", "python")
        .with("/etc/hallway/shop.pem", "certificate")
        .with("/etc/hallway/shop.key", "key")
        .with("/etc/hallway/ca.pem", "authorities")
        .with("/etc/hallway/htpasswd", "alice:$2y$05$c4WoMPo3SXsafkva.HHa6u\n")
        .with("/etc/hallway/errors/404.html", "none");
    machine.directory = "/etc/hallway".into();
    machine.variables.insert("HOME".into(), "/srv/shop".into());
    if let Some(more) = parts.get(1) {
        machine = machine.with(BESIDE, more);
    }
    if let Some(variables) = parts.get(2) {
        machine = machine.with("/etc/hallway/.env", variables);
        machine.given = Given { any: true, encrypted: true };
        machine.is_root = true;
        let user = |name: &str, uid| User { name: name.into(), home: "/".into(), uid, gid: uid, groups: vec![uid] };
        machine.users = vec![user("nobody", 65_534), user("shop", 1_000)];
        machine.closed = vec![("nobody".into(), "/srv/shop/static".into(), Access::Pass)];
    }
    machine
}

/// A plan as data.
fn told(plan: &Plan) -> serde_json::Value {
    serde_json::to_value(plan).expect("a plan goes to the edge as JSON")
}

/// What can be read again: all but secrets, and paths that are relative to another file.
fn check_shown(machine: &Model, plan: &Plan) {
    let shown = effective(Path::new(MAIN), machine, plan);
    if shown.contains('…') || machine.files.contains_key(Path::new(BESIDE)) {
        return;
    }
    let again = machine.clone().with(MAIN, &shown);
    match load(Path::new(MAIN), &again, Wanted::WhatCanBeServed) {
        Ok((again, _)) => assert_eq!(told(plan), told(&again), "{shown}"),
        Err(said) => panic!("what is shown cannot be read: {said}\n{shown}"),
    }
}

fn check_file(text: &str) {
    let parts: Vec<&str> = text.split(NEXT_FILE).collect();
    let machine = machine(&parts);
    let (plan, remarks) = inspect(Path::new(MAIN), &machine);
    for remark in &remarks {
        let position = remark.position.as_ref().unwrap_or_else(|| panic!("this is said of no place: {remark:?}"));
        let text = &machine.files[&position.file];
        let line = text.split('\n').nth(position.line - 1);
        let columns = line.unwrap_or_else(|| panic!("there is no such line: {remark:?}")).chars().count() + 1;
        assert!((1..=columns).contains(&position.column), "there is no such column: {remark:?}");
    }
    let is_whole = load(Path::new(MAIN), &machine, Wanted::Everything);
    let Some(plan) = plan else {
        assert!(is_whole.is_err() && !remarks.is_empty());
        return;
    };
    summary(&plan);
    routes(&plan);
    Sites::new(&plan).expect("a plan that is taken can be served");
    let bytes = serde_json::to_vec(&plan).expect("a plan goes to the edge as JSON");
    let read: Plan = serde_json::from_slice(&bytes).expect("the edge reads the plan");
    assert_eq!(told(&plan), told(&read));
    check_shown(&machine, &plan);
}

/// Lines of `FLAG=VALUE` behind the word that names the app.
fn check_flags(text: &str) {
    let mut lines = text.lines();
    let mut raw = Raw::of(lines.next().unwrap_or_default());
    for line in lines {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let Some(flag) = FLAGS.iter().find(|flag| **flag == name) else { continue };
        raw.put(flag, Written { text: value.into(), origin: format!("--{flag}") });
    }
    if let Ok(plan) = plan_of_run(&raw, &machine(&[""])) {
        Sites::new(&plan).expect("a plan that is taken can be served");
        routes(&plan);
    }
}

fuzz_target!(|text: &str| {
    match text.strip_prefix("run ") {
        Some(flags) => check_flags(flags),
        None => check_file(text),
    }
});

/// A number that follows from the one before it.
fn next(seed: &mut u32) -> usize {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*seed >> 8) as usize
}

fn pick<'a>(texts: &[&'a str], seed: &mut u32) -> &'a str {
    let text = texts[next(seed) % texts.len()];
    let at = next(seed) % text.len().max(1);
    let begin = text.as_bytes()[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    text[begin..].lines().next().unwrap_or_default()
}

/// Letters of two, three and four bytes, and what TOML and patterns mean something by.
const LETTERS: &[char] = &['ä', '€', '𝄞', '\u{7f}', '"', '\\', '{', '}', '$', '*', '/', ':', '%', ',', '\n'];

/// Lines taken out, doubled, or put in from the documents.
fn with_other_lines(text: &str, seed: &mut u32) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    for _ in 0..=next(seed) % 3 {
        let at = next(seed) % (lines.len() + 1);
        match next(seed) % 4 {
            0 if at < lines.len() => drop(lines.remove(at)),
            1 if at < lines.len() => lines.insert(at, lines[at]),
            2 if at < lines.len() => lines[at] = pick(LINES, seed),
            _ => lines.insert(at, pick(LINES, seed)),
        }
    }
    lines.join("\n")
}

/// One letter more, mostly in a string: behind a quote, or close before one.
fn with_a_letter(text: &str, seed: &mut u32) -> String {
    let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
    let at = match quotes.len() {
        0 => next(seed) % (text.len() + 1),
        count => (quotes[next(seed) % count] + 1).saturating_sub(next(seed) % 5),
    };
    let at = text.floor_char_boundary(at);
    let letter = LETTERS[next(seed) % LETTERS.len()];
    format!("{}{letter}{}", &text[..at], &text[at..])
}

// Bytes alone seldom make a file that means something.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut seed = seed;
    let text = String::from_utf8_lossy(&data[..size]).into_owned();
    let whole = match next(&mut seed) % 4 {
        0 => return fuzzer_mutate(data, size, max_size),
        1 => with_a_letter(&text, &mut seed),
        _ => with_other_lines(&text, &mut seed),
    };
    let most = whole.floor_char_boundary(max_size.min(data.len()));
    data[..most].copy_from_slice(&whole.as_bytes()[..most]);
    most
});
