//! In:     what is wrong, and where it was written.
//! Out:    lines for a person: file, line, column, the text itself, the mend.
//! Actors: none.
//! Never:  is a problem told twice, or one kept back because another was found first.

use super::node::{Span, Table};
use std::collections::HashSet;
use std::fmt::Write;
use std::path::PathBuf;

/// The files that were read, as they were.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: Vec<Source>,
}

/// One of them.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    /// From the root.
    directory: PathBuf,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// Letters of a line that are shown; of a longer one, those around the place.
const SHOWN_MAX: usize = 400;
/// Of which so many stand before it.
const SHOWN_BEFORE: usize = 100;

impl Source {
    /// The number of the line of a byte, from 0, and where it begins.
    fn line_of(&self, at: usize) -> (usize, usize) {
        let number = self.lines.partition_point(|begin| *begin <= at).saturating_sub(1);
        (number, self.lines.get(number).copied().unwrap_or(0))
    }

    /// A place as the bytes of whole letters.
    fn range_of(&self, span: Span) -> (usize, usize) {
        let start = self.text.floor_char_boundary(span.start);
        (start, self.text.ceil_char_boundary(span.end).max(start))
    }
}

impl Sources {
    /// Adds a file; its number.
    pub(crate) fn add(&mut self, path: PathBuf, directory: PathBuf, text: String) -> usize {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.files.push(Source { path, directory, text, lines });
        self.files.len() - 1
    }

    /// Whether no file could be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The directory of a file, from the root: what is named in the file is relative to it.
    pub(crate) fn directory(&self, file: usize) -> PathBuf {
        self.files[file].directory.clone()
    }

    /// Where that is, for a program.
    fn position(&self, span: Span) -> Position {
        let source = &self.files[span.file];
        let (start, _) = source.range_of(span);
        let (number, line_start) = source.line_of(start);
        let column = source.text[line_start..start].chars().count() + 1;
        Position { file: source.path.clone(), line: number + 1, column }
    }

    /// What stands there, as it is written.
    pub(crate) fn written(&self, span: Span) -> &str {
        let source = &self.files[span.file];
        let (start, end) = source.range_of(span);
        &source.text[start..end]
    }

    /// `file:line:column`, for a person.
    pub(crate) fn place(&self, span: Span) -> String {
        let Position { file, line, column } = self.position(span);
        format!("{}:{line}:{column}", file.display())
    }

    /// The line with the place underlined, and with what is secret on it painted over.
    fn excerpt(&self, span: Span, secrets: &[Span]) -> String {
        let source = &self.files[span.file];
        let (start, end) = source.range_of(span);
        let (number, line_start) = source.line_of(start);
        let line = source.text[line_start..].lines().next().unwrap_or_default();
        let on_line = |it: &&Span| it.file == span.file && it.start < line_start + line.len() && it.end > line_start;
        let secrets: Vec<&Span> = secrets.iter().filter(on_line).collect();
        let is_secret = |at: usize| secrets.iter().any(|it| (it.start..it.end).contains(&at));
        let shown = |(at, letter)| if is_secret(line_start + at) && letter != '"' { '•' } else { letter };
        let (whole, before) = (line.chars().count(), source.text[line_start..start].chars().count());
        // A file that a program wrote may be one line: it is not shown anew with each problem.
        let left_out = if whole > SHOWN_MAX { before.saturating_sub(SHOWN_BEFORE) } else { 0 };
        let mut painted: String = line.char_indices().skip(left_out).take(SHOWN_MAX).map(shown).collect();
        let mut indent = before - left_out;
        if left_out > 0 {
            painted.insert(0, '…');
            indent += 1;
        }
        if whole - left_out.min(whole) > SHOWN_MAX {
            painted.push('…');
        }
        let rest = painted.chars().count().saturating_sub(indent);
        let marked = source.text[start..end].chars().take(SHOWN_MAX).count();
        let carets = "^".repeat(marked.clamp(1, rest.max(1)));
        format!("{:>5} | {painted}\n      | {:indent$}{carets}", number + 1, "")
    }
}

/// Where something stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Position {
    /// The path by which the file was read.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// What follows from a remark.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// There is no plan.
    Problem,
    /// One app cannot be served as it is written; all else can.
    Fault,
    /// Nothing.
    Warning,
}

/// Something that is said of a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remark {
    /// Where, if it is anywhere in a file.
    pub position: Option<Position>,
    /// What follows from it.
    pub weight: Weight,
    /// What is wrong, and the mend.
    pub text: String,
}

/// One problem.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// Where, if it is anywhere in the file.
    pub(crate) span: Option<Span>,
    /// What is wrong, and the mend.
    pub(crate) text: String,
    /// Further places that have to do with it, each with a word.
    pub(crate) also: Vec<(Span, String)>,
}

