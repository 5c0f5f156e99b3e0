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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_with_its_room() {
        let spares = BufferPool::default();
        let mut buffer = spares.buffer();
        assert_eq!(buffer.capacity(), 0);
        buffer.extend_from_slice(&[7; 1000]);
        let room = buffer.capacity();
        spares.keep_buffer(buffer);
        let again = spares.buffer();
        assert_eq!((again.len(), again.capacity()), (0, room));
        assert_eq!(spares.buffer().capacity(), 0, "it is given out once");
    }

    #[test]
    fn what_has_grown_large_or_has_no_room_is_let_go() {
        let spares = BufferPool::default();
        spares.keep_buffer(Vec::with_capacity(SPARE_BYTES_MAX + 1));
        spares.keep_buffer(Vec::new());
        assert_eq!(spares.buffers.borrow().len(), 0);
        spares.keep_buffer(Vec::with_capacity(SPARE_BYTES_MAX));
        assert_eq!(spares.buffers.borrow().len(), 1);
        spares.clear();
        assert_eq!(spares.buffers.borrow().len(), 0);
    }

    #[test]
    fn only_some_are_kept() {
        let spares = BufferPool::default();
        for _ in 0..2 * SPARE_MAX {
            spares.keep_buffer(vec![0; 10]);
            spares.keep_head(Head::default());
        }
        assert_eq!((spares.buffers.borrow().len(), spares.heads.borrow().len()), (SPARE_MAX, SPARE_MAX));
    }
}
