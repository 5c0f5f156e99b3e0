//! In:     the tables of `cases/ring-tables.json`, which a public text on consistent hashing prints.
//! Out:    the same from the ring, to the digit.
//! Actors: none.
//! Never:  is a row rounded, or left out.

#![allow(clippy::unwrap_used)]

use hallway_core::balance::ring::{Hash, Ring, divided};
use serde_json::Value;

fn ring(table: &Value) -> (Vec<String>, Ring) {
    let names: Vec<String> =
        table["nodes"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().into()).collect();
    let partitions = table["partitions_per_node"].as_u64().unwrap() as u32;
    let nodes: Vec<(String, u32)> = names.iter().map(|name| (name.clone(), partitions)).collect();
    (names, Ring::new(Hash::Sha1Digits7, &nodes))
}

#[test]
fn all_tables_are_equal_to_the_digit() {
    let document: Value = serde_json::from_str(include_str!("../cases/ring-tables.json")).unwrap();
    let tables = document["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 5);
    for table in tables {
        let (names, ring) = ring(table);
        let rows = ring.table();
        if let Some(full) = table["full"].as_array() {
            assert_eq!(rows.len(), full.len());
            for (row, printed) in rows.iter().zip(full) {
                let partition = format!("{}-{}", names[row.node], row.partition);
                assert_eq!(Value::from(row.min_hash), printed["min_hash"]);
                assert_eq!(Value::from(row.served), printed["served"]);
                assert_eq!(
                    (Value::from(&*names[row.node]), Value::from(partition)),
                    (printed["node"].clone(), printed["partition"].clone())
                );
            }
        }
        if let Some(simplified) = table["simplified"].as_array() {
            let rows = ring.simplified();
            assert_eq!(rows.len(), simplified.len());
            for (row, printed) in rows.iter().zip(simplified) {
                assert_eq!(Value::from(row.min_hash), printed["min_hash"]);
                assert_eq!(Value::from(row.served), printed["served"]);
                assert_eq!(Value::from(&*names[row.node]), printed["node"]);
            }
        }
        for (name, served) in names.iter().zip(ring.served()) {
            assert_eq!(Value::from(served), table["served_by_node"][name], "{name}");
        }
        assert_eq!(Value::from(ring.served().iter().sum::<u64>()), table["total"]);
    }
}

#[test]
fn what_moves_is_what_is_printed() {
    let document: Value = serde_json::from_str(include_str!("../cases/ring-tables.json")).unwrap();
    let (two, before) = ring(&document["tables"][0]);
    let (three, after) = ring(&document["tables"][1]);
    let names = |names: &[String]| names.to_vec();
    let (two, three) = (names(&two), names(&three));
    let two: Vec<&str> = two.iter().map(String::as_str).collect();
    let three: Vec<&str> = three.iter().map(String::as_str).collect();
    let moved = before.migration(&two, &after, &three);
    let printed = document["scale_out"]["moved_to_server-c"].as_object().unwrap();
    assert_eq!(moved.len(), printed.len());
    for ((from, to), hashes) in moved {
        assert_eq!((Value::from(hashes), &*to), (printed[&from].clone(), "server-c"));
    }
    let range = &document["range_partition_scale_out"];
    let counts = [&range["from_nodes"], &range["to_nodes"]].map(|count| count.as_u64().unwrap() as usize);
    let names: Vec<String> = (0..17).map(|node| node.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let moved = divided(&names[..counts[0]], &names[..counts[1]]);
    assert_eq!(Value::from(format!("{}/{}", moved.parts, moved.of)), range["moved_fraction"]);
}
