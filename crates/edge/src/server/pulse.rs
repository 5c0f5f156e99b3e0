//! The heartbeat of an event loop.
//!
//! In:     turns of an event loop.
//! Out:    the moment of the last one, where the master sees it.
//! Actors: one task on each event loop, and its sweeper.
//! Never:  does anything but a turn of the loop make it look alive, or a request cost anything for it.

use hallway_core::supervise::beat_ms;
use hallway_ring::Beats;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The slot of the edge's main thread; those of the event loops follow.
pub const MAIN: usize = 0;

/// Of one event loop.
pub(crate) struct Pulse {
    beats: Arc<Beats>,
    slot: usize,
    /// So long may pass between two turns; 0 where nobody watches.
    watchdog_ms: Cell<u64>,
    /// Told when that is another time.
    renewed: Notify,
}

impl Pulse {
    /// Begins on the thread of the event loop.
    pub(crate) fn begin(beats: Arc<Beats>, thread: u16) -> Pulse {
        let slot = MAIN + 1 + usize::from(thread);
        beats.begin(slot);
        Pulse { beats, slot, watchdog_ms: Cell::new(0), renewed: Notify::new() }
    }

    /// The loop turns.
    pub(crate) fn beat(&self) {
        self.beats.beat(self.slot);
    }

    /// Another watchdog counts from now on.
    pub(crate) fn renew(&self, watchdog_ms: u64) {
        self.watchdog_ms.set(watchdog_ms);
        self.beat();
        self.renewed.notify_one();
    }

    /// The loop has ended.
    pub(crate) fn end(&self) {
        self.beats.excuse(self.slot);
    }
}

/// Shows that the loop turns, also while it has nothing to do.
pub(crate) async fn keep(pulse: Rc<Pulse>) {
    loop {
        pulse.beat();
        let renewed = pulse.renewed.notified();
        match beat_ms(pulse.watchdog_ms.get()) {
            Some(pause_ms) => drop(tokio::time::timeout(Duration::from_millis(pause_ms), renewed).await),
            None => renewed.await,
        }
    }
}
