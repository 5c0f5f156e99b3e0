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
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
        ("", 1),
    ];
    scaled(text, &units).ok_or_else(|| meant_size(text))
}

/// The size that is probably meant: others write `10m`, `1G`.
fn meant_size(text: &str) -> String {
    let (digits, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let known = ["KiB", "MiB", "GiB", "TiB"].into_iter().find(|known| {
        let unit = unit.trim().to_ascii_lowercase();
        [known[..1].to_ascii_lowercase(), known.to_ascii_lowercase(), known.replace('i', "").to_ascii_lowercase()]
            .contains(&unit)
    });
    match known.filter(|_| !digits.is_empty() && digits.len() < 8) {
        Some(unit) => format!("did you mean {digits}{unit}?"),
        None => "write a size, as in 64KiB, 10MiB or 1TiB".into(),
    }
}

/// A limit that 0 lifts.
pub(crate) fn unless_zero(bytes: u64) -> u64 {
    if bytes == 0 { u64::MAX } else { bytes }
}

/// Between which sizes each limit of a head has to be: none of them can be lifted, since a head is kept in memory.
const OF_HEADS: [(&str, u64, u64, &str); 3] = [
    ("head_max", 1 << 10, 1 << 20, "1KiB to 1MiB"),
    ("target_max", 64, 64 << 10, "64B to 64KiB"),
    ("head_line_max", 64, 64 << 10, "64B to 64KiB"),
];
/// Header lines that a head may have at most.
pub(crate) const LINES_MAX: u64 = 1_000;

/// A limit of heads, by its key or its flag.
///
/// # Errors
/// The mend.
pub(crate) fn head_bytes(key: &str, bytes: u64) -> Result<usize, String> {
    let key = key.replace('-', "_");
    let Some((_, least, most, said)) = OF_HEADS.iter().find(|(known, ..)| *known == key) else {
        return Ok(usize::try_from(bytes).unwrap_or(usize::MAX));
    };
    if !(least..=most).contains(&&bytes) {
        return Err(format!("write {said}"));
    }
    // Lengths of targets and of names are handed on in 16 bits.
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    Ok(if key == "head_max" { bytes } else { bytes.min(usize::from(u16::MAX)) })
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
        for (text, expected) in
            [("512", 512), ("64KiB", 65_536), ("10MiB", 10_485_760), ("1kB", 1_000), ("1TiB", 1 << 40)]
        {
            assert_eq!(size_bytes(text), Ok(expected), "{text}");
        }
        for (text, mend) in [
            ("10m", "did you mean 10MiB?"),
            ("1G", "did you mean 1GiB?"),
            ("2tb", "did you mean 2TiB?"),
            ("64 KiB", "did you mean 64KiB?"),
            ("1.5MiB", "write a size, as in 64KiB, 10MiB or 1TiB"),
            ("", "write a size, as in 64KiB, 10MiB or 1TiB"),
            ("99999999TiB", "write a size, as in 64KiB, 10MiB or 1TiB"),
        ] {
            assert_eq!(size_bytes(text), Err(mend.into()), "{text}");
        }
        assert_eq!(head_bytes("head-max", 128 << 10), Ok(128 << 10));
        assert_eq!(head_bytes("head_line_max", 64 << 10), Ok(65_535));
        assert!(head_bytes("head_max", 0).is_err() && head_bytes("target_max", 1 << 20).is_err());
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
