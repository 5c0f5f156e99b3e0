//! In:     the read buffer of a connection each time it has grown.
//! Out:    whether a whole head stands at its start, and how long it is.
//! Actors: none.
//! Never:  is a byte looked at more than once more, so that a client sending one byte at a time costs no more.

use memchr::memmem::Finder;
use std::sync::LazyLock;

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

/// What ends the last line of a head and the empty line behind it. One search of the whole costs less than one of each
/// line; the carriage return before it is seen to as that of any other line feed.
static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\r\n"));

impl Scan {
    /// Looks at what was added to `buffer` since the last call.
    pub fn feed(&mut self, buffer: &[u8]) -> Found {
        if buffer.starts_with(b"\r\n") {
            // At the very start it is an empty line without a request line.
            return Found::Head(2);
        }
        // What ends it may have begun in what was looked at before.
        let from = self.checked.saturating_sub(2);
        let end = END.find(&buffer[from..]).map(|at| from + at + 3);
        let added = &buffer[self.checked.saturating_sub(1)..end.unwrap_or(buffer.len())];
        if buffer.first() == Some(&b'\n') || has_bare_line_feed(added) {
            return Found::BareLineFeed;
        }
        self.checked = buffer.len();
        end.map_or(Found::More, Found::Head)
    }
}

/// Whether a byte other than a carriage return stands before a line feed.
fn has_bare_line_feed(lines: &[u8]) -> bool {
    // To the end in any case: without an early way out the compiler looks at many bytes at once.
    let pairs = lines.iter().zip(lines.get(1..).unwrap_or_default());
    pairs.fold(false, |found, (before, byte)| found | ((*byte == b'\n') & (*before != b'\r')))
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
        assert_eq!(Scan::default().feed(b"GET / HTTP/1.1\n\r\n"), Found::BareLineFeed);
        assert_eq!(Scan::default().feed(b"A\r\n\n\r\n"), Found::BareLineFeed);
        for (first, whole) in [(&b"A\r"[..], &b"A\rB\n"[..]), (b"A", b"A\n"), (b"A\r\n", b"A\r\n\n"), (b"", b"\n")] {
            let mut scan = Scan::default();
            assert_eq!((scan.feed(first), scan.feed(whole)), (Found::More, Found::BareLineFeed), "{whole:?}");
        }
    }

    #[test]
    fn what_comes_behind_a_head_is_not_looked_at() {
        assert_eq!(Scan::default().feed(b"A\r\n\r\n\n"), Found::Head(5));
        assert_eq!(Scan::default().feed(b"\r\n\n"), Found::Head(2));
    }
}
