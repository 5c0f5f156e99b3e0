//! In:     latencies in nanoseconds, one at a time.
//! Out:    their quantiles, mean and maximum; a quantile is off by less than 1 %.
//! Actors: none.
//! Never:  does it keep a single latency or grow; recording is one addition whatever the value.

/// Buckets per power of two are 2^6: a bucket is at most 1/64 of its value wide.
const SUB_BITS: u32 = 6;
const SUBS: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUBS;

/// A histogram with logarithmic buckets.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, sum: 0, max: 0 }
    }

    pub(crate) fn record(&mut self, value: u64) {
        self.counts[bucket_of(value)] += 1;
        self.count += 1;
        self.sum += u128::from(value);
        self.max = self.max.max(value);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        (self.count, self.sum, self.max) = (0, 0, 0);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    pub(crate) fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The value that this share of all values does not exceed: the middle of its bucket.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let rank = ((share * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle_of(bucket).min(self.max);
            }
        }
        self.max
    }
}

/// Values below 64 have a bucket each; above, the leading bit picks the octave and the next six bits the bucket in it.
fn bucket_of(value: u64) -> usize {
    if value < SUBS as u64 {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - SUB_BITS;
    let sub = (value >> shift) as usize - SUBS;
    (shift as usize + 1) * SUBS + sub
}

fn middle_of(bucket: usize) -> u64 {
    if bucket < SUBS {
        return bucket as u64;
    }
    let shift = bucket / SUBS - 1;
    let low = ((SUBS + bucket % SUBS) as u64) << shift;
    low + ((1_u64 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_whose_middle_is_near() {
        let mut value = 1_u64;
        while value < u64::MAX / 3 {
            for near in [value - 1, value, value + 1, value * 2 - 1] {
                let middle = middle_of(bucket_of(near));
                let off = middle.abs_diff(near) as f64 / near.max(1) as f64;
                assert!(off < 0.01, "{near} reads as {middle}");
            }
            value = value * 3 / 2 + 1;
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_an_even_spread() {
        let mut histogram = Histogram::new();
        for value in 1..=100_000_u64 {
            histogram.record(value * 1_000);
        }
        for (share, expected) in [(0.5, 50e6), (0.9, 90e6), (0.99, 99e6), (0.999, 99.9e6)] {
            let read = histogram.quantile(share) as f64;
            assert!((read - expected).abs() / expected < 0.01, "{share} reads as {read}");
        }
        assert_eq!(histogram.max(), 100_000_000);
        assert!((histogram.mean() - 50_000_500.0).abs() < 1.0);
        assert_eq!(histogram.count(), 100_000);
    }

    #[test]
    fn one_slow_answer_among_many_shows_only_at_the_end() {
        let mut histogram = Histogram::new();
        for _ in 0..999 {
            histogram.record(10);
        }
        histogram.record(5_000_000);
        assert_eq!((histogram.quantile(0.5), histogram.quantile(0.999)), (10, 10));
        assert_eq!(histogram.quantile(1.0), 5_000_000_u64.min(middle_of(bucket_of(5_000_000))));
    }

    #[test]
    fn empty_reads_as_nothing() {
        let histogram = Histogram::new();
        assert_eq!((histogram.quantile(0.99), histogram.max(), histogram.count()), (0, 0, 0));
        assert!(histogram.mean().abs() < f64::EPSILON);
    }
}
