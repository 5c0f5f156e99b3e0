//! In:     requests, and those that are to be sent again.
//! Out:    whether one may be.
//! Actors: none.
//! Never:  do retries make an overload worse: they are a share of what clients ask for, and no more.

/// What may be saved up: so many retries at once, however few requests there were.
const SAVED_MAX: i64 = 100;
/// One retry, in the unit that shares of one are counted in.
const ONE: i64 = 100;

/// A budget of retries, as a bucket of hundredths of a retry. Its number is the caller's to keep, so that threads can
/// share it.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    percent: i64,
}

impl Budget {
    /// For so many retries on a hundred requests.
    pub fn new(percent: u32) -> Budget {
        Budget { percent: i64::from(percent.min(1_000)) }
    }

    /// What is there at the beginning.
    pub fn full(self) -> i64 {
        SAVED_MAX * ONE
    }

    /// What is there after a request came.
    pub fn earned(self, saved: i64) -> i64 {
        (saved + self.percent).min(self.full())
    }

    /// What is there after a retry; nothing where there is not enough for one.
    pub fn spent(self, saved: i64) -> Option<i64> {
        (saved >= ONE).then_some(saved - ONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_requests() {
        let budget = Budget::new(20);
        let (mut saved, mut retries) = (budget.full(), 0);
        for _ in 0..10_000 {
            saved = budget.earned(saved);
            // Everything fails, and wants to be sent again.
            if let Some(left) = budget.spent(saved) {
                (saved, retries) = (left, retries + 1);
            }
        }
        assert_eq!(retries, 2_000 + 100 - 1, "a fifth, and what was saved");
        assert_eq!(Budget::new(0).spent(0), None);
    }
}
