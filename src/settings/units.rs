//! In:     times and sizes as people write them.
//! Out:    milliseconds and bytes.
//! Actors: none.
//! Never:  is a unit guessed.

/// `500ms`, `30s`, `5m`, `2h`; a plain number is seconds.
pub(crate) fn duration_ms(text: &str) -> Result<u64, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("", 1_000)];
    scaled(text, &units).ok_or_else(|| "write a time, as in 500ms, 30s, 5m or 2h".into())
}

/// `512`, `64KiB`, `10MiB`, `1GiB`; decimal units too.
pub(crate) fn size_bytes(text: &str) -> Result<u64, String> {
    let units = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
        ("", 1),
    ];
    scaled(text, &units).ok_or_else(|| "write a size, as in 64KiB or 10MiB".into())
}

/// `20/s`, `100/m`, `5/h`: how many, and in how many nanoseconds.
pub(crate) fn rate(text: &str) -> Result<(u64, u64), String> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let read = text.split_once('/').and_then(|(count, unit)| {
        let seconds = units.iter().find(|(name, _)| *name == unit)?.1;
        Some((count.parse().ok().filter(|count| (1..=1_000_000).contains(count))?, seconds * 1_000_000_000))
    });
    read.ok_or_else(|| "write a rate, as in 20/s, 100/m or 5/h".into())
}

/// `20%`.
pub(crate) fn percent(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').and_then(|digits| digits.parse().ok()).filter(|percent| *percent <= 100);
    number.ok_or_else(|| "write a share, as in 20%; at most 100%".into())
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, factor) = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse::<u64>().ok()?.checked_mul(*factor)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_what_they_say() {
        for (text, expected) in [("500ms", 500), ("30s", 30_000), ("30", 30_000), ("5m", 300_000), ("2h", 7_200_000)] {
            assert_eq!(duration_ms(text), Ok(expected), "{text}");
        }
        for (text, expected) in [("512", 512), ("64KiB", 65_536), ("10MiB", 10_485_760), ("1kB", 1_000)] {
            assert_eq!(size_bytes(text), Ok(expected), "{text}");
        }
        assert_eq!(rate("20/s"), Ok((20, 1_000_000_000)));
        assert_eq!(rate("100/m"), Ok((100, 60_000_000_000)));
        for text in ["", "20", "0/s", "20/d", "1.5/s", "/s", "99999999/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
        for text in ["", "s", "3x", "-1s", "1.5h", "99999999999999999999", "3 s"] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }
}
