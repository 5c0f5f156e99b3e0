//! In:     a word that is not known, and those that are.
//! Out:    the one that was probably meant.
//! Actors: none.
//! Never:  is a guess acted on; it is only said.

/// Longer words are compared with none: it takes the product of two lengths.
const WORD_BYTES_MAX: usize = 256;
/// More names are not told at once.
const LISTED_MAX: usize = 50;

/// The known word that is nearest, if it is near enough to have been meant.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.len() / 3).clamp(2, 3);
    let near = known.filter(|other| may_be_within(word, other, limit)).map(|other| (distance(word, other), other));
    near.filter(|(far, _)| *far <= limit).min().map(|(_, other)| other)
}

/// Whether a word is another one but for one letter.
pub fn is_slip(word: &str, other: &str) -> bool {
    may_be_within(word, other, 1) && distance(word, other) == 1
}

/// Names, for who wrote one that is not among them. With many each of many such would be told all.
pub(crate) fn listed<'a>(known: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = known.len().saturating_sub(LISTED_MAX);
    let names = known.take(LISTED_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{names}, and {more} more") } else { names }
}

/// Whether so few changes could make the one of the other, by their lengths alone.
fn may_be_within(word: &str, other: &str, limit: usize) -> bool {
    if word.len().max(other.len()) > WORD_BYTES_MAX {
        return false;
    }
    word.chars().count().abs_diff(other.chars().count()) <= limit
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour (Damerau, Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.iter().enumerate() {
        let mut row = vec![at + 1];
        for (column, other) in to.iter().enumerate() {
            let mut far = (last[column] + usize::from(letter != other)).min(last[column + 1] + 1).min(row[column] + 1);
            if at > 0 && column > 0 && from[at - 1] == *other && to[column - 1] == *letter {
                far = far.min(before[column - 1] + 1);
            }
            row.push(far);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_told_if_it_is_near() {
        let known = ["path", "pool", "proxy", "percent"];
        let near = |word: &str| nearest(word, known.into_iter());
        assert_eq!((near("pth"), near("porxy"), near("pools")), (Some("path"), Some("proxy"), Some("pool")));
        assert_eq!((near("zzzzzz"), near(&"p".repeat(100_000))), (None, None));
        assert!(is_slip("path", "pth") && !is_slip("path", "path") && !is_slip("path", "pathology"));
        assert!(is_slip("größe", "grösse") != is_slip("größe", "große"), "letters are counted, not bytes");
    }

    #[test]
    fn long_words_are_compared_with_none() {
        let long = "a".repeat(WORD_BYTES_MAX + 1);
        assert!(!is_slip(&long, &long[1..]) && nearest(&long, [&long[1..]].into_iter()).is_none());
        assert!(is_slip(&long[1..], &long[2..]));
    }

    #[test]
    fn of_many_names_some_are_told() {
        assert_eq!(listed(["a", "b"].into_iter()), "a, b");
        let many: Vec<String> = (0..LISTED_MAX + 3).map(|at| at.to_string()).collect();
        assert!(listed(many.iter().map(String::as_str)).ends_with("48, 49, and 3 more"));
    }
}
