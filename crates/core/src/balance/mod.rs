//! In:     how servers stand at the moment, a key, dice.
//! Out:    which of them gets a request; which is taken out, and when it may come back.
//! Actors: none; counts that threads share are read by whoever asks.
//! Never:  does a choice depend on anything but its arguments and the turns before it.

mod budget;
mod health;
mod latency;
mod pick;
pub mod ring;

pub use budget::Budget;
pub use health::{Change, Health, Patience, Readiness};
pub use latency::Latency;
pub use pick::{Picked, Picker, Standing, Tier};
