//! In:     frames, each in a few parts.
//! Out:    the same in a ring, published; frames taken back that were not begun.
//! Actors: whoever owns this end.
//! Never:  is a frame written over one that the receiver has not released.

use crate::Broken;
use crate::memory::Memory;
use crate::shape::{HEADER, footprint};
use crate::words::Ordering;
use std::io;
use std::sync::Arc;

/// States of a frame: it can be begun or taken back, not both.
pub(crate) const PENDING: u32 = 1;
pub(crate) const BEGUN: u32 = 2;
pub(crate) const WITHDRAWN: u32 = 3;

/// The sending end of a ring.
pub struct Sender {
    memory: Arc<Memory>,
    ring: usize,
    head: u64,
    /// What the receiver had released when this side last looked.
    tail: u64,
}

/// A frame that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Where it is, to take it back.
    pub position: u64,
    /// Whether the receiver sleeps: whoever sent has to wake it.
    pub wakes: bool,
}

/// Why a frame could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room until the receiver releases some.
    Full,
    /// There will never be room for it, or the receiver wrote what the protocol forbids.
    Broken,
}

impl Sender {
    /// The sending end of ring number `ring`. There must be no other, in any process.
    pub fn new(memory: Arc<Memory>, ring: usize) -> Sender {
        Sender { memory, ring, head: 0, tail: 0 }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// See `Refused`; then nothing was sent.
    pub fn send(&mut self, parts: &[&[u8]]) -> Result<Sent, Refused> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let bytes = footprint(length);
        if bytes > self.memory.bytes(self.ring) {
            return Err(Refused::Broken);
        }
        if !self.has_room(bytes) {
            self.look().map_err(|Broken| Refused::Broken)?;
            if !self.has_room(bytes) {
                return Err(Refused::Full);
            }
        }
        let position = self.head;
        let (length_word, state) = self.memory.header(self.ring, position);
        length_word.store(length as u32, Ordering::Relaxed);
        state.store(PENDING, Ordering::Relaxed);
        let mut at = position + HEADER as u64;
        for part in parts {
            self.memory.put(self.ring, at, part);
            at += part.len() as u64;
        }
        self.head += bytes;
        Ok(Sent { position, wakes: self.memory.words(self.ring).publish(self.head) })
    }

    /// Takes back a frame that this end sent; `false` when the receiver has begun it.
    pub fn withdraw(&mut self, position: u64) -> bool {
        // What was released may be another frame by now. What was not is still this one: only
        // this end writes there, and not before it saw the release.
        if position < self.tail {
            return false;
        }
        let (_, state) = self.memory.header(self.ring, position);
        state.compare_exchange(PENDING, WITHDRAWN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Declares that this end waits for room for a frame of this length; `false` when there is some
    /// already. Then `wait_for_room` sleeps, or whoever releases some is to tell.
    pub fn starve(&mut self, length: usize) -> Result<bool, Broken> {
        self.memory.words(self.ring).starve();
        self.look()?;
        Ok(!self.has_room(footprint(length)))
    }

    /// Whether there is room for a frame of this length.
    ///
    /// # Errors
    /// When the receiver wrote what the protocol forbids.
    pub fn fits(&mut self, length: usize) -> Result<bool, Broken> {
        let bytes = footprint(length);
        if !self.has_room(bytes) {
            self.look()?;
        }
        Ok(self.has_room(bytes))
    }

    /// Whether the receiver has released all that was sent.
    ///
    /// # Errors
    /// When it wrote what the protocol forbids.
    pub fn is_empty(&mut self) -> Result<bool, Broken> {
        self.look()?;
        Ok(self.head == self.tail)
    }

    /// Declares that this end waits for credit for a stream. It has to look for that once more before `wait_for_room`.
    pub fn starve_for_credit(memory: &Memory, ring: usize) {
        memory.words(ring).starve();
    }

    /// How many bytes in all may be sent of a stream that is this call's; 0 where the receiver has not said.
    pub fn granted(memory: &Memory, ring: usize, (stream, ticket): (u16, u64)) -> u64 {
        memory.credit(ring, stream).map_or(0, |credit| credit.granted(ticket))
    }

    /// Sleeps until the receiver releases or grants something; may end for no reason. To be called after
    /// `starve` or `starve_for_credit`, and without holding what others need.
    ///
    /// # Errors
    /// `EINTR` when a signal came.
    pub fn wait_for_room(memory: &Memory, ring: usize) -> io::Result<()> {
        memory.sleep(memory.words(ring).starved())
    }

    /// Wakes a receiver that sleeps on the ring itself.
    pub fn wake_receiver(memory: &Memory, ring: usize) {
        memory.wake(memory.words(ring).asleep());
    }

    /// What the receiver has told beside the ring; 0 until it does.
    pub fn note(&self, at: usize) -> u64 {
        self.memory.words(self.ring).note(at).map_or(0, |note| note.load(Ordering::Relaxed))
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.head - self.tail + bytes <= self.memory.bytes(self.ring)
    }

    /// Looks how far the receiver is.
    fn look(&mut self) -> Result<(), Broken> {
        let tail = self.memory.words(self.ring).tail();
        if tail < self.tail || tail > self.head {
            return Err(Broken);
        }
        self.tail = tail;
        Ok(())
    }
}
