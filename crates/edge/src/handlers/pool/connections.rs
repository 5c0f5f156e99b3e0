//! In:     connections to servers whose answer was taken.
//! Out:    the same for a next request; the turns of each pool on this event loop.
//! Actors: the event loop that owns them.
//! Never:  is a connection given out that its server has ended or written to unasked.

use crate::handlers::pool::connect::Connection;
use crate::handlers::pool::members::{Members, PoolDesk};
use crate::handlers::pool::protocol::Multiplexed;
use hallway_core::balance::Picker;
use hallway_core::plan::Pool;
use hallway_net::runtime::event_loop::EventLoop;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// How long a connection that many requests shared is kept without any.
const SHARED_IDLE_MS: u64 = 60_000;
/// Connections of that kind to one server; more requests wait for one of them.
const SHARED_MAX: usize = 16;

/// What one event loop has of pools.
pub(crate) struct Upstreams {
    pub(crate) event_loop: Rc<EventLoop>,
    /// The plan that counts.
    serial: Cell<u32>,
    idle: RefCell<HashMap<u64, VecDeque<Connection>, foldhash::fast::FixedState>>,
    count: Cell<usize>,
    /// Connections that carry many requests at a time.
    shared: RefCell<HashMap<u64, Vec<Rc<Multiplexed>>, foldhash::fast::FixedState>>,
    turns: RefCell<HashMap<usize, Turns, foldhash::fast::FixedState>>,
    dice: Cell<u64>,
}

/// The turns of a pool, and its members as they were last seen.
pub(super) struct Turns {
    version: u64,
    pub(super) members: Arc<Members>,
    pub(super) picker: Picker,
}

impl Upstreams {
    /// Those of an event loop that has none yet.
    pub(crate) fn new(event_loop: Rc<EventLoop>) -> Upstreams {
        Upstreams {
            serial: Cell::new(0),
            idle: RefCell::default(),
            count: Cell::new(0),
            shared: RefCell::default(),
            turns: RefCell::default(),
            dice: Cell::new(event_loop.ids.chance()),
            event_loop,
        }
    }

    /// This plan counts from now on.
    pub(crate) fn adopt(&self, serial: u32) {
        self.serial.set(serial);
    }

    /// Whether this plan still counts.
    pub(super) fn goes_by(&self, serial: u32) -> bool {
        self.serial.get() == serial
    }

    /// Whether no connection waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.get() == 0 && self.shared.borrow().is_empty()
    }

    /// The connection to a server that was used last.
    pub(super) fn take(&self, server: u64, pool: &Pool, now_ms: u64) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.get_mut(&server)?;
        while let Some(mut connection) = waiting.pop_back() {
            self.count.set(self.count.get() - 1);
            if connection.is_young(pool, now_ms) && connection.is_quiet() {
                connection.is_reused = true;
                return Some(connection);
            }
        }
        None
    }

    /// A connection waits for its next request.
    pub(super) fn keep(&self, server: u64, mut connection: Connection, pool: &Pool, now_ms: u64) {
        if pool.keep_idle_ms == 0 || pool.keep_connections == 0 {
            return;
        }
        connection.rest(now_ms, pool.keep_idle_ms);
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.entry(server).or_default();
        waiting.push_back(connection);
        if waiting.len() > pool.keep_connections {
            waiting.pop_front();
        } else {
            self.count.set(self.count.get() + 1);
        }
    }

    /// A connection to a server that carries one more request.
    pub(super) fn shared(&self, server: u64, pool: &Pool, now_ms: u64) -> Option<Rc<Multiplexed>> {
        let shared = self.shared.borrow();
        let is_fit = |one: &&Rc<Multiplexed>| one.has_room() && now_ms < one.born_ms + pool.keep_age_ms;
        let shared = shared.get(&server)?;
        let any = || shared.iter().find(|one| !one.is_over.get()).filter(|_| shared.len() >= SHARED_MAX);
        shared.iter().find(is_fit).or_else(any).cloned()
    }

    /// A new one that others may use, too.
    pub(super) fn share(&self, server: u64, one: Rc<Multiplexed>) {
        self.shared.borrow_mut().entry(server).or_default().push(one);
    }

    /// Ends connections that have been idle for too long, or whose server has ended them.
    pub(crate) fn sweep(&self, now_ms: u64) {
        if self.is_empty() {
            return;
        }
        self.shared.borrow_mut().retain(|_, shared| {
            shared.retain(|one| {
                let is_idle = one.open.get() == 0 && now_ms > one.used_ms.get() + SHARED_IDLE_MS;
                !one.is_over.get() && !is_idle
            });
            !shared.is_empty()
        });
        let mut count = 0;
        self.idle.borrow_mut().retain(|_, waiting| {
            waiting.retain_mut(|connection| !connection.is_over(now_ms) && connection.is_quiet());
            count += waiting.len();
            !waiting.is_empty()
        });
        self.count.set(count);
    }

    /// The turns of a pool, for a request that goes by this plan, where the pool is this one: while a reload is under
    /// way, or when it waited for longer than that took, its servers may be those of the plan before.
    pub(super) fn with_turns<R>(
        &self,
        desk: &PoolDesk,
        (pool, serial): (&Pool, u32),
        act: impl FnOnce(&mut Turns) -> R,
    ) -> R {
        let mut turns = self.turns.borrow_mut();
        let version = desk.version();
        let turns = turns.entry(desk.number).or_insert_with(|| Turns {
            version,
            members: desk.members(),
            picker: Picker::after(desk.note_loop()),
        });
        if turns.version != version {
            (turns.version, turns.members) = (version, desk.members());
        }
        if !turns.members.suit(pool, serial) {
            let former = Some(desk.former()).filter(|former| former.suit(pool, serial));
            return act(&mut Turns { version, members: former.unwrap_or_default(), picker: Picker::default() });
        }
        act(turns)
    }

    /// Another number by chance.
    pub(crate) fn dice(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood).
        let state = self.dice.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.dice.set(state);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
