//! In:     what an adapter must be able to tell or ask of the rest of the house.
//! Out:    traits; the program decides in `src/wire.rs` which concrete type stands behind each.
//! Actors: none.
//! Never:  does a foreign type stand in a port.

/// The master, as the edge sees it.
pub trait Master: Send + Sync {
    /// The edge serves on every socket it was given.
    fn edge_is_ready(&self);
    /// A request on this worker took longer than the app's timeout.
    fn worker_is_overdue(&self, worker: u32);
    /// A request on this worker took longer than that, while others on it are not done yet.
    fn worker_is_stuck(&self, worker: u32);
    /// This worker said hello: it takes requests of this edge.
    fn worker_has_joined(&self, worker: u32);
    /// This worker has answered for the first time.
    fn worker_has_served(&self, worker: u32);
    /// This worker said that it begins nothing more, and ends.
    fn worker_is_leaving(&self, worker: u32);
    /// Everything that comes from now on goes by the plan with this serial number.
    fn plan_is_adopted(&self, serial: u32);
    /// Nothing goes by the plan with this serial number any more.
    fn plan_is_over(&self, serial: u32);
    /// The edge has answered everything and may be let go.
    fn edge_has_drained(&self);
}
