//! In:     a `Range` value and the length of what it is asked of.
//! Out:    which parts to send (RFC 9110, 14), and the lines between several.
//! Actors: none.
//! Never:  does a list of ranges make an answer longer than the whole.

use std::fmt::Write;
use std::ops::Range;

/// Most ranges in one answer; a longer list is answered with the whole.
const RANGES_MAX: usize = 32;

/// What a `Range` comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it: there is no range, or none that counts.
    Whole,
    /// These parts, in the order they were asked for; at least one.
    Parts(Vec<Range<u64>>),
    /// None of them is in it: 416.
    Unsatisfiable,
}

/// Reads a `Range` (RFC 9110, 14.1.2 and 14.2) for something of this length. Other units and what is
/// not well-formed are ignored; so are lists that would send more than the whole, or too many parts.
pub fn select_ranges(value: &[u8], length: u64) -> Selection {
    let Some(list) = strip_unit(value) else { return Selection::Whole };
    let mut parts = Vec::new();
    let mut members = 0;
    for member in list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()) {
        members += 1;
        match select_one(member, length) {
            Some(part) if !part.is_empty() => parts.push(part),
            Some(_) => {}
            None => return Selection::Whole,
        }
        if members > RANGES_MAX {
            return Selection::Whole;
        }
    }
    let total: u64 = parts.iter().map(|part| part.end - part.start).fold(0, u64::saturating_add);
    match parts.len() {
        _ if members == 0 => Selection::Whole,
        0 => Selection::Unsatisfiable,
        1 => Selection::Parts(parts),
        _ if total >= length => Selection::Whole,
        _ => Selection::Parts(parts),
    }
}

fn strip_unit(value: &[u8]) -> Option<&[u8]> {
    let (unit, list) = value.split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(list)
}

/// One range; an empty one when it is outside, nothing when it is none.
fn select_one(member: &[u8], length: u64) -> Option<Range<u64>> {
    let dash = memchr::memchr(b'-', member)?;
    let (first, last) = (&member[..dash], &member[dash + 1..]);
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(length.saturating_sub(suffix)..length);
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    let end = last.saturating_add(1).min(length);
    Some(first.min(end)..end)
}

/// Digits only; a number too large for the type is larger than any file too.
fn number(raw: &[u8]) -> Option<u64> {
    if raw.is_empty() || !raw.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(raw.iter().fold(0u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

/// The lines before one part of several (RFC 9110, 14.6).
pub fn part_head(boundary: &str, media_type: &str, part: &Range<u64>, length: u64) -> String {
    let mut head = String::new();
    // Writing into a string does not fail.
    let _ = write!(
        head,
        "\r\n--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: bytes {}-{}/{length}\r\n\r\n",
        part.start,
        part.end - 1,
    );
    head
}

/// The line behind the last part.
pub fn part_end(boundary: &str) -> String {
    format!("\r\n--{boundary}--\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init)] // Ranges are what the lists are of.
    fn ranges_as_the_rfc_has_them() {
        let parts = |list: &[Range<u64>]| Selection::Parts(list.to_vec());
        for (value, is) in [
            ("bytes=0-0", parts(&[0..1])),
            ("Bytes=0-4", parts(&[0..5])),
            ("bytes=5-", parts(&[5..10])),
            ("bytes=-3", parts(&[7..10])),
            ("bytes=-99", parts(&[0..10])),
            ("bytes=8-99", parts(&[8..10])),
            ("bytes=0-1, 4-5", parts(&[0..2, 4..6])),
            ("bytes=4-5,0-1", parts(&[4..6, 0..2])),
            ("bytes=0-1,,99-", parts(&[0..2])),
            ("bytes=0-99999999999999999999999", parts(&[0..10])),
            ("bytes=10-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=99999999999999999999999-", Selection::Unsatisfiable),
            ("bytes=0-9,0-9", Selection::Whole),
            ("bytes=5-4", Selection::Whole),
            ("bytes=a-b", Selection::Whole),
            ("bytes=+1-2", Selection::Whole),
            ("bytes=", Selection::Whole),
            ("bytes=-", Selection::Whole),
            ("lines=0-1", Selection::Whole),
        ] {
            assert_eq!(select_ranges(value.as_bytes(), 10), is, "{value}");
        }
        let many = format!("bytes={}", (0..40).map(|at| format!("{0}-{0}", at * 2)).collect::<Vec<_>>().join(","));
        assert_eq!(select_ranges(many.as_bytes(), 1000), Selection::Whole);
        assert_eq!(select_ranges(b"bytes=0-0", 0), Selection::Unsatisfiable);
    }
}
