//! In:     the sources of this project.
//! Out:    the house rules, checked; each failure says the rule and its reason.
//! Actors: none.
//! Never:  is an exemption silent: each is named here with its reason.

#![allow(clippy::disallowed_macros, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines at which a file must be split by subject.
const FILE_LINES_MAX: usize = 500;

/// Files that may hold `unsafe`, and what for. Each block has a SAFETY comment (clippy sees to it).
const UNSAFE_FILES: &[(&str, &str)] = &[
    ("src/allocator.rs", "memory is given and taken back by a library in C"),
    ("crates/workers/src/inherit.rs", "a descriptor is taken over by its number"),
    ("crates/workers/src/spawn.rs", "code between fork and exec"),
    ("src/stacks/mod.rs", "a thread walks its own stack in the handler of a signal"),
    ("crates/workers/src/terminal.rs", "a filter of system calls is handed to the kernel"),
    ("crates/pyworker/src/descriptors.rs", "a descriptor is taken over by its number"),
    ("crates/net/src/runtime/readable_fd.rs", "a descriptor is watched by the poll of tokio"),
    ("crates/ring/src/beats.rs", "memory that two processes share"),
    ("crates/ring/src/memory.rs", "memory that two processes share"),
    ("crates/ring/src/memory_model.rs", "the model of that memory, for loom"),
];

/// Who may import whom (see ARCHITECTURE.md): an arrow that is not here is a wall.
const ARROWS: &[(&str, &[&str])] = &[
    ("crates/core", &[]),
    ("crates/config", &["hallway-core"]),
    ("crates/ring", &[]),
    ("crates/net", &["hallway-core"]),
    ("crates/edge", &["hallway-core", "hallway-net", "hallway-ring"]),
    ("crates/workers", &["hallway-core", "hallway-ring"]),
    ("crates/pyworker", &["hallway-core", "hallway-ring"]),
    (".", &["hallway-config", "hallway-core", "hallway-edge", "hallway-workers"]),
];

/// Within the edge: who is on which floor, and whom it may import beside its own. Arrows run downwards only, so that a floor
/// can be understood, built and tested without those above it; a handler that knew another could not be had without it.
const FLOORS: &[(&str, &[&str])] = &[
    ("request", &[]),
    ("handlers/app", &["request"]),
    ("handlers/files", &["request"]),
    ("handlers/pool", &["request"]),
    ("journey", &["handlers/app", "handlers/files", "handlers/pool", "request"]),
    ("server", &["journey", "handlers/app", "handlers/files", "handlers/pool", "request"]),
];

/// What core may use beside the standard library: no runtime, no operating system.
const CORE_DEPENDENCIES: &[&str] =
    &["base64", "foldhash", "httparse", "httpdate", "memchr", "mime_guess", "serde", "sha1", "xxhash-rust"];

/// Words that say nothing of what a thing is.
const EMPTY_NAMES: &[&str] = &["manager", "helper", "helpers", "util", "utils", "common", "misc"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below the root that git would track, with this ending; `vendor` has what others wrote.
fn sources(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let path = entry.path();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "vendor" && name != "__pycache__"
            {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {ending} files were found: the check itself is broken");
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The floor that a path below `crates/edge/src`, or behind `crate::`, belongs to.
fn floor_of<'a>(path: &str) -> Option<&'a str> {
    let path = path.replace("::", "/");
    FLOORS.iter().map(|(floor, _)| *floor).find(|floor| path == *floor || path.starts_with(&format!("{floor}/")))
}

#[test]
fn arrows_in_the_edge_run_downwards() {
    let folder = root().join("crates/edge/src");
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for path in sources(".rs").into_iter().filter(|path| path.starts_with(&folder)) {
        let inside = path.strip_prefix(&folder).unwrap().to_str().unwrap();
        let (text, Some(own)) = (fs::read_to_string(&path).unwrap(), floor_of(inside)) else { continue };
        let (_, may) = FLOORS.iter().find(|(floor, _)| *floor == own).unwrap();
        for (at, _) in text.match_indices("crate::") {
            let named: String = text[at + 7..]
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || "_:".contains(*letter))
                .collect();
            let Some(other) = floor_of(&named) else { continue };
            seen += 1;
            if other != own && !may.contains(&other) {
                let line = text[..at].matches('\n').count() + 1;
                wrong.push(format!("{}:{line}: {own} imports {other}", shown(&path)));
            }
        }
    }
    assert!(seen > 100, "the check itself is broken: {seen} imports were seen");
    assert!(
        wrong.is_empty(),
        "these run upwards, or from one handler to another; what both need belongs below both, or is handed down by who \
         calls (FLOORS in tests/tidy.rs):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_file_opens_with_the_four_lines() {
    let mut wrong = Vec::new();
    for path in sources(".rs") {
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let opens = ["//! In:", "//! Out:", "//! Actors:", "//! Never:"];
        let mut at = 0;
        for line in lines.by_ref().take(12) {
            if at < 4 && line.starts_with(opens[at]) {
                at += 1;
            } else if !line.starts_with("//!") {
                break;
            }
        }
        if at < 4 {
            wrong.push(shown(&path));
        }
    }
    assert!(
        wrong.is_empty(),
        "a file says first what comes in, what goes out, who acts, and what never happens: {wrong:#?}"
    );
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<_> = sources(".rs")
        .into_iter()
        .chain(sources(".py"))
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), shown(&path)))
        .filter(|(lines, _)| *lines > FILE_LINES_MAX)
        .collect();
    assert!(
        long.is_empty(),
        "a file of more than {FILE_LINES_MAX} lines has more than one subject; split it: {long:#?}"
    );
}

