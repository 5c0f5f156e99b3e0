//! In:     a ring.
//! Out:    its frames, one after the other; its room, given back.
//! Actors: whoever owns this end.
//! Never:  is a length of the other side believed before it is compared with what there is.

use crate::Broken;
use crate::memory::Memory;
use crate::sender::{BEGUN, PENDING};
use crate::shape::{HEADER, footprint};
use crate::words::{Ordering, fence};
use std::io;
use std::sync::Arc;

/// The receiving end of a ring.
pub struct Receiver {
    memory: Arc<Memory>,
    ring: usize,
    /// Behind the last frame that was taken.
    next: u64,
    /// What the sender had published when this side last looked.
    head: u64,
    released: u64,
}

/// A frame that was taken and is still where it was.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    position: u64,
    length: usize,
}

impl Receiver {
    /// The receiving end of ring number `ring`. There must be no other, in any process.
    pub fn new(memory: Arc<Memory>, ring: usize) -> Receiver {
        Receiver { memory, ring, next: 0, head: 0, released: 0 }
    }

    /// Takes the next frame as a copy, which `into` then holds; `false` when there is none.
    ///
    /// # Errors
    /// When the sender wrote what is no frame.
    pub fn copy_next(&mut self, into: &mut Vec<u8>) -> Result<bool, Broken> {
        let Some(frame) = self.find()? else { return Ok(false) };
        into.clear();
        self.memory.get(self.ring, frame.position + HEADER as u64, frame.length, into);
        Ok(true)
    }

    /// Begins the next frame, unless it was withdrawn. It stays in the ring until it is released.
    ///
    /// # Errors
    /// When the sender wrote what is no frame.
    pub fn begin_next(&mut self) -> Result<Option<Frame>, Broken> {
        while let Some(frame) = self.find()? {
            let (_, state) = self.memory.header(self.ring, frame.position);
            if state.compare_exchange(PENDING, BEGUN, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// The bytes of a frame that is not released, for a side that trusts the sender.
    pub fn bytes(&self, frame: Frame) -> &[u8] {
        self.memory.see(self.ring, frame.position + HEADER as u64, frame.length)
    }

    fn find(&mut self) -> Result<Option<Frame>, Broken> {
        if self.head == self.next {
            let head = self.memory.words(self.ring).head();
            let (ready, unreleased) = (head.wrapping_sub(self.next), head.wrapping_sub(self.released));
            // An honest sender waits until what it writes over was released: so a ring never holds more than fits, and
            // whoever takes from it without a release comes to an end.
            let bytes = self.memory.bytes(self.ring);
            if ready > bytes || unreleased > bytes || !ready.is_multiple_of(HEADER as u64) {
                return Err(Broken);
            }
            self.head = head;
        }
        let ready = self.head - self.next;
        if ready == 0 {
            return Ok(None);
        }
        let position = self.next;
        let length = self.memory.header(self.ring, position).0.load(Ordering::Relaxed) as usize;
        if footprint(length) > ready {
            return Err(Broken);
        }
        self.next += footprint(length);
        Ok(Some(Frame { position, length }))
    }

    /// Gives back the room of everything that was taken, and wakes a sender that waits for it; whether one did.
    pub fn release(&mut self) -> bool {
        let mut was_awaited = false;
        if self.released != self.next {
            self.released = self.next;
            let words = self.memory.words(self.ring);
            was_awaited = words.release(self.next);
            if was_awaited {
                self.memory.wake(words.starved());
            }
        }
        was_awaited
    }

    /// Declares that this side sleeps, so that the next frame wakes it; `false` when there is one
    /// already.
    pub fn lie_down(&self) -> bool {
        let words = self.memory.words(self.ring);
        words.lie_down();
        let is_empty = words.head() == self.next;
        if !is_empty {
            words.rise();
        }
        is_empty
    }

    /// This side is awake: frames need not wake it.
    pub fn rise(&self) {
        self.memory.words(self.ring).rise();
    }

    /// Sleeps until a frame comes, or `wake_all`; may end for no reason. To be called after `lie_down`.
    ///
    /// # Errors
    /// `EINTR` when a signal came.
    pub fn sleep(&self) -> io::Result<()> {
        self.memory.sleep(self.memory.words(self.ring).asleep())
    }

    /// Tells the sender something beside the ring.
    pub fn put_note(&self, at: usize, value: u64) {
        self.memory.put_note(self.ring, at, value);
    }
}

impl Memory {
    /// Tells the sender of a ring something beside it. For the receiving side.
    pub fn put_note(&self, ring: usize, at: usize, value: u64) {
        if let Some(note) = self.words(ring).note(at) {
            note.store(value, Ordering::Relaxed);
        }
    }

    /// Says up to how many bytes in all the sender of a ring may send of a stream that is this call's now. For the receiving
    /// side. Who waits for it is woken by the next `release` of something, or by `rouse`.
    pub fn grant(&self, ring: usize, (stream, ticket): (u16, u64), bytes: u64) {
        if let Some(credit) = self.credit(ring, stream) {
            credit.grant(ticket, bytes);
        }
    }

    /// Wakes a sender that waits for what was granted.
    pub fn rouse(&self, ring: usize) {
        let words = self.words(ring);
        if words.rouse() {
            self.wake(words.starved());
        }
    }

    /// Wakes everybody who sleeps on a ring or waits for room in one, because the lanes have ended.
    /// They have to look for that before each sleep.
    pub fn wake_all(&self) {
        fence(Ordering::SeqCst);
        for ring in 0..self.rings() {
            for word in [self.words(ring).asleep(), self.words(ring).starved()] {
                word.swap(0, Ordering::AcqRel);
                self.wake(word);
            }
        }
    }
}
