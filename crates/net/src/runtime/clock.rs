//! In:     the system's clocks.
//! Out:    one coarse time for deadlines, one exact time for records, the Date of answers.
//! Actors: the event loop that owns it.
//! Never:  does the wall clock decide how long something took.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time of one event loop. All loops of a process share the same beginning.
pub struct Clock {
    beginning: Cell<Instant>,
    coarse_ms: Cell<u64>,
    /// Wall clock minus `beginning`, in microseconds since 1970; taken again at each refresh.
    unix_offset_us: Cell<u64>,
    date: RefCell<(u64, String)>,
}

impl Clock {
    /// One that counts from there.
    pub fn new(beginning: Instant) -> Self {
        let clock = Clock {
            beginning: Cell::new(beginning),
            coarse_ms: Cell::new(0),
            unix_offset_us: Cell::new(0),
            date: RefCell::new((u64::MAX, String::new())),
        };
        clock.refresh();
        clock
    }

    /// Reads the clocks anew. Called by the sweeper, a few times a second while there is work.
    pub fn refresh(&self) {
        let now_us = self.now_us();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.unix_offset_us.set((unix.as_micros() as u64).saturating_sub(now_us));
    }

    /// Microseconds since the beginning, exact; also moves the coarse time.
    pub fn now_us(&self) -> u64 {
        let now_us = self.beginning.get().elapsed().as_micros() as u64;
        self.coarse_ms.set(now_us / 1000);
        now_us
    }

    /// Moves the time on: a test does not wait for it.
    pub fn move_on(&self, by: Duration) {
        let beginning = self.beginning.get();
        self.beginning.set(beginning.checked_sub(by).unwrap_or(beginning));
        self.refresh();
    }

    /// Milliseconds since the beginning, as of the last look at the clock.
    pub fn coarse_ms(&self) -> u64 {
        self.coarse_ms.get()
    }

    /// Milliseconds since 1970 for a moment of `now_us`.
    pub fn unix_ms(&self, at_us: u64) -> u64 {
        (self.unix_offset_us.get() + at_us) / 1000
    }

    /// Gives the present Date (RFC 9110, 5.6.7) to `take`; written anew once a second.
    pub fn with_date<R>(&self, take: impl FnOnce(&[u8]) -> R) -> R {
        let unix_s = self.unix_ms(self.coarse_ms.get() * 1000) / 1000;
        let mut date = self.date.borrow_mut();
        if date.0 != unix_s {
            *date = (unix_s, httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_s)));
        }
        take(date.1.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(clock: &Clock) -> SystemTime {
        clock.with_date(|date| httpdate::parse_http_date(std::str::from_utf8(date).unwrap()).unwrap())
    }

    #[test]
    fn the_coarse_time_is_that_of_the_last_look() {
        let clock = Clock::new(Instant::now());
        let before_ms = clock.coarse_ms();
        clock.beginning.set(clock.beginning.get().checked_sub(Duration::from_secs(60)).unwrap());
        assert_eq!(clock.coarse_ms(), before_ms);
        let now_us = clock.now_us();
        assert!(now_us >= 60_000_000);
        assert_eq!(clock.coarse_ms(), now_us / 1000);
    }

    #[test]
    fn a_date_is_written_anew_when_its_second_is_over() {
        let clock = Clock::new(Instant::now());
        let before = date(&clock);
        let now = SystemTime::now();
        assert!(before <= now && now.duration_since(before).unwrap() < Duration::from_secs(60));
        clock.coarse_ms.set(clock.coarse_ms() + 61_000);
        assert_eq!(date(&clock).duration_since(before).unwrap().as_secs(), 61);
    }

    #[test]
    fn moments_are_told_by_the_wall_clock_of_the_last_refresh() {
        let clock = Clock::new(Instant::now());
        clock.unix_offset_us.set(1_000_000_000_000_000);
        assert_eq!(clock.unix_ms(2_500), 1_000_000_000_002);
        // A step of the wall clock is followed, and the time since the beginning is not.
        let before_us = clock.now_us();
        clock.refresh();
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        assert!(unix_ms - clock.unix_ms(clock.now_us()) < 60_000);
        assert!(clock.now_us() - before_us < 60_000_000);
    }
}
