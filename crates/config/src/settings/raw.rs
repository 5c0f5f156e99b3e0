//! In:     values of flags and of variables of the environment, as they were written.
//! Out:    the same, by flag; of several values of one flag the one that counts.
//! Actors: none.
//! Never:  is a value understood here, or kept without the word that a message names it by.

use std::collections::BTreeMap;

/// Settings as they were written.
#[derive(Debug, Default)]
pub struct Raw {
    /// `MODULE:APP`.
    pub target: String,
    values: BTreeMap<&'static str, Vec<Written>>,
}

/// One value and where it stood.
#[derive(Clone, Debug)]
pub struct Written {
    /// The value.
    pub text: String,
    /// The flag or variable, for error messages.
    pub origin: String,
}

impl Raw {
    /// Those of an app without any flag.
    pub fn of(target: &str) -> Raw {
        Raw { target: target.into(), ..Raw::default() }
    }

    /// One more value of a flag.
    pub fn put(&mut self, long: &'static str, written: Written) {
        self.values.entry(long).or_default().push(written);
    }

    /// Every value of a flag: those of the command line, else that of the environment.
    pub fn all(&self, long: &str) -> &[Written] {
        self.values.get(long).map_or(&[], Vec::as_slice)
    }

    /// The value that counts: the last one.
    pub fn last(&self, long: &str) -> Option<&Written> {
        self.all(long).last()
    }
}
