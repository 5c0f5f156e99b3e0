//! In:     the shape of rings.
//! Out:    the same as `memory`, as loom's model of it: each access is checked against all others.
//! Actors: the threads of a model.
//! Never:  does a model pass in which two sides touch the same bytes at the same time.

#![allow(unsafe_code)]
#![allow(clippy::undocumented_unsafe_blocks)]

use crate::shape::{HEADER, Shape};
use crate::words::{AtomicU32, Credit, Ordering, Words};
use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex};
use std::io;

/// The rings of one worker.
pub struct Memory {
    rings: Vec<Ring>,
    shape: Shape,
    /// What the kernel's futex queue is.
    sleepers: (Mutex<()>, Condvar),
}

struct Ring {
    words: Words,
    credits: Vec<Credit>,
    headers: Vec<(AtomicU32, AtomicU32)>,
    cells: Vec<UnsafeCell<u8>>,
}

impl Memory {
    pub(crate) fn new(shape: Shape) -> Memory {
        let ring = |ring| Ring {
            words: Words::new(),
            credits: (0..shape.streams(ring)).map(|_| Credit::new()).collect(),
            headers: (0..shape.bytes(ring) / HEADER).map(|_| (AtomicU32::new(0), AtomicU32::new(0))).collect(),
            cells: (0..shape.bytes(ring)).map(|_| UnsafeCell::new(0)).collect(),
        };
        Memory { rings: (0..shape.rings()).map(ring).collect(), shape, sleepers: (Mutex::new(()), Condvar::new()) }
    }

    pub(crate) fn bytes(&self, ring: usize) -> u64 {
        self.shape.bytes(ring) as u64
    }

    pub(crate) fn rings(&self) -> usize {
        self.shape.rings()
    }

    pub(crate) fn words(&self, ring: usize) -> &Words {
        &self.rings[ring].words
    }

    pub(crate) fn credit(&self, ring: usize, stream: u16) -> Option<&Credit> {
        self.rings[ring].credits.get(usize::from(stream))
    }

    pub(crate) fn header(&self, ring: usize, position: u64) -> (&AtomicU32, &AtomicU32) {
        let within = position as usize % self.shape.bytes(ring);
        let header = &self.rings[ring].headers[within / HEADER];
        (&header.0, &header.1)
    }

    pub(crate) fn put(&self, ring: usize, position: u64, bytes: &[u8]) {
        for (at, byte) in (position as usize..).zip(bytes) {
            self.rings[ring].cells[at % self.shape.bytes(ring)].with_mut(|cell| unsafe { *cell = *byte });
        }
    }

    pub(crate) fn get(&self, ring: usize, position: u64, length: usize, into: &mut Vec<u8>) {
        for at in position as usize..position as usize + length {
            into.push(self.rings[ring].cells[at % self.shape.bytes(ring)].with(|cell| unsafe { *cell }));
        }
    }

    pub(crate) fn see(&self, _: usize, _: u64, _: usize) -> &[u8] {
        &[]
    }

    pub(crate) fn sleep(&self, word: &AtomicU32) -> io::Result<()> {
        let guard = self.sleepers.0.lock().map_err(|_| io::ErrorKind::Other)?;
        if word.load(Ordering::SeqCst) == 1 {
            drop(self.sleepers.1.wait(guard));
        }
        Ok(())
    }

    pub(crate) fn wake(&self, _: &AtomicU32) {
        let guard = self.sleepers.0.lock();
        self.sleepers.1.notify_all();
        drop(guard);
    }
}