/// All that is wrong.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    /// What was told of which place.
    known: HashSet<(Option<Span>, String)>,
    /// What is missing for one app, and is nothing to the others.
    faults: Vec<Problem>,
    /// What works and will not please everybody.
    warnings: Vec<Problem>,
    /// Values that are not to be shown.
    secrets: Vec<Span>,
    /// Keys that are spelled in another way than they are, and what they are meant to be.
    meant: Vec<(Span, &'static str)>,
    /// Values of which a part is not there: what else is wrong with them follows from that.
    incomplete: HashSet<Span>,
    /// A file is no TOML: what follows from that is of no interest.
    is_unreadable: bool,
}

impl Problems {
    pub(crate) fn add(&mut self, span: Span, text: impl Into<String>) {
        self.push(Problem { span: Some(span), text: text.into(), also: Vec::new() });
    }

    /// Something that is missing for one app: problems for who checks a file, none for who serves it.
    pub(crate) fn add_fault(&mut self, span: Span, text: String) {
        if !self.incomplete.contains(&span) {
            self.faults.push(Problem { span: Some(span), text, also: Vec::new() });
        }
    }

    /// A part of this value is not there, which is nothing to other apps; what was said of it.
    pub(crate) fn soften(&mut self, span: Span) -> Option<String> {
        if !self.incomplete.contains(&span) {
            return None;
        }
        let at = self.found.iter().position(|one| one.span == Some(span))?;
        let fault = self.found.remove(at);
        self.known.remove(&(fault.span, fault.text.clone()));
        let text = fault.text.clone();
        self.faults.push(fault);
        Some(text)
    }

    /// Whether a part of this value is not there.
    pub(crate) fn is_incomplete(&self, span: Span) -> bool {
        self.incomplete.contains(&span)
    }

    /// Something that works and will not please everybody.
    pub(crate) fn warn(&mut self, span: Span, text: impl Into<String>) {
        self.warnings.push(Problem { span: Some(span), text: format!("warning: {}", text.into()), also: Vec::new() });
    }

    /// The same, of no place in the file.
    pub(crate) fn warn_of_all(&mut self, text: String) {
        self.warnings.push(Problem { span: None, text: format!("warning: {text}"), also: Vec::new() });
    }

    /// The warnings, as a person reads them; empty where there are none.
    pub(crate) fn show_warnings(&self, sources: &Sources) -> String {
        show_all(&self.warnings, sources, &self.secrets)
    }

    /// What stands there is not to be shown.
    pub(crate) fn hide(&mut self, span: Span) {
        self.secrets.push(span);
    }

    /// A place where a file is no TOML.
    pub(crate) fn add_unreadable(&mut self, span: Span, text: String) {
        self.add(span, text);
        self.is_unreadable = true;
    }

    pub(crate) fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// A problem that has to do with a second place.
    pub(crate) fn add_with(&mut self, span: Span, text: impl Into<String>, also: (Span, &str)) {
        self.push(Problem { span: Some(span), text: text.into(), also: vec![(also.0, also.1.into())] });
    }

    /// A key is not known, and most likely meant to be this one.
    pub(crate) fn note_meant(&mut self, key: Span, meant: &'static str) {
        self.meant.push((key, meant));
    }

    /// Whether a table has a key that is meant to be one of these, and is spelled in another way.
    pub(crate) fn means(&self, table: &Table, keys: &[&str]) -> bool {
        let of_table = |span: &Span| table.entries.iter().any(|entry| entry.key_span == *span);
        self.meant.iter().any(|(span, meant)| keys.contains(meant) && of_table(span))
    }

    /// Something is missing in a table. Where a key of it is only spelled in another way, that was told, and this would
    /// only follow from it.
    pub(crate) fn add_missing(&mut self, span: Span, (table, keys): (&Table, &[&str]), text: impl Into<String>) {
        if !self.means(table, keys) {
            self.add(span, text);
        }
    }

    /// A part of a value is not there.
    pub(crate) fn add_incomplete(&mut self, span: Span, text: String) {
        self.add(span, text);
        self.incomplete.insert(span);
    }

