//! In:     what became of a server's requests, and of looks at it; now.
//! Out:    whether it is asked; what changed.
//! Actors: none.
//! Never:  does a server that failed come back with its full share before one request has shown that it is well.

/// How much is borne with a server.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Failures, one after the other, that take it out; 0 for any number.
    pub failures: u32,
    /// For how long at first.
    pub out_ms: u64,
    /// And at most.
    pub out_ms_max: u64,
    /// Good looks, one after the other, that bring it back.
    pub rise: u32,
    /// Bad ones that take it out.
    pub fall: u32,
}

/// Whether a server is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Readiness {
    /// As much as its share is.
    Ready,
    /// It was out; one request may see whether it is well again.
    OnTrial,
    /// Not before this moment, but by who finds nobody else. Milliseconds.
    Ejected(u64),
    /// Looks at it say that it is not well.
    Down,
}

/// What changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It is out for so long. Milliseconds.
    Ejected(u64),
    /// It is back.
    Returned,
    /// Looks say that it is not well.
    Fell,
    /// Looks say that it is well again.
    Rose,
}

/// What is known of one server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    /// Failed requests, one after the other.
    failures: u32,
    /// How often it was ejected without having been well for long in between.
    ejections: u32,
    /// Until when it is ejected; 0 for not at all.
    until_ms: u64,
    /// When it last came back.
    returned_ms: u64,
    is_down: bool,
    /// Looks of the other kind than its state, one after the other.
    contrary: u32,
}

impl Health {
    /// Whether it is asked now.
    pub fn readiness(&self, now_ms: u64) -> Readiness {
        match self.until_ms {
            _ if self.is_down => Readiness::Down,
            0 => Readiness::Ready,
            until_ms if now_ms >= until_ms => Readiness::OnTrial,
            until_ms => Readiness::Ejected(until_ms),
        }
    }

    /// Whether there is anything that a good answer would change.
    pub fn is_troubled(&self) -> bool {
        self.failures > 0 || self.until_ms > 0
    }

    /// It answered.
    pub fn succeeded(&mut self, now_ms: u64) -> Option<Change> {
        self.failures = 0;
        if self.until_ms == 0 {
            return None;
        }
        (self.until_ms, self.returned_ms) = (0, now_ms);
        Some(Change::Returned)
    }

    /// It did not; with `is_plain` there is no doubt that it could not, as when nobody listens there.
    pub fn failed(&mut self, now_ms: u64, patience: &Patience, is_plain: bool) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        let is_on_trial = self.until_ms != 0 && now_ms >= self.until_ms;
        let is_enough = is_plain || is_on_trial || self.failures >= patience.failures;
        if patience.failures == 0 || !is_enough || (self.until_ms != 0 && !is_on_trial) {
            return None;
        }
        let last_ms = self.out_ms(patience);
        if self.until_ms == 0 && now_ms > self.returned_ms + 2 * last_ms {
            self.ejections = 0;
        }
        self.ejections = self.ejections.saturating_add(1);
        let out_ms = self.out_ms(patience);
        self.until_ms = now_ms + out_ms;
        Some(Change::Ejected(out_ms))
    }

    /// Somebody looked how it is.
    pub fn looked(&mut self, is_well: bool, now_ms: u64, patience: &Patience) -> Option<Change> {
        if is_well != self.is_down {
            self.contrary = 0;
            return None;
        }
        self.contrary += 1;
        let needed = if is_well { patience.rise } else { patience.fall };
        if self.contrary < needed {
            return None;
        }
        (self.is_down, self.contrary) = (!is_well, 0);
        if is_well {
            // Whoever looks knows better than what was learned before.
            (self.failures, self.until_ms, self.returned_ms) = (0, 0, now_ms);
        }
        Some(if is_well { Change::Rose } else { Change::Fell })
    }

    /// Nobody looks any more; whether it was out by what they saw.
    pub fn forget_looks(&mut self) -> bool {
        self.contrary = 0;
        std::mem::take(&mut self.is_down)
    }

    /// How long it is out this time.
    fn out_ms(&self, patience: &Patience) -> u64 {
        let doublings = self.ejections.saturating_sub(1).min(20);
        (patience.out_ms << doublings).min(patience.out_ms_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { failures: 3, out_ms: 1_000, out_ms_max: 5_000, rise: 2, fall: 3 };

    #[test]
    fn it_stays_out_longer_each_time() {
        let (mut health, mut now) = (Health::default(), 1);
        assert_eq!(health.failed(now, &PATIENCE, false), None);
        assert_eq!(health.failed(now, &PATIENCE, false), None);
        assert_eq!(health.succeeded(now), None);
        assert_eq!(health.failed(now, &PATIENCE, false), None, "one after the other, or they do not count");
        assert!(health.is_troubled());
        assert_eq!(health.failed(now, &PATIENCE, true), Some(Change::Ejected(1_000)), "no doubt");
        assert_eq!(health.readiness(now), Readiness::Ejected(1_001));
        assert_eq!(health.failed(now, &PATIENCE, true), None, "it is out already");
        for out_ms in [2_000, 4_000, 5_000, 5_000] {
            let Readiness::Ejected(until_ms) = health.readiness(now) else { panic!() };
            now = until_ms;
            assert_eq!(health.readiness(now), Readiness::OnTrial);
            assert_eq!(health.failed(now, &PATIENCE, false), Some(Change::Ejected(out_ms)));
        }
        now += 5_000;
        assert_eq!(health.succeeded(now), Some(Change::Returned));
        assert_eq!(health.readiness(now), Readiness::Ready);
        assert_eq!(health.failed(now + 5_000, &PATIENCE, true), Some(Change::Ejected(5_000)), "soon again");
        health.succeeded(now + 10_000);
        assert_eq!(health.failed(now + 60_000, &PATIENCE, true), Some(Change::Ejected(1_000)), "long forgotten");
    }

    #[test]
    fn looks_need_to_agree() {
        let (mut health, well, ill) = (Health::default(), true, false);
        for (look, change) in
            [(ill, None), (ill, None), (well, None), (ill, None), (ill, None), (ill, Some(Change::Fell))]
        {
            assert_eq!(health.looked(look, 0, &PATIENCE), change);
        }
        assert_eq!(health.readiness(0), Readiness::Down);
        assert_eq!(health.succeeded(0), None);
        assert_eq!(health.readiness(0), Readiness::Down, "requests do not bring back what looks took out");
        for (look, change) in [(ill, None), (well, None), (ill, None), (well, None), (well, Some(Change::Rose))] {
            assert_eq!(health.looked(look, 0, &PATIENCE), change);
        }
        assert_eq!(health.readiness(0), Readiness::Ready);
    }

    #[test]
    fn none_for_ever() {
        let mut health = Health::default();
        let patience = Patience { failures: 0, ..PATIENCE };
        assert!((0..99).all(|_| health.failed(0, &patience, true).is_none()));
    }
}
