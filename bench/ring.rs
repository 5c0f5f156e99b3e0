//! In:     -
//! Out:    how long a ring of 100 nodes with 3,000 partitions each takes to build and to look into, and how much it
//!         holds; exit code 1 when that is more than promised.
//! Actors: one thread.
//! Never:  is a look-up left out because its result is not used.

#![allow(missing_docs, clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use hallway_core::balance::ring::{Hash, Ring};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 9;
const LOOKUPS: u64 = 1_000_000;

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn main() {
    let nodes: Vec<(String, u32)> = (0..100).map(|node| (format!("10.0.{}.{}:9000", node / 10, node), 3_000)).collect();
    let (mut built_ms, mut looked_ns) = (Vec::new(), Vec::new());
    let mut held_bytes = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let ring = black_box(Ring::new(Hash::Xxh3, &nodes));
        built_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        held_bytes = ring.held_bytes();
        let (begun, mut sum) = (Instant::now(), 0);
        for key in 0..LOOKUPS {
            // A step through all of the space, so that no part of the ring stays warm.
            sum += ring.owner(black_box(key.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        }
        black_box(sum);
        looked_ns.push(begun.elapsed().as_secs_f64() * 1e9 / LOOKUPS as f64);
    }
    let (built_ms, looked_ns, held_mib) = (median(built_ms), median(looked_ns), held_bytes as f64 / 1024.0 / 1024.0);
    println!(
        "a ring of 100 nodes x 3,000 partitions: built in {built_ms:.1} ms, {looked_ns:.1} ns for a look-up, {held_mib:.2} MiB"
    );
    println!("(resident now: {:.1} MiB)", resident_bytes() as f64 / 1024.0 / 1024.0);
    if built_ms > 100.0 || looked_ns > 80.0 || held_mib > 8.0 {
        println!("promised: 100 ms, 80 ns, 8 MiB");
        std::process::exit(1);
    }
}
