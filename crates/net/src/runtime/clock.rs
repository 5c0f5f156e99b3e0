//! In:     the system's clocks.
//! Out:    one coarse time for deadlines, one exact time for records, the Date of answers.
//! Actors: the event loop that owns it.
//! Never:  does the wall clock decide how long something took.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time of one event loop. All loops of a process share the same beginning.
pub struct Clock {
    beginning: Instant,
    coarse_ms: Cell<u64>,
    /// Wall clock minus `beginning`, in microseconds since 1970; taken again at each refresh.
    unix_offset_us: Cell<u64>,
    date: RefCell<(u64, String)>,
}

impl Clock {
    /// One that counts from there.
    pub fn new(beginning: Instant) -> Self {
        let clock = Clock {
            beginning,
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
        let now_us = self.beginning.elapsed().as_micros() as u64;
        self.coarse_ms.set(now_us / 1000);
        now_us
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
