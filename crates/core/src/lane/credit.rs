//! In:     bytes of one stream of a lane as they come; whether there is room for more of it.
//! Out:    how many bytes in all its sender may send; whether that one regards it.
//! Actors: none.
//! Never:  does a stream without room hold up another one of its lane, or more of it come than was granted.

/// Bytes of one stream that its sender may send ahead of what its receiver has room for: so many are granted before any
/// word of that. As long as an answer is no longer, nothing is told for it.
pub const CREDIT_BYTES: u64 = 256 * 1024;

/// One stream as its receiver counts it. What is granted is a number of bytes from the beginning of the stream, so that no
/// word of it has to be heard before the next one is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    taken: u64,
    granted: u64,
}

impl Default for Credit {
    fn default() -> Self {
        Credit { taken: 0, granted: CREDIT_BYTES }
    }
}

impl Credit {
    /// Bytes have come; `false` where they were not granted.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        self.taken = self.taken.saturating_add(bytes as u64);
        self.taken <= self.granted
    }

    /// There is room for more: what the sender is to be told, if anything. Half of what it may have ahead is told at once,
    /// so that a long stream takes few words, and its sender seldom waits for one.
    pub fn renew(&mut self) -> Option<u64> {
        if self.granted.saturating_sub(self.taken) >= CREDIT_BYTES / 2 {
            return None;
        }
        self.granted = self.taken.saturating_add(CREDIT_BYTES);
        Some(self.granted)
    }
}

/// Whether a sender may send up to this byte of a stream, by what it was told last (0 for nothing). Where it may not, it
/// waits: for pieces of at most half of `CREDIT_BYTES` the receiver tells as soon as it has room.
pub fn has_credit(until: u64, granted: u64) -> bool {
    until <= CREDIT_BYTES.max(granted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::{FRAME_BYTES_MAX, PIECE_BYTES_MAX};

    #[test]
    fn a_short_stream_needs_no_word() {
        let mut credit = Credit::default();
        assert!(credit.take(CREDIT_BYTES as usize / 2));
        assert_eq!(credit.renew(), None);
        assert!(has_credit(CREDIT_BYTES, 0) && !has_credit(CREDIT_BYTES + 1, 0));
        // The start of an answer has its first piece with it.
        assert!(FRAME_BYTES_MAX as u64 <= CREDIT_BYTES);
    }

    #[test]
    fn more_than_was_granted_is_told() {
        for (pieces, is_granted) in
            [(vec![CREDIT_BYTES], true), (vec![CREDIT_BYTES, 1], false), (vec![u64::MAX], false)]
        {
            let mut credit = Credit::default();
            let taken: Vec<bool> = pieces.iter().map(|bytes| credit.take(*bytes as usize)).collect();
            assert_eq!(taken.last(), Some(&is_granted), "{pieces:?}");
        }
        let mut credit = Credit::default();
        assert!(!credit.take(usize::MAX) && !credit.take(usize::MAX), "it does not come round");
        let granted = credit.renew();
        assert_eq!((granted, credit.renew()), (Some(u64::MAX), Some(u64::MAX)));
    }

    /// Whoever sends in pieces and waits for credit is told of it once there is room, whatever comes when.
    #[test]
    fn who_waits_is_told() {
        for seed in 1..200u64 {
            let mut dice = seed;
            let mut roll = |below: u64| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (dice >> 33) % below
            };
            let (mut sent, mut told, mut on_its_way, mut credit) = (0, 0, Vec::new(), Credit::default());
            let mut has_room = true;
            for _ in 0..2_000 {
                let piece = 1 + roll(PIECE_BYTES_MAX as u64);
                let waits = !has_credit(sent + piece, told);
                match roll(3) {
                    0 if !waits => {
                        sent += piece;
                        on_its_way.push(piece as usize);
                    }
                    1 if !on_its_way.is_empty() => {
                        assert!(credit.take(on_its_way.remove(0)), "an honest one is never told that it lies");
                        has_room = roll(4) > 0;
                    }
                    _ => has_room |= roll(2) == 0,
                }
                if has_room && let Some(granted) = credit.renew() {
                    told = granted;
                }
                assert!(sent - credit.taken <= CREDIT_BYTES);
                if has_room && on_its_way.is_empty() {
                    assert!(has_credit(sent + PIECE_BYTES_MAX as u64, told), "SEED={seed}: it waits for nothing");
                }
            }
            assert!(sent > 4 * CREDIT_BYTES, "SEED={seed}");
        }
    }
}
