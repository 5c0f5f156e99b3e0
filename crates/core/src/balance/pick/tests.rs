//! In:     seeds.
//! Out:    how each way of choosing spreads requests.
//! Actors: none.
//! Never:  is a share judged that another seed would change by chance: the bounds are five standard deviations.

use super::*;
use crate::balance::ring::{Hash, Ring};
use crate::plan::HashBy;

fn primary(weight: u32, outstanding: u32) -> Standing {
    Standing { tier: Tier::Primary, weight, outstanding, ..Standing::default() }
}

/// SplitMix64 (Steele, Lea, Flood).
fn dice(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn counts(balance: &Balance, standings: &[Standing], times: usize, seed: u64) -> Vec<usize> {
    let (mut picker, mut counts, mut state) = (Picker::default(), vec![0; standings.len()], seed);
    let nodes: Vec<(String, u32)> = (0..standings.len()).map(|at| (format!("node {at}"), 500)).collect();
    let ring = Ring::new(Hash::Xxh3, &nodes);
    for _ in 0..times {
        let rolled = (dice(&mut state), dice(&mut state));
        match picker.pick((balance, Some(&ring), true), standings.len(), |at| standings[at], rolled) {
            Picked::Member(member) => counts[member] += 1,
            other => panic!("{other:?}"),
        }
    }
    counts
}

#[test]
fn in_turn_every_weight_gets_exactly_its_share() {
    let standings = [primary(3, 0), primary(1, 0)];
    assert_eq!(counts(&Balance::RoundRobin, &standings, 10_000, 0), [7_500, 2_500]);
    let weights = [5, 1, 1, 7, 2];
    let standings: Vec<Standing> = weights.iter().map(|weight| primary(*weight, 0)).collect();
    assert_eq!(counts(&Balance::RoundRobin, &standings, 1_600, 0), [500, 100, 100, 700, 200]);
    // As the example of nginx's own change that brought it: a, a, b, a, c, a, a.
    let (mut picker, standings) = (Picker::default(), [primary(5, 0), primary(1, 0), primary(1, 0)]);
    let turns: Vec<Picked> =
        (0..7).map(|_| picker.pick((&Balance::RoundRobin, None, true), 3, |at| standings[at], (0, 0))).collect();
    assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0].map(Picked::Member));
}

#[test]
fn the_fewest_for_its_weight_are_counted_as_they_change() {
    for seed in 0..20 {
        let (weights, mut open, mut state) = ([3, 1, 2], [0_u32; 3], seed);
        let (mut picker, mut counts) = (Picker::default(), [0; 3]);
        for _ in 0..600 {
            let stands = |at: usize| primary(weights[at], open[at]);
            let Picked::Member(member) = picker.pick((&Balance::LeastOutstanding, None, true), 3, stands, (0, 0))
            else {
                panic!()
            };
            (open[member], counts[member]) = (open[member] + 1, counts[member] + 1);
            // Never more than one beyond its share of what is open.
            let total: u32 = open.iter().sum();
            assert!(open[member] * 6 <= (total + 6) * weights[member], "seed {seed}: {open:?}");
            if dice(&mut state).is_multiple_of(3) {
                let at = dice(&mut state) as usize % 3;
                open[at] = open[at].saturating_sub(1);
            }
        }
        assert!(counts[0] > counts[2] && counts[2] > counts[1], "seed {seed}: {counts:?}");
    }
}

#[test]
fn the_faster_of_two_gets_more() {
    let latency = |latency_us| Standing { latency_us, ..primary(1, 0) };
    let standings = [latency(1_000), latency(1_000), latency(50_000)];
    for seed in 0..20 {
        let counts = counts(&Balance::Latency, &standings, 3_000, seed);
        assert_eq!(counts[2], 0, "slower than every other one it is compared with");
        assert!(counts[0].abs_diff(counts[1]) < 280, "seed {seed}: {counts:?}");
    }
    let alike = [latency(1_000); 4];
    for seed in 0..20 {
        assert!(counts(&Balance::Latency, &alike, 4_000, seed).iter().all(|count| count.abs_diff(1_000) < 140));
    }
    let unknown = [latency(0), latency(900)];
    assert_eq!(counts(&Balance::Latency, &unknown, 10, 1), [10, 0], "nothing is known of it: it is tried");
}

