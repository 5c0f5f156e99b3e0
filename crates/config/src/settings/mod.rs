//! In:     values as people write them, in flags and in a file.
//! Out:    what they say; of flags the whole plan.
//! Actors: the machine is asked whether what is named exists.
//! Never:  is a value read in one way in a file, and in another one in a flag.

mod address;
mod callable;
mod interpreter;
mod log_format;
mod raw;
mod run;
mod units;

pub(crate) use address::read_address;
pub(crate) use callable::callable;
pub use interpreter::{FROM_PATH, Venvs, default_interpreter};
pub(crate) use log_format::log_format;
pub use raw::{Raw, Written};
pub use run::plan_of_run;
pub(crate) use units::{duration_ms, head_bytes, percent, rate, size_bytes, unless_zero};
