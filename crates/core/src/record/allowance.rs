//! In:     how much the workers of an app print, and when.
//! Out:    whether it goes to the log; now and then how much did not.
//! Actors: none.
//! Never:  is anything left out that is not counted.

/// Bytes that an app may print a second on average, and at once.
const BYTES_S: u64 = 4 * 1024 * 1024;
const BYTES_MAX: u64 = 4 * BYTES_S;
/// The same for lines.
const LINES_S: u64 = 20_000;
const LINES_MAX: u64 = 4 * LINES_S;
/// Bytes a second that are read and dropped; whoever prints more waits for the reader, as for any pipe.
const READ_S: u64 = 64 * 1024 * 1024;
/// Between two words on what was left out; the first ones come sooner.
const TOLD_MS: u64 = 10_000;
const FIRST_TOLD_MS: u64 = 1_000;

/// What one app may print.
#[derive(Clone, Debug)]
pub struct Allowance {
    bytes: u64,
    lines: u64,
    read: u64,
    at_ms: u64,
    dropped: Dropped,
    tell_at_ms: Option<u64>,
    told_ms: Option<u64>,
}

/// What was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Lines.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Allowance {
    /// All of it.
    pub fn new(now_ms: u64) -> Allowance {
        let (dropped, tell_at_ms, told_ms) = (Dropped::default(), None, None);
        Allowance { bytes: BYTES_MAX, lines: LINES_MAX, read: READ_S, at_ms: now_ms, dropped, tell_at_ms, told_ms }
    }

    /// Whether more may be read now.
    pub fn may_read(&mut self, now_ms: u64) -> bool {
        self.refill(now_ms);
        self.read > 0
    }

    /// So much was read.
    pub fn note_read(&mut self, bytes: usize) {
        self.read = self.read.saturating_sub(bytes as u64);
    }

    /// Whether these lines go to the log; else they are counted.
    pub fn take(&mut self, now_ms: u64, bytes: usize, lines: usize) -> bool {
        let (bytes, lines) = (bytes as u64, lines as u64);
        self.refill(now_ms);
        if self.bytes >= bytes && self.lines >= lines {
            self.bytes -= bytes;
            self.lines -= lines;
            return true;
        }
        self.dropped.lines += lines;
        self.dropped.bytes += bytes;
        let earliest_ms = self.told_ms.map_or(0, |told_ms| told_ms + TOLD_MS);
        self.tell_at_ms.get_or_insert(earliest_ms.max(now_ms + FIRST_TOLD_MS));
        false
    }

    /// What was left out, when it is time to say so.
    pub fn due(&mut self, now_ms: u64) -> Option<Dropped> {
        self.tell_at_ms.take_if(|at| *at <= now_ms)?;
        self.told_ms = Some(now_ms);
        Some(std::mem::take(&mut self.dropped))
    }

    /// When something is to be said, or read again, at the latest.
    pub fn wake_at(&self) -> Option<u64> {
        let read_at_ms = (self.read == 0).then_some(self.at_ms + 10);
        self.tell_at_ms.into_iter().chain(read_at_ms).min()
    }

    fn refill(&mut self, now_ms: u64) {
        // Less than this comes to no line, and rounding would take it.
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        if passed_ms == 0 {
            return;
        }
        let more = |left: u64, a_second: u64, most: u64| {
            left.saturating_add(a_second.saturating_mul(passed_ms) / 1000).min(most)
        };
        self.bytes = more(self.bytes, BYTES_S, BYTES_MAX);
        self.lines = more(self.lines, LINES_S, LINES_MAX);
        self.read = more(self.read, READ_S, READ_S);
        self.at_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_its_rate_and_what_is_cut_is_counted() {
        for (bytes, lines) in [(64 * 1024, 650), (64 * 1024, 65_536 / 2), (64 * 1024, 1)] {
            let mut allowance = Allowance::new(0);
            let (mut passed, mut told) = ((0, 0), Vec::new());
            let mut total = Dropped::default();
            for now_ms in 1..=60_000 {
                for _ in 0..2 {
                    if allowance.take(now_ms, bytes, lines) {
                        passed = (passed.0 + bytes as u64, passed.1 + lines as u64);
                    }
                }
                if let Some(dropped) = allowance.due(now_ms) {
                    told.push(now_ms);
                    total = Dropped { lines: total.lines + dropped.lines, bytes: total.bytes + dropped.bytes };
                }
            }
            total.lines += allowance.dropped.lines;
            total.bytes += allowance.dropped.bytes;
            assert!(passed.0 <= BYTES_MAX + 60 * BYTES_S && passed.1 <= LINES_MAX + 60 * LINES_S, "{passed:?}");
            assert!(passed.0 > 59 * BYTES_S || passed.1 > 59 * LINES_S, "{passed:?}");
            assert_eq!(passed.0 + total.bytes, 120_000 * bytes as u64, "each byte is told or counted");
            assert_eq!(passed.1 + total.lines, 120_000 * lines as u64);
            assert!(told.len() >= 5 && told.windows(2).all(|pair| pair[1] - pair[0] >= TOLD_MS), "{told:?}");
            assert!(told[0] < 10_000, "{told:?}");
        }
    }

    #[test]
    fn who_prints_little_is_never_cut() {
        let mut allowance = Allowance::new(0);
        for now_ms in (0..600_000).step_by(100) {
            assert!(allowance.take(now_ms, 300_000, 1_500));
        }
        assert_eq!((allowance.due(u64::MAX), allowance.wake_at()), (None, None));
        let mut allowance = Allowance::new(0);
        assert!(allowance.take(5, BYTES_MAX as usize, 1), "and may say much at once");
    }

    #[test]
    fn what_is_read_is_bounded_too() {
        let mut allowance = Allowance::new(0);
        let mut read = 0;
        for now_ms in 0..10_000 {
            while allowance.may_read(now_ms) {
                allowance.note_read(64 * 1024);
                read += 64 * 1024;
            }
            assert!(allowance.wake_at().is_some_and(|at| at > now_ms));
        }
        assert!(read <= 11 * READ_S + 10_000 * 64 * 1024, "{read}");
    }
}
