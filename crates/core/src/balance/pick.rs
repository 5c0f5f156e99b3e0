//! In:     the standing of each member of a pool, a key, dice.
//! Out:    one member.
//! Actors: none; each thread has its own turns.
//! Never:  does a member get a request while a better tier has one that could take it.

use super::ring::Ring;
use crate::plan::Balance;

/// How much of its share more than another one a member may have before a key goes elsewhere (Mirrokni, Thorup,
/// Zadimoghaddam: "Consistent Hashing with Bounded Loads"). Hundredths.
const BOUND_PERCENT: u64 = 125;

/// Which members come first.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Tier {
    /// It is not to be asked at all.
    #[default]
    Out,
    /// It has failed, and is asked only when there is nobody else.
    Ejected,
    /// It is there for when the others are not.
    Backup,
    /// It does the work.
    Primary,
}

/// How a member stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Which come first.
    pub tier: Tier,
    /// Whether it has as many requests as it takes.
    pub is_full: bool,
    /// Its share of the work; any unit that all have in common. 0 for none.
    pub weight: u32,
    /// Requests that it has.
    pub outstanding: u32,
    /// How long it takes at the moment. Microseconds; 0 where nothing is known.
    pub latency_us: u64,
}

impl Standing {
    fn takes(&self, tier: Tier) -> bool {
        self.tier == tier && !self.is_full && self.weight > 0
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Picked {
    /// This member.
    Member(usize),
    /// There are some, but each has as many as it takes.
    Full,
    /// There is none.
    Nobody,
}

/// The turns of one pool on one thread.
#[derive(Debug, Default)]
pub struct Picker {
    /// Of smooth weighted round robin: how far each member is ahead of its share, or behind.
    credits: Vec<i64>,
    turn: usize,
    /// Turns that others have had before the first one here.
    ahead: usize,
}

impl Picker {
    /// Turns that begin where those of so many other threads have begun before: else each of them would give its first
    /// requests to the same members.
    pub fn after(threads: usize) -> Picker {
        Picker { credits: Vec::new(), turn: threads, ahead: threads }
    }

    /// Chooses among so many members; keys have their places on the ring. One that was ejected only as a last resort.
    pub fn pick(
        &mut self,
        (balance, ring, last_resort): (&Balance, Option<&Ring>, bool),
        members: usize,
        stands: impl Fn(usize) -> Standing,
        (key, dice): (u64, u64),
    ) -> Picked {
        self.turn = self.turn.wrapping_add(1);
        let tiers = [Tier::Primary, Tier::Backup, Tier::Ejected];
        for tier in tiers.into_iter().take(if last_resort { 3 } else { 2 }) {
            let found = match (balance, ring) {
                (Balance::RoundRobin, _) => self.in_turn(members, &stands, tier),
                (Balance::LeastOutstanding, _) => self.least(members, &stands, tier),
                (Balance::Latency, _) => fastest_of_two(members, &stands, tier, dice),
                (Balance::Hash(_), Some(ring)) => by_key(ring, key, members, &stands, tier),
                (Balance::Hash(_), None) => None,
            };
            if let Some(member) = found {
                return Picked::Member(member);
            }
            // Who only has too much to do is waited for; the next tier is for those that are not there.
            if (0..members).map(&stands).any(|one| one.tier == tier && one.is_full && one.weight > 0) {
                return Picked::Full;
            }
        }
        Picked::Nobody
    }

    /// Smooth weighted round robin, as nginx has it: each gets its share in any run of as many turns as the weights
    /// add up to, and none gets them one after the other.
    fn in_turn(&mut self, members: usize, stands: impl Fn(usize) -> Standing, tier: Tier) -> Option<usize> {
        self.credits.resize(members, 0);
        // Taken only where there is somebody: who is not there yet is no turn.
        while self.ahead > 0 {
            self.ahead -= 1;
            self.step(members, &stands, tier);
        }
        self.step(members, &stands, tier)
    }

    /// One turn.
    fn step(&mut self, members: usize, stands: impl Fn(usize) -> Standing, tier: Tier) -> Option<usize> {
        let (mut total, mut best) = (0, None::<usize>);
        for member in 0..members {
            let standing = stands(member);
            if !standing.takes(tier) {
                continue;
            }
            total += i64::from(standing.weight);
            self.credits[member] += i64::from(standing.weight);
            if best.is_none_or(|best| self.credits[member] > self.credits[best]) {
                best = Some(member);
            }
        }
        self.credits[best?] -= total;
        best
    }

    /// The fewest for its weight; of several, in turn.
    fn least(&self, members: usize, stands: impl Fn(usize) -> Standing, tier: Tier) -> Option<usize> {
        let mut best: Option<(usize, Standing)> = None;
        for step in 0..members {
            let member = (self.turn + step) % members;
            let standing = stands(member);
            let load = |one: &Standing, other: &Standing| u64::from(one.outstanding + 1) * u64::from(other.weight);
            if standing.takes(tier)
                && best.as_ref().is_none_or(|(_, best)| load(&standing, best) < load(best, &standing))
            {
                best = Some((member, standing));
            }
        }
        Some(best?.0)
    }
}

/// Power of two choices by how long a member takes and how many it has (Finagle, linkerd: peak EWMA).
fn fastest_of_two(members: usize, stands: impl Fn(usize) -> Standing, tier: Tier, dice: u64) -> Option<usize> {
    let count = (0..members).filter(|member| stands(*member).takes(tier)).count();
    let nth = |number: usize| (0..members).filter(|member| stands(*member).takes(tier)).nth(number);
    if count < 2 {
        return nth(0);
    }
    let first = (dice as u32 as usize) % count;
    let other = (first + 1 + ((dice >> 32) as usize) % (count - 1)) % count;
    let (first, other) = (nth(first)?, nth(other)?);
    let cost = |member: usize| {
        let standing = stands(member);
        // One that nothing is known of is tried, but not by everybody at once.
        let latency_us =
            if standing.latency_us == 0 { u64::from(standing.outstanding) * 1_000_000 } else { standing.latency_us };
        ((u128::from(latency_us) * u128::from(standing.outstanding + 1)) << 16) / u128::from(standing.weight)
    };
    Some(if cost(other) < cost(first) { other } else { first })
}

/// The member that has the key on the ring; the next one there when that has more than its share.
fn by_key(ring: &Ring, key: u64, members: usize, stands: impl Fn(usize) -> Standing, tier: Tier) -> Option<usize> {
    let all = (0..members).map(&stands).filter(|one| one.takes(tier));
    let (outstanding, weights) =
        all.fold((0, 0), |(sum, weights), one| (sum + u64::from(one.outstanding), weights + u64::from(one.weight)));
    let is_bearable = |one: &Standing| {
        let share = (outstanding + 1) * u64::from(one.weight) * BOUND_PERCENT;
        u64::from(one.outstanding) * weights * 100 < share.max(weights * 100)
    };
    let mut first = None;
    let found = ring.walk(key).find(|member| {
        let standing = if *member < members { stands(*member) } else { Standing::default() };
        let takes = standing.takes(tier);
        if takes {
            first.get_or_insert(*member);
        }
        takes && is_bearable(&standing)
    });
    found.or(first)
}

#[cfg(test)]
mod tests;
