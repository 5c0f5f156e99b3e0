//! The pools of one plan.
//!
//! In:     a plan; the states of its pools, which outlive it.
//! Out:    pool, state and encryption by number or name.
//! Actors: every event loop.
//! Never:  changes: another plan has others.

use crate::handlers::pool::members::PoolDesk;
use hallway_core::plan::Pool;
use hallway_net::tls::client::client_config;
use rustls::ClientConfig;
use std::io;
use std::sync::Arc;

/// How connections to the servers of each pool are encrypted, where they are.
pub(crate) struct PoolsTls(Vec<Option<Arc<ClientConfig>>>);

impl PoolsTls {
    /// # Errors
    /// What of the pools cannot be used.
    pub(crate) fn of(pools: &[Arc<Pool>]) -> io::Result<PoolsTls> {
        pools.iter().map(|pool| client_config(pool)).collect::<io::Result<_>>().map(PoolsTls)
    }
}

/// All pools of a plan, in its order.
pub(crate) struct Pools {
    /// Which plan it is, of all that this edge had.
    pub(super) serial: u32,
    pools: Vec<(Arc<PoolDesk>, Arc<Pool>)>,
    tls: PoolsTls,
    /// Whether some server is to be asked for targets as they came.
    pub(crate) has_raw: bool,
}

impl Pools {
    pub(crate) fn new(serial: u32, pools: Vec<(Arc<PoolDesk>, Arc<Pool>)>, tls: PoolsTls) -> Pools {
        let has_raw = pools.iter().any(|(_, pool)| pool.raw_path);
        Pools { serial, pools, tls, has_raw }
    }

    /// One of those that the plan has.
    pub(super) fn of(&self, number: usize) -> (&Arc<PoolDesk>, &Arc<Pool>) {
        let (desk, pool) = &self.pools[number];
        (desk, pool)
    }

    /// The same where the number may be of another plan.
    pub(super) fn get(&self, number: usize) -> Option<(&Arc<PoolDesk>, &Arc<Pool>)> {
        self.pools.get(number).map(|(desk, pool)| (desk, pool))
    }

    /// The number of a pool.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.pools.iter().position(|(_, pool)| pool.name == name)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<PoolDesk>, &Arc<Pool>)> {
        self.pools.iter().map(|(desk, pool)| (desk, pool))
    }

    /// How connections to the servers of a pool are encrypted.
    pub(super) fn tls(&self, number: usize) -> Option<&Arc<ClientConfig>> {
        self.tls.0.get(number)?.as_ref()
    }
}
