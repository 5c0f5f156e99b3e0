//! In:     positions of one side of a ring.
//! Out:    the same for the other side; whether that one sleeps and has to be woken.
//! Actors: the sender and the receiver of the ring, in two processes.
//! Never:  does a side sleep over something that came while it lay down: each lays down first and
//!         looks once more, the other one publishes first and looks then (model.rs proves it).

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// What the receiver of a ring can tell its sender beside it, as numbers.
pub(crate) const NOTES: usize = 8;

/// One word to a pair of cache lines, which processors fetch together.
#[repr(C, align(128))]
pub(crate) struct Line<T>(pub(crate) T);

/// The words of one ring. All of them are zero at first.
#[repr(C)]
pub(crate) struct Words {
    /// Up to here frames are whole. The sender's.
    head: Line<AtomicU64>,
    /// Up to here the receiver needs nothing any more. The receiver's.
    tail: Line<AtomicU64>,
    /// Set while the receiver sleeps, or is about to.
    asleep: Line<AtomicU32>,
    /// Set while the sender waits for room or credit, or is about to.
    starved: Line<AtomicU32>,
    /// The receiver's.
    notes: Line<[AtomicU64; NOTES]>,
}

impl Words {
    /// The sender has written frames up to `head`; whether it has to wake the receiver.
    pub(crate) fn publish(&self, head: u64) -> bool {
        self.head.0.store(head, Ordering::Release);
        claim(&self.asleep.0)
    }

    /// The receiver has done with everything up to `tail`; whether it has to wake the sender.
    pub(crate) fn release(&self, tail: u64) -> bool {
        self.tail.0.store(tail, Ordering::Release);
        claim(&self.starved.0)
    }

    pub(crate) fn head(&self) -> u64 {
        self.head.0.load(Ordering::Acquire)
    }

    pub(crate) fn tail(&self) -> u64 {
        self.tail.0.load(Ordering::Acquire)
    }

    /// The receiver lies down. It has to look at `head` once more before it sleeps.
    pub(crate) fn lie_down(&self) {
        lie_down(&self.asleep.0);
    }

    /// The receiver is up without having been woken.
    pub(crate) fn rise(&self) {
        self.asleep.0.swap(0, Ordering::Relaxed);
    }

    /// The sender is about to wait for room or credit. It has to look for that once more before it does.
    pub(crate) fn starve(&self) {
        lie_down(&self.starved.0);
    }

    /// Something else than room has come that the sender may wait for; whether it has to be woken.
    pub(crate) fn rouse(&self) -> bool {
        claim(&self.starved.0)
    }

    /// The word on which a receiver sleeps that has no descriptor to wait for.
    pub(crate) fn asleep(&self) -> &AtomicU32 {
        &self.asleep.0
    }

    /// The word on which a sender waits for room.
    pub(crate) fn starved(&self) -> &AtomicU32 {
        &self.starved.0
    }

    pub(crate) fn note(&self, at: usize) -> Option<&AtomicU64> {
        self.notes.0.get(at)
    }
}

/// How many bytes of one stream the sender of a ring may have sent in all, as its receiver says. A place is used by one
/// call after the other; so it says of which.
#[repr(C)]
pub(crate) struct Credit {
    ticket: AtomicU64,
    bytes: AtomicU64,
}

impl Credit {
    /// The receiver's. Those of one call are in the order of their numbers, and behind those of the calls before it.
    pub(crate) fn grant(&self, ticket: u64, bytes: u64) {
        if self.ticket.load(Ordering::Relaxed) != ticket {
            // Whoever sees the new ticket sees no number of a call before it.
            self.bytes.store(0, Ordering::Relaxed);
            self.ticket.store(ticket, Ordering::Release);
        }
        self.bytes.store(bytes, Ordering::Release);
    }

    /// What this call was granted; 0 where that is what it has from the start.
    pub(crate) fn granted(&self, ticket: u64) -> u64 {
        if self.ticket.load(Ordering::Acquire) == ticket { self.bytes.load(Ordering::Acquire) } else { 0 }
    }
}

fn lie_down(flag: &AtomicU32) {
    // A swap, where a store would do: so each word has one order of changes that loom can follow.
    flag.swap(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

/// Takes the duty to wake, at most once for each time that the other side lay down.
fn claim(flag: &AtomicU32) -> bool {
    fence(Ordering::SeqCst);
    flag.load(Ordering::Relaxed) != 0 && flag.swap(0, Ordering::AcqRel) != 0
}

#[cfg(loom)]
impl Credit {
    pub(crate) fn new() -> Credit {
        Credit { ticket: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }
}

#[cfg(loom)]
impl Words {
    pub(crate) fn new() -> Words {
        Words {
            head: Line(AtomicU64::new(0)),
            tail: Line(AtomicU64::new(0)),
            asleep: Line(AtomicU32::new(0)),
            starved: Line(AtomicU32::new(0)),
            notes: Line(std::array::from_fn(|_| AtomicU64::new(0))),
        }
    }
}
