//! In:     bytes of an answer's body: alone, behind the head of a frame, shared, or in a file.
//! Out:    the same, without a copy.
//! Actors: none.
//! Never:  does anything but the body show.

use crate::file::read::read_part;
use crate::file::stored::StoredFile;
use crate::runtime::buffers::BufferPool;
use bytes::Bytes;
use hallway_core::Fault;
use std::ops::Range;
use std::sync::Arc;

/// Pieces up to this length are joined where several wait, and how long they become.
const SHORT_BYTES_MAX: u64 = 4 * 1024;
const JOINED_BYTES_MAX: usize = 16 * 1024;
/// What a piece was in is used again up to this length: short responses come all the time, long ones may be anywhere.
const RECYCLED_BYTES_MAX: usize = 32 * 1024;

/// A piece of a body.
#[derive(Clone, Debug)]
pub enum Piece {
    /// These bytes, but for those before `from`.
    Own {
        /// The buffer that they are in.
        bytes: Vec<u8>,
        /// Where they begin in it.
        from: usize,
    },
    /// Bytes that others hold too.
    Shared {
        /// The buffer that they are in.
        bytes: Arc<[u8]>,
        /// Where they are in it.
        range: Range<usize>,
    },
    /// Bytes of a file.
    File {
        /// The file.
        file: Arc<StoredFile>,
        /// Where they are in it.
        range: Range<u64>,
    },
}

impl Piece {
    /// The last bytes of a frame.
    pub fn end_of(frame: Vec<u8>, length: usize) -> Piece {
        Piece::Own { from: frame.len() - length, bytes: frame }
    }

    /// How long it is.
    pub fn len(&self) -> u64 {
        match self {
            Piece::Own { bytes, from } => (bytes.len() - from) as u64,
            Piece::Shared { range, .. } => range.len() as u64,
            Piece::File { range, .. } => range.end - range.start,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the first bytes off it.
    pub fn take_front(&mut self, length: u64) -> Piece {
        let length = length.min(self.len());
        let mut front = match self {
            Piece::Own { bytes, from } => Piece::from(bytes[*from..*from + length as usize].to_vec()),
            Piece::Shared { .. } | Piece::File { .. } => self.clone(),
        };
        front.truncate(length);
        match self {
            Piece::Own { from, .. } => *from += length as usize,
            Piece::Shared { range, .. } => range.start += length as usize,
            Piece::File { range, .. } => range.start += length,
        }
        front
    }

    /// Takes a short piece behind a short one; `false` where either is not.
    pub fn absorb(&mut self, next: &Piece) -> bool {
        match (self, next) {
            (Piece::Own { bytes, from }, Piece::Own { .. })
                if next.len() <= SHORT_BYTES_MAX && bytes.len() - *from + next.bytes().len() <= JOINED_BYTES_MAX =>
            {
                bytes.extend_from_slice(next.bytes());
                true
            }
            _ => false,
        }
    }

    /// Keeps the first bytes.
    pub fn truncate(&mut self, length: u64) {
        let short = usize::try_from(length).unwrap_or(usize::MAX);
        match self {
            Piece::Own { bytes, from } => bytes.truncate(from.saturating_add(short)),
            Piece::Shared { range, .. } => range.end = range.end.min(range.start.saturating_add(short)),
            Piece::File { range, .. } => range.end = range.end.min(range.start.saturating_add(length)),
        }
    }

    /// The same bytes for as long as somebody needs them; none where they are in a file.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Piece::Shared { bytes, range } => Bytes::from_owner(bytes.clone()).slice(range.clone()),
            Piece::Own { .. } | Piece::File { .. } => Bytes::copy_from_slice(self.bytes()),
        }
    }

    /// Appends its bytes, wherever they are.
    ///
    /// # Errors
    /// 500 where a file cannot be read.
    pub async fn append_to(&self, into: &mut Vec<u8>) -> Result<(), Fault> {
        if let Piece::File { file, range } = self {
            let mut at = range.start;
            while at < range.end {
                let part = read_part(file, at..range.end).await?;
                at += part.len() as u64;
                into.extend_from_slice(&part);
            }
        }
        into.extend_from_slice(self.bytes());
        Ok(())
    }

    /// Whether its first bytes may have to be waited for, and may not come at all.
    pub fn may_fail(&self) -> bool {
        matches!(self, Piece::File { file, range } if !file.is_local() && !range.is_empty())
    }