    pub(crate) fn push(&mut self, problem: Problem) {
        let follows = |span: Span| self.incomplete.contains(&span);
        if !problem.span.is_some_and(follows) && self.known.insert((problem.span, problem.text.clone())) {
            self.found.push(problem);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All that is said, for a program.
    pub(crate) fn remarks(&self, sources: &Sources) -> Vec<Remark> {
        let all = [(&self.found, Weight::Problem), (&self.faults, Weight::Fault), (&self.warnings, Weight::Warning)];
        let of = |(problems, weight): (&Vec<Problem>, Weight)| -> Vec<Remark> {
            let remark = |one: &Problem| Remark {
                position: one.span.map(|span| sources.position(span)),
                weight,
                text: one.text.clone(),
            };
            problems.iter().map(remark).collect()
        };
        all.into_iter().flat_map(of).collect()
    }

    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// What is missing for single apps, as a person reads it.
    pub(crate) fn show_faults(&self, sources: &Sources) -> String {
        show_all(&self.faults, sources, &self.secrets)
    }

    /// All of them in the order of the files, as a person reads them.
    pub(crate) fn show(&self, sources: &Sources) -> String {
        let found = [&self.found[..], &self.faults].concat();
        let count = found.len();
        let all = show_all(&found, sources, &self.secrets);
        format!("{all}{}{count} problem{}\n", self.show_warnings(sources), if count == 1 { "" } else { "s" })
    }
}

fn show_all(problems: &[Problem], sources: &Sources, secrets: &[Span]) -> String {
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    sorted.sort_by_key(|problem| problem.span.map(|span| (span.file, span.start)));
    let mut text = String::new();
    for problem in sorted {
        match problem.span {
            Some(span) => {
                let excerpt = sources.excerpt(span, secrets);
                let _ = writeln!(text, "{}: {}\n{excerpt}", sources.place(span), problem.text);
            }
            None => {
                let _ = writeln!(text, "{}", problem.text);
            }
        }
        for (span, word) in &problem.also {
            let excerpt = sources.excerpt(*span, secrets);
            let _ = writeln!(text, "      = {word}: {}\n{excerpt}", sources.place(*span));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.add("a.toml".into(), "/".into(), text.into());
        sources
    }

    fn at(start: usize, end: usize) -> Span {
        Span { file: 0, start, end }
    }

    #[test]
    fn places_are_counted_in_lines_and_letters() {
        let sources = sources("ä = 1\nb = 2\n\n");
        for (start, expected) in
            [(0, "1:1"), (1, "1:1"), (2, "1:2"), (6, "1:6"), (7, "2:1"), (12, "2:6"), (13, "3:1"), (99, "4:1")]
        {
            assert_eq!(sources.place(at(start, start)), format!("a.toml:{expected}"), "{start}");
        }
        assert_eq!(self::sources("").place(at(0, 0)), "a.toml:1:1");
    }

    #[test]
    fn a_secret_is_painted_over_and_a_place_underlined() {
        let text = "key = \"s3crét\" # s\n";
        let shown = sources(text).excerpt(at(0, 3), &[at(6, 15)]);
        assert_eq!(shown, "    1 | key = \"••••••\" # s\n      | ^^^");
        // Wherever it ends.
        assert_eq!(sources(text).excerpt(at(18, 99), &[]), "    1 | key = \"s3crét\" # s\n      |                  ^");
    }

    #[test]
    fn of_a_long_line_what_is_around_the_place_is_shown() {
        let text = format!("{}here{}", "ä".repeat(1_000), "b".repeat(1_000));
        let secret = at(2_004, 2_010);
        let shown = sources(&text).excerpt(at(2_000, 2_004), &[secret]);
        let (line, carets) = shown.split_once('\n').unwrap();
        assert_eq!(line.chars().count(), "    1 | ".len() + SHOWN_MAX + 2);
        let under: usize = carets.find('^').unwrap();
        let marked: String = line.chars().skip(under).take(4).collect();
        assert_eq!((marked.as_str(), carets.matches('^').count()), ("here", 4), "{shown}");
        assert!(line.contains("…ä") && line.contains("here••••••b") && line.ends_with("b…"), "{shown}");
    }

    #[test]
    fn a_problem_is_told_once_and_what_follows_from_a_gap_never() {
        let (mut problems, sources) = (Problems::default(), sources("a = 1\n"));
        problems.add(at(0, 1), "one");
        problems.add(at(0, 1), "one");
        problems.add_incomplete(at(4, 5), "a gap".into());
        problems.add(at(4, 5), "what follows");
        assert!(problems.show(&sources).ends_with("2 problems\n"));
        assert_eq!(problems.soften(at(4, 5)).as_deref(), Some("a gap"));
        assert_eq!((problems.soften(at(4, 5)), problems.soften(at(0, 1))), (None, None));
        assert!(problems.has_faults() && problems.show_faults(&sources).contains("a.toml:1:5: a gap"));
        let weights: Vec<Weight> = problems.remarks(&sources).into_iter().map(|remark| remark.weight).collect();
        assert_eq!(weights, [Weight::Problem, Weight::Fault]);
    }
}
