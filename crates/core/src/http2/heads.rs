//! In:     the bytes of an HTTP/2 connection as they arrive.
//! Out:    whether a head has begun and is not whole.
//! Actors: none.
//! Never:  is a byte kept: frames are the engine's to read, this only follows them.

/// Bytes before the first frame (RFC 9113, 3.4), and of a frame before its payload (4.1).
const PREFACE_BYTES: u32 = 24;
const FRAME_BYTES: usize = 9;
/// Types and the flag that say where a head begins and ends (6.2, 6.10).
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows the frames of a client.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Bytes that belong to no frame header: the rest of the preface, or of a payload.
    skip: u32,
    frame: [u8; FRAME_BYTES],
    have: usize,
    /// A head has begun.
    is_open: bool,
    /// The frame that is being read is the last of the head.
    is_last: bool,
}

impl Default for Heads {
    fn default() -> Heads {
        Heads { skip: PREFACE_BYTES, frame: [0; FRAME_BYTES], have: 0, is_open: false, is_last: false }
    }
}

impl Heads {
    /// Goes on by these bytes.
    pub fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = bytes.len().min(self.skip as usize);
            bytes = &bytes[skipped..];
            self.skip -= skipped as u32;
            if self.skip > 0 {
                return;
            }
            self.end_frame();
            let take = bytes.len().min(FRAME_BYTES - self.have);
            self.frame[self.have..self.have + take].copy_from_slice(&bytes[..take]);
            self.have += take;
            bytes = &bytes[take..];
            if self.have == FRAME_BYTES {
                self.begin_frame();
            }
        }
        if self.skip == 0 {
            self.end_frame();
        }
    }

    /// Whether a head has begun and is not whole.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    fn begin_frame(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.frame;
        self.have = 0;
        self.skip = u32::from_be_bytes([0, high, middle, low]);
        if matches!(kind, HEADERS | CONTINUATION) {
            (self.is_open, self.is_last) = (true, flags & END_HEADERS != 0);
        }
    }

    fn end_frame(&mut self) {
        if self.is_last && self.have == 0 {
            (self.is_open, self.is_last) = (false, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        [&[0, 0, length, kind, flags, 0, 0, 0, 1][..], &vec![7; length.into()]].concat()
    }

    #[test]
    fn a_head_is_open_from_its_first_frame_to_the_end_of_its_last() {
        let parts = [
            (vec![b'P'; 24], false),
            (frame(4, 0, 6), false),
            (frame(HEADERS, 0, 20), true),
            (frame(CONTINUATION, 0, 0), true),
            (frame(CONTINUATION, END_HEADERS, 5), false),
            (frame(0, 1, 100), false),
            (frame(HEADERS, END_HEADERS, 30), false),
            (frame(HEADERS, END_HEADERS, 0), false),
        ];
        let mut whole = Heads::default();
        for (bytes, is_open) in &parts {
            whole.follow(bytes);
            assert_eq!(whole.is_open(), *is_open);
        }
        let mut by_byte = Heads::default();
        for (bytes, is_open) in &parts {
            bytes.iter().for_each(|byte| by_byte.follow(&[*byte]));
            assert_eq!(by_byte.is_open(), *is_open);
        }
        by_byte.follow(&frame(HEADERS, END_HEADERS, 30)[..38]);
        assert!(by_byte.is_open());
    }
}
