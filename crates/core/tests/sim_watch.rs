//! A machine that pauses at any moment, with an edge that hangs in the end.
//!
//! In:     seeds: when it pauses and for how long, who runs on first, which part hangs when.
//! Out:    who is found silent, and when.
//! Actors: a simulated machine, with its own clock and dice; replay: `SEED=7 cargo test sim_watch`.
//! Never:  does a world depend on anything but its seed.

#![allow(
    clippy::disallowed_macros,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use hallway_core::supervise::{Condition, Silence, Watch};

const WATCHDOG_MS: u64 = 2_000;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// A machine that pauses at any moment, for any time, loses no edge; one that hangs is found in time.
#[test]
fn pauses_end_nothing_and_hangs_are_found() {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = given.map_or(0..400, |seed: u64| seed..seed + 1);
    for seed in seeds {
        println!("SEED={seed}");
        let mut dice = Dice(seed);
        let mut watch = Watch::new(0, WATCHDOG_MS);
        let mut turned: Vec<u64> = (0..4).map(|_| 1 + dice.roll(900)).collect();
        let hangs_at = 120_000 + dice.roll(5_000);
        let (hanging, mut pause_at, mut now) = (dice.roll(4) as usize, 3_000, 1);
        let (found_ms, found) = loop {
            now += 1 + dice.roll(20);
            if now >= pause_at && now < hangs_at - 30_000 {
                let longest_ms = if dice.roll(2) == 0 { 1_500 } else { 20_000 };
                now += dice.roll(longest_ms);
                pause_at = now + 1_500 + dice.roll(4_000);
                // The edge runs on a moment later than who looks at it, or sooner.
                let sooner = dice.roll(2) == 0;
                turned.iter_mut().filter(|_| sooner).for_each(|at| *at = now);
            }
            if let Some(found) = watch.look(now, &turned, |_| Condition::Stopped) {
                break (now, found);
            }
            let beats = |(part, at): &(usize, &mut u64)| {
                (*part != hanging || now < hangs_at) && now.saturating_sub(**at) >= 1_000
            };
            turned.iter_mut().enumerate().filter(beats).for_each(|(_, at)| *at = now);
            assert!(now < hangs_at + 10_000, "seed {seed}: part {hanging} hangs and nobody sees it");
        };
        let expected = hanging.checked_sub(1).map_or(Silence::Main, Silence::EventLoop);
        assert_eq!(found, expected, "seed {seed} at {found_ms}");
        let late = found_ms.saturating_sub(hangs_at);
        assert!(
            found_ms >= hangs_at && late <= WATCHDOG_MS * 5 / 4,
            "seed {seed}: hung at {hangs_at}, found at {found_ms}"
        );
    }
}
