//! Stories of one edge, look by look.
//!
//! In:     moments at which the parts of an edge turned.
//! Out:    who is found silent, and when.
//! Actors: none.
//! Never:  is a seed used here; the simulated machine that pauses is `tests/sim_watch.rs`.

use super::*;

const WATCHDOG_MS: u64 = 2_000;

fn stopped(_: Silence) -> Condition {
    Condition::Stopped
}

/// Looks whenever it is due until then; the first that is found, and when. `turned` says what each part said last.
fn first(
    watch: &mut Watch,
    until_ms: u64,
    condition: Condition,
    turned: impl Fn(u64) -> Vec<u64>,
) -> Option<(u64, Silence)> {
    while let Some(at) = watch.wake_at().filter(|at| *at <= until_ms) {
        if let Some(found) = watch.look(at, &turned(at), |_| condition) {
            return Some((at, found));
        }
        assert!(watch.wake_at() > Some(at), "it looks for ever at {at}");
    }
    None
}

#[test]
fn who_turns_is_left_alone() {
    let mut watch = Watch::new(10, WATCHDOG_MS);
    let idle = |now: u64| vec![now / 1_000 * 1_000, now.saturating_sub(990).max(1), now - now % 100];
    assert_eq!(first(&mut watch, 1_000_000, Condition::Stopped, idle), None);
}

#[test]
fn each_part_is_missed() {
    for (silent, expected) in [(0, Silence::Main), (1, Silence::EventLoop(0)), (2, Silence::EventLoop(1))] {
        let mut watch = Watch::new(0, WATCHDOG_MS);
        let turned = |now: u64| (0..3).map(|it| if it == silent { now.min(10_000) } else { now }).collect::<Vec<_>>();
        for condition in [Condition::Stopped, Condition::Asleep] {
            let (at, found) = first(&mut watch.clone(), 100_000, condition, turned).unwrap();
            assert!(found == expected && (12_000..12_100).contains(&at), "{found:?} at {at}");
        }
        // Only this one waits for a page that was swapped out.
        let (at, found) = first(&mut watch, 100_000, Condition::HeldUp, turned).unwrap();
        assert!(found == expected && (30_000..30_200).contains(&at), "{found:?} at {at}");
    }
}

#[test]
fn a_stopped_edge_is_told_from_one_that_is_held_up() {
    let still = |now: u64| vec![now.min(9_500), now.min(10_000), now.min(9_000)];
    let mut watch = Watch::new(0, WATCHDOG_MS);
    let (at, found) = first(&mut watch, 100_000, Condition::Stopped, still).unwrap();
    assert!(found == Silence::Everybody && (12_000..12_200).contains(&at), "{found:?} at {at}");
    let mut watch = Watch::new(0, WATCHDOG_MS);
    let (at, found) = first(&mut watch, 100_000, Condition::Asleep, still).unwrap();
    assert!(found == Silence::Everybody && (14_000..14_200).contains(&at), "{found:?} at {at}");
    let mut watch = Watch::new(0, WATCHDOG_MS);
    let (at, found) = first(&mut watch, 100_000, Condition::HeldUp, still).unwrap();
    assert!(found == Silence::Everybody && (30_000..30_200).contains(&at), "{found:?} at {at}");
    // Its main thread works at an order, and so says nothing of the others.
    let mut watch = Watch::new(0, WATCHDOG_MS);
    let still = |now: u64| vec![EXCUSED_MS, now.min(10_000)];
    assert_eq!(first(&mut watch, 100_000, Condition::Stopped, still), Some((12_000, Silence::Everybody)));
}

#[test]
fn an_edge_that_starts_is_missed_as_a_whole_only() {
    let mut watch = Watch::new(0, WATCHDOG_MS);
    assert_eq!(first(&mut watch, 100_000, Condition::Stopped, |_| vec![0; 3]), Some((2_000, Silence::Everybody)));
    let mut watch = Watch::new(0, WATCHDOG_MS);
    let loads = |now: u64| if now < 15_000 { vec![0; 3] } else { vec![now, now, 0] };
    assert_eq!(first(&mut watch, 100_000, Condition::HeldUp, loads), None, "it waits for a disk; one loop is late");
}

#[test]
fn who_has_ended_or_works_at_an_order_is_not_missed() {
    for still in [vec![0, EXCUSED_MS, EXCUSED_MS], vec![EXCUSED_MS; 3], vec![20, EXCUSED_MS]] {
        let mut watch = Watch::new(0, WATCHDOG_MS);
        assert_eq!(first(&mut watch, 100_000, Condition::Stopped, |_| still.clone()), None, "{still:?}");
    }
    let mut watch = Watch::new(0, WATCHDOG_MS);
    assert_eq!(first(&mut watch, 100_000, Condition::Stopped, |now| vec![EXCUSED_MS, EXCUSED_MS, now]), None);
}

#[test]
fn a_late_look_counts_nothing() {
    let mut watch = Watch::new(0, WATCHDOG_MS);
    assert_eq!(first(&mut watch, 10_000, Condition::Stopped, |now| vec![now; 2]), None);
    // Ten seconds nobody ran; the edge runs a moment later than who looks at it.
    assert_eq!(watch.look(20_000, &[10_000; 2], stopped), None);
    let slow = |now: u64| vec![if now < 21_900 { 10_000 } else { now }; 2];
    assert_eq!(first(&mut watch, 60_000, Condition::Stopped, slow), None);
    // It never runs again.
    assert_eq!(watch.look(80_000, &[60_000; 2], stopped), None);
    assert_eq!(first(&mut watch, 90_000, Condition::Stopped, |_| vec![60_000; 2]), Some((82_000, Silence::Everybody)));
    // Who is always late never counts.
    let mut watch = Watch::new(0, WATCHDOG_MS);
    for now in (0..100_000).step_by(1_000) {
        assert_eq!(watch.look(now, &[1; 2], stopped), None);
    }
}

#[test]
fn without_a_watchdog_nobody_looks() {
    let mut watch = Watch::new(0, 0);
    assert_eq!((watch.wake_at(), watch.look(1_000_000, &[1, 1], stopped), beat_ms(0)), (None, None, None));
    // Another one counts from the moment on from which the edge goes by it, too.
    watch.renew(1_000_000, 500);
    assert_eq!(watch.look(1_000_125, &[1, 1], stopped), None);
    assert_eq!(first(&mut watch, 2_000_000, Condition::Stopped, |_| vec![1, 1]), Some((1_000_500, Silence::Everybody)));
}

#[test]
fn while_a_plan_is_on_its_way_the_more_patient_one_counts() {
    for (before, now, counts) in [(2_000, 60_000, 60_000), (60_000, 2_000, 60_000), (2_000, 0, 0), (0, 2_000, 0)] {
        let mut watch = Watch::new(0, before);
        watch.loosen(0, now);
        let found = first(&mut watch, 1_000_000, Condition::Stopped, |_| vec![1, 1]);
        let expected = (counts > 0).then_some((counts, Silence::Everybody));
        assert_eq!(found.map(|(at, found)| (at / 10 * 10, found)), expected, "{before} to {now}");
    }
}
