//! Memory that is used again.
//!
//! In:     heads and buffers that their users do not need any more.
//! Out:    the same, empty, for the next ones.
//! Actors: the event loop that owns them.
//! Never:  does it keep more than a little, or anything that has grown large.

use hallway_core::Head;
use std::cell::RefCell;

/// Most heads and buffers kept for reuse.
const SPARE_MAX: usize = 64;
/// A spare buffer that grew larger than this is let go.
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// Heads and read buffers that idle connections gave back.
#[derive(Default)]
pub struct BufferPool {
    heads: RefCell<Vec<Head>>,
    buffers: RefCell<Vec<Vec<u8>>>,
}

impl BufferPool {
    /// An empty head.
    pub fn head(&self) -> Head {
        self.heads.borrow_mut().pop().unwrap_or_default()
    }

    /// An empty buffer, which may have room already.
    pub fn buffer(&self) -> Vec<u8> {
        self.buffers.borrow_mut().pop().unwrap_or_default()
    }

    /// Lets go of all.
    pub fn clear(&self) {
        self.heads.take();
        self.buffers.take();
    }

    /// Keeps a head.
    pub fn keep_head(&self, head: Head) {
        let mut heads = self.heads.borrow_mut();
        if heads.len() < SPARE_MAX {
            heads.push(head);
        }
    }

    /// Keeps a buffer.
    pub fn keep_buffer(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() < SPARE_MAX && (1..=SPARE_BYTES_MAX).contains(&buffer.capacity()) {
            buffer.clear();
            buffers.push(buffer);
        }
    }
}
