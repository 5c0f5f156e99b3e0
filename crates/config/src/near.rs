//! In:     a word that is not known, and those that are.
//! Out:    the one that was probably meant.
//! Actors: none.
//! Never:  is a guess acted on; it is only said.

/// The known word that is nearest, if it is near enough to have been meant.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.len() / 3).clamp(2, 3);
    known.map(|other| (distance(word, other), other)).filter(|(far, _)| *far <= limit).min().map(|(_, other)| other)
}

/// Whether a word is another one but for one letter.
pub fn is_slip(word: &str, other: &str) -> bool {
    distance(word, other) == 1
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
