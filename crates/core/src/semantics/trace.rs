//! In:     what a request says of the trace that it belongs to, the request's own ids.
//! Out:    whether that can be passed on; else a trace that begins here.
//! Actors: none.
//! Never:  do an invalid trace, or its state, go on (W3C Trace Context, 3.2 and 4.3).

use crate::fields::{Field, Name};

/// `00-`, 32 digits, `-`, 16 digits, `-01`.
const TRACEPARENT_BYTES: usize = 55;

/// A trace that begins with a request.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// 32 lower-case hexadecimal digits, not all of them zeros.
    pub id: &'a [u8; 32],
    /// The same, by which the request is told from others of the trace.
    pub request: &'a [u8; 32],
}

impl Default for Trace<'_> {
    fn default() -> Self {
        let digits = b"000000000000000000000000000000ff";
        Trace { id: digits, request: digits }
    }
}

impl Trace<'_> {
    /// `traceparent`, for the one that is asked next: it is to be recorded, as it would be by who begins a trace.
    pub fn parent(&self) -> [u8; TRACEPARENT_BYTES] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
        text[3..35].copy_from_slice(self.id);
        // What differs from request to request stands at the end.
        for (place, digit) in text[36..52].iter_mut().zip(self.request.iter().rev()) {
            *place = *digit;
        }
        if text[36] == b'0' {
            // All zeros would be none.
            text[36] = b'f';
        }
        text
    }
}

/// What the lines of a request say of its trace, as they are seen one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'h> {
    parent: Option<&'h [u8]>,
    parents: u32,
}

impl<'h> Said<'h> {
    /// Whether it is one of these lines, which are not passed on before all are seen.
    pub(super) fn hear(&mut self, field: &Field<'h>) -> bool {
        if field.name == Name::TraceParent {
            (self.parent, self.parents) = (Some(field.value), self.parents + 1);
        }
        matches!(field.name, Name::TraceParent | Name::TraceState)
    }

    /// The one that can be passed on, and its state with it.
    pub(super) fn valid(&self) -> Option<&'h [u8]> {
        self.parent.filter(|parent| self.parents == 1 && is_traceparent(parent))
    }
}

/// Whether this names a trace (3.2.2); what later versions add behind it is theirs.
pub fn is_traceparent(value: &[u8]) -> bool {
    let Some((known, more)) = value.split_at_checked(TRACEPARENT_BYTES) else { return false };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_number = |part: &[u8]| part.iter().all(is_digit);
    let is_id = |part: &[u8]| is_number(part) && part.iter().any(|digit| *digit != b'0');
    let (version, dashes) = (&known[..2], [known[2], known[35], known[52]]);
    is_number(version)
        && version != b"ff"
        && dashes == *b"---"
        && is_id(&known[3..35])
        && is_id(&known[36..52])
        && is_number(&known[53..])
        && (more.is_empty() || (version != b"00" && more.starts_with(b"-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_standard_calls_valid() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (value, expected) in [
            (format!("00-{id}-00f067aa0ba902b7-01"), true),
            (format!("00-{id}-00f067aa0ba902b7-ff"), true),
            (format!("cc-{id}-00f067aa0ba902b7-01-what"), true),
            (format!("cc-{id}-00f067aa0ba902b7-01"), true),
            (format!("cc-{id}-00f067aa0ba902b7-01what"), false),
            (format!("00-{id}-00f067aa0ba902b7-01-what"), false),
            (format!("ff-{id}-00f067aa0ba902b7-01"), false),
            (format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()), false),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
            (format!("00-{id}-0000000000000000-01"), false),
            (format!("00-{id}-00f067aa0ba902b7-1"), false),
            (format!("00_{id}-00f067aa0ba902b7-01"), false),
            (String::new(), false),
        ] {
            assert_eq!(is_traceparent(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn what_begins_here_is_valid() {
        for request in [*b"0123456789abcdef0123456789abcde0", [b'0'; 32]] {
            let trace = Trace { id: b"0123456789abcdef0123456789abcdef", request: &request };
            assert!(is_traceparent(&trace.parent()), "{:?}", String::from_utf8_lossy(&trace.parent()));
        }
        assert!(is_traceparent(&Trace::default().parent()));
    }
}