#[test]
fn keys_stay_until_their_member_has_more_than_its_share() {
    let by = Balance::Hash(HashBy::Path);
    let nodes: Vec<(String, u32)> = (0..4).map(|at| (format!("node {at}"), 500)).collect();
    let ring = Ring::new(Hash::Xxh3, &nodes);
    let calm = [primary(1, 0); 4];
    let (mut state, mut picker) = (1, Picker::default());
    for _ in 0..1_000 {
        let key = dice(&mut state);
        let Picked::Member(owner) = picker.pick((&by, Some(&ring), true), 4, |at| calm[at], (key, 0)) else { panic!() };
        assert_eq!(owner, ring.owner(key));
        // With so many more than the others its keys go to their neighbour, the same for all.
        let mut busy = calm;
        busy[owner].outstanding = 10;
        let Picked::Member(next) = picker.pick((&by, Some(&ring), true), 4, |at| busy[at], (key, 0)) else { panic!() };
        assert_eq!(Some(next), ring.walk(key).find(|at| *at != owner));
        // One that is gone leaves only its own keys to others.
        let mut gone = calm;
        gone[owner].tier = Tier::Out;
        assert_eq!(picker.pick((&by, Some(&ring), true), 4, |at| gone[at], (key, 0)), Picked::Member(next));
    }
    for seed in 0..20 {
        let counts = counts(&by, &calm, 8_000, seed);
        assert!(counts.iter().all(|count| count.abs_diff(2_000) < 500), "seed {seed}: {counts:?}");
    }
}

#[test]
fn better_tiers_come_first() {
    let of = |tiers: [(Tier, bool); 3]| {
        let stands = |at: usize| Standing { tier: tiers[at].0, is_full: tiers[at].1, ..primary(1, 0) };
        let ring = Ring::new(Hash::Xxh3, &[("a".into(), 9), ("b".into(), 9), ("c".into(), 9)]);
        let all = [Balance::RoundRobin, Balance::LeastOutstanding, Balance::Latency, Balance::Hash(HashBy::Client)];
        let picked: Vec<Picked> =
            all.iter().map(|one| Picker::default().pick((one, Some(&ring), true), 3, stands, (7, 7))).collect();
        assert!(picked.windows(2).all(|two| two[0] == two[1]), "{picked:?}");
        picked[0]
    };
    use Tier::{Backup, Ejected, Out, Primary};
    assert_eq!(of([(Out, false), (Primary, false), (Backup, false)]), Picked::Member(1));
    assert_eq!(of([(Out, false), (Ejected, false), (Backup, false)]), Picked::Member(2));
    assert_eq!(of([(Out, false), (Ejected, false), (Out, false)]), Picked::Member(1));
    assert_eq!(of([(Out, false), (Out, false), (Out, false)]), Picked::Nobody);
    assert_eq!(of([(Primary, true), (Out, false), (Backup, false)]), Picked::Full);
    assert_eq!(
        Picker::default().pick((&Balance::RoundRobin, None, true), 0, |_| Standing::default(), (0, 0)),
        Picked::Nobody
    );
}

#[test]
fn a_weight_of_nothing_gets_nothing() {
    let standings = [primary(0, 0), primary(1, 0)];
    for balance in [Balance::RoundRobin, Balance::LeastOutstanding, Balance::Latency, Balance::Hash(HashBy::Path)] {
        assert_eq!(counts(&balance, &standings, 50, 3), [0, 50]);
    }
}

#[test]
fn few_requests_on_many_threads_are_shares_too() {
    for (weights, shares) in [(vec![1, 1], [4, 4, 0, 0]), (vec![3, 1], [6, 2, 0, 0]), (vec![1, 1, 1, 1], [2, 2, 2, 2])]
    {
        for balance in [Balance::RoundRobin, Balance::LeastOutstanding] {
            let mut found = [0; 4];
            for thread in 0..8 {
                let stands = |at: usize| Standing { tier: Tier::Primary, weight: weights[at], ..Standing::default() };
                let picked = Picker::after(thread).pick((&balance, None, false), weights.len(), stands, (0, 0));
                let Picked::Member(at) = picked else { panic!("{picked:?}") };
                found[at] += 1;
            }
            // Of those with the fewest for their weight the heaviest is alone.
            if balance == Balance::RoundRobin || weights[0] == 1 {
                assert_eq!(found, shares, "{weights:?} {balance:?}");
            }
        }
    }
}

#[test]
fn who_begins_later_has_the_same_shares() {
    for thread in 0..9 {
        let (mut picker, mut found) = (Picker::after(thread), [0; 3]);
        for _ in 0..60 {
            let stands = |at: usize| Standing { tier: Tier::Primary, weight: [3, 2, 1][at], ..Standing::default() };
            if let Picked::Member(at) = picker.pick((&Balance::RoundRobin, None, false), 3, stands, (0, 0)) {
                found[at] += 1;
            }
        }
        assert_eq!(found, [30, 20, 10], "after {thread}");
    }
}
