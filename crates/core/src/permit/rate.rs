//! In:     a client's key, the rate it is allowed, now.
//! Out:    whether it may go on, what it has left, when to come again (generic cell rate algorithm, ITU-T I.371).
//! Actors: none.
//! Never:  does a flood of distinct clients take more memory than was set, or make room for itself by
//!         forgetting those who owe most.

use crate::plan::Rate;

/// Clients whose keys fall on one place.
const WAYS: usize = 4;

/// What clients have used, by their keys.
#[derive(Debug, Default)]
pub struct Meters {
    /// In groups of `WAYS`; made when the first client comes.
    slots: Vec<Slot>,
    groups: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    /// When all that was used is paid for: the theoretical arrival time.
    paid_ns: u64,
}

/// What became of a client's wish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charged {
    /// It goes on.
    Passed {
        /// What it could have at once after this.
        left: u64,
        /// Nanoseconds until it has everything again.
        full_in_ns: u64,
    },
    /// It gets nothing for so many nanoseconds.
    Refused {
        /// How long.
        again_in_ns: u64,
        /// Nanoseconds until it has everything again.
        full_in_ns: u64,
    },
}

impl Meters {
    /// For so many clients at a time, at least; 16 bytes each.
    pub fn new(clients_max: usize) -> Meters {
        Meters { slots: Vec::new(), groups: clients_max.div_ceil(WAYS).next_power_of_two() }
    }

    /// Charges a client for so much, if it has it.
    pub fn charge(&mut self, key: u64, rate: Rate, cost: u64, now_ns: u64) -> Charged {
        let slot = self.slot(key, now_ns);
        let paid_ns = slot.paid_ns.max(now_ns).saturating_add(rate.interval_ns.saturating_mul(cost));
        let all_ns = rate.interval_ns.saturating_mul(rate.burst.max(1));
        let owed_ns = paid_ns - now_ns;
        if owed_ns > all_ns {
            return Charged::Refused { again_in_ns: owed_ns - all_ns, full_in_ns: slot.paid_ns.saturating_sub(now_ns) };
        }
        slot.paid_ns = paid_ns;
        Charged::Passed { left: (all_ns - owed_ns) / rate.interval_ns.max(1), full_in_ns: owed_ns }
    }

    /// Charges a client in any case; for how many nanoseconds it has to wait then.
    pub fn owe(&mut self, key: u64, rate: Rate, cost: u64, now_ns: u64) -> u64 {
        let slot = self.slot(key, now_ns);
        slot.paid_ns = slot.paid_ns.max(now_ns).saturating_add(rate.interval_ns.saturating_mul(cost));
        (slot.paid_ns - now_ns).saturating_sub(rate.interval_ns.saturating_mul(rate.burst))
    }

    /// The slot of a client; where all are taken, that of the one who owes least.
    fn slot(&mut self, key: u64, now_ns: u64) -> &mut Slot {
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); self.groups.max(1) * WAYS];
        }
        let group = (key as usize & (self.groups.max(1) - 1)) * WAYS;
        let group = &mut self.slots[group..group + WAYS];
        let at = match group.iter().position(|slot| slot.key == key) {
            Some(at) => at,
            None => {
                let least = (0..WAYS).min_by_key(|at| group[*at].paid_ns).unwrap_or(0);
                group[least] = Slot { key, paid_ns: now_ns };
                least
            }
        };
        &mut group[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(per_s: u64, burst: u64) -> Rate {
        Rate { interval_ns: SECOND / per_s, burst }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let (mut meters, rate) = (Meters::new(100), rate(10, 5));
        for left in [4, 3, 2, 1, 0] {
            assert!(matches!(meters.charge(7, rate, 1, SECOND), Charged::Passed { left: it, .. } if it == left));
        }
        assert_eq!(
            meters.charge(7, rate, 1, SECOND),
            Charged::Refused { again_in_ns: SECOND / 10, full_in_ns: SECOND / 2 }
        );
        assert!(matches!(meters.charge(8, rate, 1, SECOND), Charged::Passed { left: 4, .. }), "another client");
        let later = SECOND + SECOND / 10;
        assert!(matches!(meters.charge(7, rate, 1, later), Charged::Passed { left: 0, .. }));
        assert!(matches!(meters.charge(7, rate, 1, later), Charged::Refused { .. }));
        let passed = (0..1000)
            .filter(|at| matches!(meters.charge(9, rate, 1, 10 * SECOND + at * SECOND / 100), Charged::Passed { .. }));
        assert_eq!(passed.count(), 5 + 99, "ten seconds at ten a second, and the burst");
    }

    #[test]
    fn a_flood_of_clients_takes_no_more_memory_and_frees_nobody_who_owes() {
        let (mut meters, rate) = (Meters::new(1024), rate(1, 10));
        while matches!(meters.charge(42, rate, 1, SECOND), Charged::Passed { .. }) {}
        for client in 0..1_000_000u64 {
            meters.charge(client.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63, rate, 1, SECOND + client);
        }
        assert!(matches!(meters.charge(42, rate, 1, SECOND), Charged::Refused { .. }));
        assert_eq!(meters.slots.len(), 1024);
    }

    #[test]
    fn who_owes_waits() {
        let (mut meters, rate) = (Meters::new(4), rate(1000, 1000));
        assert_eq!(meters.owe(1, rate, 1000, SECOND), 0);
        assert_eq!(meters.owe(1, rate, 500, SECOND), SECOND / 2);
        assert_eq!(meters.owe(1, rate, 500, 2 * SECOND + SECOND / 2), 0);
    }
}
