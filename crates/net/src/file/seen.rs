//! In:     how far a file was found in memory, and when.
//! Out:    whether the kernel has to be asked again.
//! Actors: whoever sends the file.
//! Never:  does it count for longer than a moment, or for bytes behind those that were looked at.

use std::sync::atomic::{AtomicU64, Ordering};

/// For so long the kernel keeps what it has just sent: it lets go first of what was not used for longest.
const FRESH_MS: u64 = 100;
/// Bits of a length; a file that is longer is asked for each time, which costs little beside sending it.
const LENGTH_BITS: u32 = 24;

/// What is known of a file. Milliseconds and bytes are one number, so that they belong together.
#[derive(Debug, Default)]
pub struct Seen(AtomicU64);

impl Seen {
    /// The bytes up to here are in memory.
    pub fn note(&self, end: u64, now_ms: u64) {
        if end >> LENGTH_BITS == 0 {
            self.0.store(now_ms << LENGTH_BITS | end, Ordering::Relaxed);
        }
    }

    /// Whether they were a moment ago.
    pub fn is_fresh(&self, end: u64, now_ms: u64) -> bool {
        let seen = self.0.load(Ordering::Relaxed);
        let (seen_ms, seen_end) = (seen >> LENGTH_BITS, seen & ((1 << LENGTH_BITS) - 1));
        end <= seen_end && now_ms < seen_ms + FRESH_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_counts_for_a_moment_and_no_further() {
        let seen = Seen::default();
        assert!(!seen.is_fresh(1, 0), "nothing was seen");
        seen.note(1000, 5000);
        assert!(seen.is_fresh(1000, 5000) && seen.is_fresh(1, 5099));
        assert!(!seen.is_fresh(1001, 5000), "nobody looked there");
        assert!(!seen.is_fresh(1000, 5100), "that was long ago");
        seen.note(10, 6000);
        assert!(!seen.is_fresh(1000, 6000) && seen.is_fresh(10, 6000));
    }

    #[test]
    fn a_long_file_is_asked_for_each_time() {
        let seen = Seen::default();
        seen.note((1 << LENGTH_BITS) - 1, 7);
        assert!(seen.is_fresh((1 << LENGTH_BITS) - 1, 7));
        seen.note(1 << LENGTH_BITS, 2000);
        assert!(!seen.is_fresh(1 << LENGTH_BITS, 2000) && !seen.is_fresh(1, 2000));
    }
}