    /// Waits until the first of its bytes are there.
    ///
    /// # Errors
    /// Those of reading the file.
    pub async fn begin(&self) -> Result<(), Fault> {
        let Piece::File { file, range } = self else { return Ok(()) };
        read_part(file, range.start..range.start + 1).await.map(drop)
    }

    /// It was sent: what it was in can be used again.
    pub fn recycle(self, buffers: &BufferPool) {
        if let Piece::Own { bytes, .. } = self
            && bytes.capacity() <= RECYCLED_BYTES_MAX
        {
            buffers.keep_buffer(bytes);
        }
    }

    /// Its bytes, where they are in memory.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Piece::Own { bytes, from } => &bytes[*from..],
            Piece::Shared { bytes, range } => &bytes[range.clone()],
            Piece::File { .. } => &[],
        }
    }
}

impl Default for Piece {
    fn default() -> Piece {
        Piece::from(Vec::new())
    }
}

impl From<Vec<u8>> for Piece {
    fn from(bytes: Vec<u8>) -> Piece {
        Piece::Own { bytes, from: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{on_loop, stored};

    fn own(text: &str) -> Piece {
        let mut frame = b"head".to_vec();
        frame.extend_from_slice(text.as_bytes());
        Piece::end_of(frame, text.len())
    }

    fn shared(text: &str) -> Piece {
        Piece::Shared { bytes: format!("<{text}>").into_bytes().into(), range: 1..1 + text.len() }
    }

    #[test]
    fn pieces_of_memory_are_alike_wherever_they_are() {
        for make in [own, shared] {
            let mut piece = make("abcdef");
            assert_eq!((piece.len(), piece.bytes(), &piece.to_bytes()[..]), (6, &b"abcdef"[..], &b"abcdef"[..]));
            let front = piece.take_front(2);
            assert_eq!((front.bytes(), piece.bytes()), (&b"ab"[..], &b"cdef"[..]));
            piece.truncate(3);
            assert_eq!(piece.bytes(), b"cde");
            piece.truncate(u64::MAX);
            assert_eq!((piece.bytes(), &piece.to_bytes()[..]), (&b"cde"[..], &b"cde"[..]));
            let all = piece.take_front(u64::MAX);
            assert_eq!((all.bytes(), piece.len()), (&b"cde"[..], 0));
        }
    }

    #[test]
    fn a_part_of_a_file_is_cut_as_a_part_of_memory() {
        on_loop(async |event_loop| {
            let file = stored(&event_loop, b"0123456789");
            let mut piece = Piece::File { file, range: 2..9 };
            let front = piece.take_front(3);
            piece.truncate(2);
            let (mut one, mut other) = (b">".to_vec(), Vec::new());
            front.append_to(&mut one).await.unwrap();
            piece.append_to(&mut other).await.unwrap();
            assert_eq!((&one[..], &other[..], piece.bytes()), (&b">234"[..], &b"56"[..], &b""[..]));
            piece.truncate(u64::MAX);
            assert_eq!(piece.len(), 2);
        });
    }

    #[test]
    fn a_file_that_is_shorter_than_its_piece_is_a_fault() {
        on_loop(async |event_loop| {
            let piece = Piece::File { file: stored(&event_loop, b"short"), range: 3..9 };
            let failed = piece.append_to(&mut Vec::new()).await;
            assert_eq!(failed, Err(Fault::Internal("A file became shorter while it was sent.")));
        });
    }

    #[test]
    fn short_pieces_are_joined_and_long_ones_are_not() {
        let long = "x".repeat(SHORT_BYTES_MAX as usize + 1);
        let mut piece = own("ab");
        assert!(piece.absorb(&own("cd")) && piece.bytes() == b"abcd");
        assert!(!piece.absorb(&own(&long)) && !piece.absorb(&shared("ef")) && !shared("ab").absorb(&own("cd")));
        assert_eq!(piece.bytes(), b"abcd");
        let most = "y".repeat(SHORT_BYTES_MAX as usize);
        let joined = (0..100).take_while(|_| piece.absorb(&own(&most))).count();
        assert_eq!(joined, 3);
        assert!(piece.len() as usize <= JOINED_BYTES_MAX);
    }

    #[test]
    fn what_others_hold_or_has_grown_large_is_not_used_again() {
        let spares = BufferPool::default();
        shared("abc").recycle(&spares);
        Piece::from(Vec::with_capacity(RECYCLED_BYTES_MAX + 1)).recycle(&spares);
        assert_eq!(spares.buffer().capacity(), 0);
        own("abc").recycle(&spares);
        assert!(spares.buffer().capacity() > 0);
    }
}
