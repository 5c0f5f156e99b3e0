//! What the lanes of an app's workers know of it.
//!
//! In:     the app, as each plan has it.
//! Out:    its name, and how long its workers may be silent.
//! Actors: every event loop.
//! Never:  is a lane made anew because a setting has changed.

use hallway_core::plan::App;
use std::sync::atomic::{AtomicU64, Ordering};

/// An app, as its workers are seen.
pub(crate) struct AppFacts {
    pub(crate) name: String,
    timeout_ms: AtomicU64,
}

impl AppFacts {
    pub(super) fn new(app: &App) -> AppFacts {
        AppFacts { name: app.name.clone(), timeout_ms: AtomicU64::new(app.timeout_ms) }
    }

    /// The application has other settings from now on.
    pub(super) fn renew(&self, app: &App) {
        self.timeout_ms.store(app.timeout_ms, Ordering::Relaxed);
    }

    /// How long a worker may send nothing; 0 for ever.
    pub(super) fn timeout_ms(&self) -> u64 {
        self.timeout_ms.load(Ordering::Relaxed)
    }
}