#[test]
fn unsafe_is_where_it_is_named() {
    let marker = concat!("#![allow(", "unsafe_code)]");
    let allowed: BTreeMap<_, _> = UNSAFE_FILES.iter().copied().collect();
    let found: Vec<_> = sources(".rs")
        .into_iter()
        .filter(|path| fs::read_to_string(path).unwrap().contains(marker))
        .map(|path| shown(&path))
        .collect();
    let named: Vec<_> = allowed.keys().map(ToString::to_string).collect();
    assert_eq!(
        found,
        {
            let mut named = named;
            named.sort();
            named
        },
        "files that allow unsafe are named in this test, with their reason"
    );
}

#[test]
fn arrows_point_to_core() {
    for (folder, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let (_, dependencies) = manifest.split_once("\n[dependencies]\n").unwrap();
        let dependencies = dependencies.split("\n[").next().unwrap();
        let names =
            dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty());
        for name in names {
            let ours = name.starts_with("hallway");
            assert!(
                !ours || allowed.contains(&name),
                "{folder} may not import {name}: adapters never import each other, and nothing imports the program"
            );
            assert!(
                *folder != "crates/core" || CORE_DEPENDENCIES.contains(&name),
                "core decides and never acts; {name} is not among what it may use"
            );
        }
    }
    let crates = fs::read_dir(root().join("crates")).unwrap().count();
    assert_eq!(crates + 1, ARROWS.len(), "a new crate is a new wall: give it a line in ARROWS and in ARCHITECTURE.md");
}

#[test]
fn modules_are_nouns_of_the_domain() {
    let empty: Vec<_> = sources(".rs")
        .into_iter()
        .filter(|path| EMPTY_NAMES.contains(&path.file_stem().unwrap().to_str().unwrap()))
        .map(|path| shown(&path))
        .collect();
    assert!(empty.is_empty(), "a name that fits everything says nothing; docs/LEXICON.md has the words: {empty:?}");
}

#[test]
fn documents_name_things_not_lines() {
    for path in sources(".md") {
        for line in fs::read_to_string(&path).unwrap().lines() {
            let pinned = line.split(".rs:").skip(1).any(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
            assert!(
                !pinned,
                "{}: a line number is wrong after the next change; name the function: {line}",
                shown(&path)
            );
        }
    }
}

#[test]
fn every_dependency_is_chosen_in_one_line() {
    let chosen = fs::read_to_string(root().join("docs/DEPENDENCIES.md")).unwrap();
    for path in sources("Cargo.toml") {
        let manifest = fs::read_to_string(&path).unwrap();
        let sections = manifest.split("\n[").filter(|section| {
            let title = section.split(']').next().unwrap();
            title.ends_with("dependencies") && !title.starts_with("workspace")
        });
        for line in sections.flat_map(|section| section.lines().skip(1)) {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            if name.is_empty() || name.starts_with('#') || name.starts_with("hallway") {
                continue;
            }
            assert!(
                chosen.contains(&format!("| `{name}` |")),
                "{}: docs/DEPENDENCIES.md does not say why {name}",
                shown(&path)
            );
        }
    }
}
