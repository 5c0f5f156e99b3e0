//! In:     -
//! Out:    how much of something clients get.
//! Actors: none.
//! Never:  is anything counted here; it only says what is to be.

use serde::{Deserialize, Serialize};

/// Requests that are counted together.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Zone {
    /// By which it is the same zone after a reload.
    pub name: String,
    /// Who is told from whom.
    pub by: LimitBy,
    /// How much each gets.
    pub most: Most,
    /// Whether answers say how much is left.
    pub tells: bool,
}

/// What tells one client from another.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum LimitBy {
    /// Its address; of IPv6 the network that one customer has (/64).
    Client,
    /// The value of this header.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
    /// The user of basic authentication.
    User,
    /// Nothing: all count together.
    All,
}

/// How much each gets.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Most {
    /// Requests over time.
    Rate(Rate),
    /// Requests at a time.
    AtOnce(u32),
}

/// A rate, as the generic cell rate algorithm (ITU-T I.371) has it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rate {
    /// Nanoseconds between two, on the long run.
    pub interval_ns: u64,
    /// How many may come at once.
    pub burst: u64,
}

/// How fast answers are sent. Bytes a second.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bandwidth {
    /// Of one answer; 0 for any.
    pub answer_bytes_s: u64,
    /// Bytes of an answer that are sent before that counts.
    pub free_bytes: u64,
    /// Of all answers to one client; 0 for any.
    pub client_bytes_s: u64,
    /// By which the clients are the same after a reload.
    pub name: String,
}
