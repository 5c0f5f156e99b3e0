//! In:     names, seeds.
//! Out:    how evenly a ring shares, how little it moves, how fast it answers.
//! Actors: none.
//! Never:  is a bound another one than what was promised.

use super::*;

fn nodes(names: &[&str], partitions: u32) -> Vec<(String, u32)> {
    names.iter().map(|name| ((*name).to_owned(), partitions)).collect()
}

fn named(set: usize, count: usize) -> Vec<(String, u32)> {
    (0..count).map(|node| (format!("set-{set}-node-{node}.example"), 3_000)).collect()
}

#[test]
fn whoever_is_named_first() {
    let keys = (0..2_000u64).map(|key| key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 36);
    let (one, other) = (["a", "b", "c"], ["c", "a", "b"]);
    let (ring, turned) =
        (Ring::new(Hash::Sha1Digits7, &nodes(&one, 3_000)), Ring::new(Hash::Sha1Digits7, &nodes(&other, 3_000)));
    for key in keys {
        assert_eq!(one[ring.owner(key)], other[turned.owner(key)]);
    }
}

#[test]
fn the_owner_is_the_one_of_the_table() {
    for hash in [Hash::Xxh3, Hash::Sha1Digits7] {
        for partitions in [1, 2, 7, 100] {
            let ring = Ring::new(hash, &nodes(&["a", "b", "c"], partitions));
            for row in ring.table().iter().filter(|row| row.served > 0) {
                assert_eq!(ring.owner(row.min_hash), row.node);
                assert_eq!(ring.owner(row.min_hash + row.served - 1), row.node);
            }
            assert_eq!(ring.owner(hash.max()), ring.table().last().unwrap().node);
            let all: u128 = ring.served().iter().map(|served| u128::from(*served)).sum();
            assert_eq!(all, u128::from(hash.max()));
        }
    }
    assert_eq!(Ring::new(Hash::Xxh3, &[]).walk(7).count(), 0);
    assert_eq!(Ring::new(Hash::Xxh3, &nodes(&["a"], 0)).walk(7).count(), 0);
}

#[test]
fn a_walk_meets_every_node_once_as_if_those_before_were_gone() {
    let names: Vec<String> = (0..9).map(|node| format!("n{node}")).collect();
    let all: Vec<(String, u32)> = names.iter().map(|name| (name.clone(), 50)).collect();
    let ring = Ring::new(Hash::Xxh3, &all);
    for key in 0..200u64 {
        let hash = ring.hash(&key.to_be_bytes());
        let walked: Vec<usize> = ring.walk(hash).collect();
        assert_eq!(walked.len(), 9);
        let mut left = all.clone();
        for node in walked {
            assert_eq!(left[Ring::new(Hash::Xxh3, &left).owner(hash)].0, names[node]);
            left.retain(|(name, _)| *name != names[node]);
        }
    }
}

#[test]
fn shares_are_even() {
    let mut worst: Vec<f64> = (0..100)
        .map(|set| {
            let served = Ring::new(Hash::Xxh3, &named(set, 5)).served();
            let mean = Hash::Xxh3.max() as f64 / 5.0;
            served.iter().map(|served| *served as f64 / mean - 1.0).fold(0.0, f64::max)
        })
        .collect();
    worst.sort_by(f64::total_cmp);
    assert!(worst[50] <= 0.025, "the largest share is {:.2} % above the mean", worst[50] * 100.0);
}

#[test]
fn a_new_node_takes_its_share_and_nothing_else_moves() {
    for count in [1, 2, 4, 10, 30] {
        let (before, after) = (named(7, count), named(7, count + 1));
        let (ring, more) = (Ring::new(Hash::Xxh3, &before), Ring::new(Hash::Xxh3, &after));
        let names = |nodes: &[(String, u32)]| nodes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let (old, new) = (names(&before), names(&after));
        let (old, new): (Vec<&str>, Vec<&str>) =
            (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
        let moved = ring.migration(&old, &more, &new);
        assert!(moved.keys().all(|(_, to)| *to == *new.last().unwrap()), "to the new one only");
        let share = moved.values().sum::<u64>() as f64 / Hash::Xxh3.max() as f64;
        assert!(share <= 1.0 / count as f64 + 0.01, "{count}: {share}");
        let back = more.migration(&new, &ring, &old);
        assert_eq!(back.values().sum::<u64>(), moved.values().sum::<u64>());
    }
}

#[test]
fn weights_are_shares() {
    let ring = Ring::new(Hash::Xxh3, &[("heavy".into(), 3_000), ("light".into(), 1_000)]);
    let served = ring.served();
    let share = served[0] as f64 / Hash::Xxh3.max() as f64;
    assert!((0.73..0.77).contains(&share), "{share}");
}

#[test]
fn cutting_moves_half_and_more() {
    let names: Vec<String> = (0..17).map(|node| format!("n{node}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(divided(&names[..16], &names), Moved { parts: 136, of: 272 });
    assert_eq!(moduloed(&names[..2], &names[..3]), Moved { parts: 4, of: 6 });
    assert_eq!(divided(&names[..3], &names[..3]).parts, 0);
}
