//! In:     the read buffer of a connection each time it has grown.
//! Out:    whether a whole head stands at its start, and how long it is.
//! Actors: none.
//! Never:  is a byte looked at twice, so that a client sending one byte at a time costs no more.

/// What stands at the start of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A head of this many bytes, its empty line included.
    Head(usize),
    /// Not all of it yet.
    More,
    /// A line feed without its carriage return: RFC 9112, 2.2 lets a server take it, but what one
    /// server takes as a line end and another does not is how requests are smuggled.
    BareLineFeed,
}

/// Finds the end of a head in a growing buffer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    checked: usize,
}

impl Scan {
    /// Looks at what was added to `buffer` since the last call.
    pub fn feed(&mut self, buffer: &[u8]) -> Found {
        while let Some(offset) = memchr::memchr(b'\n', &buffer[self.checked..]) {
            let at = self.checked + offset;
            if at == 0 || buffer[at - 1] != b'\r' {
                return Found::BareLineFeed;
            }
            self.checked = at + 1;
            // An empty line ends the head; at the very start it is one without a request line.
            if at == 1 || buffer[..=at].ends_with(b"\r\n\r\n") {
                return Found::Head(at + 1);
            }
        }
        self.checked = buffer.len();
        Found::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_however_the_bytes_arrive() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        for step in 1..head.len() {
            let mut scan = Scan::default();
            let mut seen = Found::More;
            for end in (step..=head.len()).step_by(step).chain([head.len()]) {
                seen = scan.feed(&head[..end]);
                if seen != Found::More {
                    break;
                }
            }
            assert_eq!(seen, Found::Head(27), "step {step}");
        }
    }

    #[test]
    fn a_bare_line_feed_is_seen_at_once() {
        assert_eq!(Scan::default().feed(b"GET / HTTP/1.1\nHost: a"), Found::BareLineFeed);
        assert_eq!(Scan::default().feed(b"\n"), Found::BareLineFeed);
    }
}
