//! In:     nodes on the command line of `hallway ring`.
//! Out:    the tables that a public text on consistent hashing prints.
//! Actors: the program.
//! Never:  is a number of it another one.

use serde_json::Value;
use std::process::Command;

fn ring(words: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hallway")).arg("ring").args(words).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn every_table_of_the_documents() {
    let documents: Value = serde_json::from_str(include_str!("../../crates/core/cases/ring-tables.json")).unwrap();
    for table in documents["tables"].as_array().unwrap() {
        let partitions = table["partitions_per_node"].to_string();
        let mut words = vec!["--json", "--hash", "sha1-28", "--partitions", &partitions];
        for name in table["nodes"].as_array().unwrap() {
            words.extend(["--node", name.as_str().unwrap()]);
        }
        let told: Value = serde_json::from_str(&ring(&words).1).unwrap();
        for key in ["nodes", "full", "simplified", "served_by_node", "total"] {
            if !table[key].is_null() {
                assert_eq!(told[key], table[key], "{key} of {words:?}");
            }
        }
    }
    let words = ["--hash", "sha1-28", "--partitions", "5", "--node", "server-a", "--node", "server-b"];
    let (_, text) = ring(&[&words[..], &["--key", "a-key", "--add", "server-c"]].concat());
    for (from, hashes) in documents["scale_out"]["moved_to_server-c"].as_object().unwrap() {
        assert!(text.contains(&format!("{from} -> server-c: {hashes} hashes")), "{text}");
    }
    // And back again.
    let (_, text) = ring(&[&words[..], &["--node", "server-c", "--remove", "server-c"]].concat());
    assert!(text.contains("server-c -> server-a: 47070844 hashes"), "{text}");
    let sixteen: Vec<String> = (0..16).flat_map(|node| ["--node".into(), format!("n{node}")]).collect();
    let sixteen: Vec<&str> = sixteen.iter().map(String::as_str).collect();
    let (_, text) = ring(&[&sixteen[..], &["--add", "n16", "--simplified"]].concat());
    assert!(text.contains("by equal parts (division) it would be 136/272, 50.00 %"), "{text}");
}

#[test]
fn wrong_words_are_explained() {
    for (words, said) in [
        (&[][..], "write --node NAME for each"),
        (&["--node", "a", "--node", "a"], "'a' is named twice"),
        (&["--node", "a=0"], "a weight is a number from 1"),
        (&["--node", "a", "--hash", "md5"], "write xxh3 or sha1-28"),
        (&["--node", "alpha", "--remove", "alpa"], "did you mean 'alpha'?"),
        (&["--node", "a", "--remove", "a"], "no node would be left"),
        (&["--node", "a", "--keys", "/nowhere"], "/nowhere cannot be read"),
        (&["--nodes", "a"], "did you mean '--node'?"),
        (&["a"], "--node a"),
    ] {
        let (went_well, text) = ring(words);
        assert!(!went_well && text.contains(said), "{words:?}: {text}");
    }
}
