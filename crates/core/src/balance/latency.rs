//! In:     how long answers took.
//! Out:    how long the next one is likely to take.
//! Actors: none.
//! Never:  does one slow answer go unnoticed, or count for ever.

/// In which a past answer loses most of its weight.
const DECAY_MS: f64 = 10_000.0;

/// A peak-sensitive moving average: it rises at once, and falls slowly. Packed into one number, so that threads can
/// share it: when it was last told something (milliseconds), and what it is (microseconds).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Latency {
    at_ms: u32,
    us: u32,
}

impl Latency {
    /// From one number.
    pub fn unpack(packed: u64) -> Latency {
        Latency { at_ms: (packed >> 32) as u32, us: packed as u32 }
    }

    /// As one number; 0 where nothing is known.
    pub fn pack(self) -> u64 {
        u64::from(self.at_ms) << 32 | u64::from(self.us)
    }

    /// Another answer took so long.
    #[must_use]
    pub fn after(self, took_us: u64, now_ms: u64) -> Latency {
        let took = took_us.clamp(1, u64::from(u32::MAX)) as u32;
        let us = if took >= self.us {
            took
        } else {
            let kept = self.weight(now_ms);
            (f64::from(self.us) * kept + f64::from(took) * (1.0 - kept)) as u32
        };
        Latency { at_ms: now_ms as u32, us: us.max(1) }
    }

    /// What it is now: a member that was slow and is not asked any more deserves another try.
    pub fn now_us(self, now_ms: u64) -> u64 {
        if self.us == 0 { 0 } else { ((f64::from(self.us) * self.weight(now_ms)) as u64).max(1) }
    }

    fn weight(self, now_ms: u64) -> f64 {
        (-f64::from((now_ms as u32).wrapping_sub(self.at_ms)) / DECAY_MS).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_at_once_and_falls_slowly() {
        let calm = Latency::default().after(1_000, 5);
        assert_eq!(Latency::unpack(calm.pack()), calm);
        assert_eq!(calm.now_us(5), 1_000);
        let peak = calm.after(900_000, 10);
        assert_eq!(peak.now_us(10), 900_000);
        let later = peak.after(1_000, 1_010);
        assert!((800_000..830_000).contains(&later.now_us(1_010)), "{later:?}");
        assert!((320_000..340_000).contains(&peak.now_us(10_010)));
        assert_eq!(peak.now_us(1_000_000), 1, "it is known, and forgiven");
        assert_eq!(Latency::default().now_us(77), 0);
    }
}
