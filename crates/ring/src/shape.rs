//! In:     how many requests a worker has at a time, how many of their frames are to fit, how many event loops the edge has.
//! Out:    sizes and places of the rings in their file.
//! Actors: none.
//! Never:  do the two sides compute different places: both ask this.

use crate::words::{Credit, Words};

/// Bytes of a page. The words of a ring take whole ones, and its data begins with one.
pub(crate) const PAGE: usize = 4096;
/// Bytes before each frame: its length and its state.
pub(crate) const HEADER: usize = 8;

/// The rings between one worker and the edge: ring 0 leads to the worker, ring `n` from it to event
/// loop `n - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    inbound_bytes: usize,
    outbound_bytes: usize,
    streams: usize,
    rings: usize,
}

impl Shape {
    /// For frames of at most `frame_bytes_max`, of which there is room for `inbound_frames` on the way to
    /// the worker, for `streams` answers of it at a time, and `threads` event loops.
    pub fn new(frame_bytes_max: usize, inbound_frames: usize, streams: usize, threads: usize) -> Shape {
        let frame = frame_bytes_max + HEADER;
        Shape {
            inbound_bytes: (frame * inbound_frames).next_power_of_two().max(PAGE),
            outbound_bytes: (frame * 2).next_power_of_two().max(PAGE),
            streams,
            rings: threads + 1,
        }
    }

    /// How many rings there are.
    pub fn rings(&self) -> usize {
        self.rings
    }

    /// Bytes of the data of a ring; a power of two.
    pub(crate) fn bytes(&self, ring: usize) -> usize {
        if ring == 0 { self.inbound_bytes } else { self.outbound_bytes }
    }

    /// How many streams of a ring have credit.
    pub(crate) fn streams(&self, ring: usize) -> usize {
        if ring == 0 { 0 } else { self.streams }
    }
}

/// Bytes that a frame of this length takes in a ring.
pub(crate) fn footprint(length: usize) -> u64 {
    (HEADER + length.next_multiple_of(HEADER)) as u64
}

#[cfg(not(loom))]
impl Shape {
    /// Bytes of the file.
    pub(crate) fn file_bytes(&self) -> usize {
        (0..self.rings).map(|ring| self.words_bytes(ring) + self.bytes(ring)).sum()
    }

    /// Bytes of the place that the words of a ring and the credit of its streams take before its data: one page for
    /// most workers.
    pub(crate) fn words_bytes(&self, ring: usize) -> usize {
        (size_of::<Words>() + self.streams(ring) * size_of::<Credit>()).next_multiple_of(PAGE)
    }

    /// Where the words of a ring are in the file; its data follows them.
    pub(crate) fn file_at(&self, ring: usize) -> usize {
        (0..ring).map(|before| self.words_bytes(before) + self.bytes(before)).sum()
    }

    /// Bytes of the mapping, in which the data of each ring stands twice.
    pub(crate) fn mapped_bytes(&self) -> usize {
        (0..self.rings).map(|ring| self.words_bytes(ring) + 2 * self.bytes(ring)).sum()
    }

    /// Where the words of a ring are in the mapping.
    pub(crate) fn mapped_at(&self, ring: usize) -> usize {
        (0..ring).map(|before| self.words_bytes(before) + 2 * self.bytes(before)).sum()
    }
}

#[cfg(loom)]
impl Shape {
    /// One ring each way that is small enough to explore; one stream.
    pub(crate) fn for_model(bytes: usize) -> Shape {
        Shape { inbound_bytes: bytes, outbound_bytes: bytes, streams: 1, rings: 2 }
    }
}
