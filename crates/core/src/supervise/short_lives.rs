//! Counts children that die as soon as they are there, one after the other.
//!
//! In:     how long a child has lived, and whether it did anything.
//! Out:    how long the next one waits before it is started.
//! Actors: none.
//! Never:  does one that dies after a long life wait, or one of many wait for longer than a short life.

use super::back_off_ms;

/// A child that dies sooner after it was ready, or a worker before it has answered anything, has not lived for long. So
/// long is the longest pause after that, too: a request that ends workers costs its own app no more.
const SHORT_LIFE_MS: u64 = 1_000;
/// So many deaths of that kind, and for workers one for each of them, are followed by no pause.
const FREE: u32 = 3;

/// How many in a row have not lived for long.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShortLives(u32);

impl ShortLives {
    /// One that was ready has died: how long its place stays empty. `siblings` are those that may die of the same cause.
    pub(super) fn pause_ms(&mut self, lived_ms: u64, has_served: bool, siblings: u32) -> u64 {
        self.0 = if lived_ms < SHORT_LIFE_MS || !has_served { self.0.saturating_add(1) } else { 0 };
        match self.0.saturating_sub(FREE.saturating_add(siblings)) {
            0 => 0,
            many => back_off_ms(many).min(SHORT_LIFE_MS),
        }
    }
}
