//! In:     what is wrong, and where it was written.
//! Out:    lines for a person: file, line, column, the text itself, the mend.
//! Actors: none.
//! Never:  is a problem told twice, or one kept back because another was found first.

use super::node::{Span, Table};
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
}

impl Sources {
    /// Adds a file; its number.
    pub(crate) fn add(&mut self, path: PathBuf, directory: PathBuf, text: String) -> usize {
        self.files.push(Source { path, directory, text });
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
        let Source { path, text, .. } = &self.files[span.file];
        let before = &text[..span.start.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Position { file: path.clone(), line, column }
    }

    /// `file:line:column`, for a person.
    pub(crate) fn place(&self, span: Span) -> String {
        let Position { file, line, column } = self.position(span);
        format!("{}:{line}:{column}", file.display())
    }

    /// The line with the place underlined, and with what is secret on it painted over.
    fn excerpt(&self, span: Span, secrets: &[Span]) -> String {
        let Source { text, .. } = &self.files[span.file];
        let start = span.start.min(text.len());
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let is_secret = |at: usize| secrets.iter().any(|it| it.file == span.file && (it.start..it.end).contains(&at));
        let shown = |(at, letter)| if is_secret(line_start + at) && letter != '"' { '•' } else { letter };
        let painted: String = line.char_indices().map(shown).collect();
        let number = text[..start].matches('\n').count() + 1;
        let indent = text[line_start..start].chars().count();
        let rest = line.chars().count().saturating_sub(indent);
        let marked = text[start..span.end.clamp(start, text.len())].chars().count();
        let carets = "^".repeat(marked.clamp(1, rest.max(1)));
        format!("{number:>5} | {painted}\n      | {:indent$}{carets}", "")
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
    /// What is missing for one app, and is nothing to the others.
    faults: Vec<Problem>,
    /// What works and will not please everybody.
    warnings: Vec<Problem>,
    /// Values that are not to be shown.
    secrets: Vec<Span>,
    /// Keys that are spelled in another way than they are, and what they are meant to be.
    meant: Vec<(Span, &'static str)>,
    /// Values of which a part is not there: what else is wrong with them follows from that.
    incomplete: Vec<Span>,
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
        let at = self.found.iter().position(|one| one.span == Some(span) && self.incomplete.contains(&span))?;
        let fault = self.found.remove(at);
        let text = fault.text.clone();
        self.faults.push(fault);
        Some(text)
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
        self.incomplete.push(span);
    }

    pub(crate) fn push(&mut self, problem: Problem) {
        let is_known = |one: &Problem| one.span == problem.span && one.text == problem.text;
        let follows = |span: Span| self.incomplete.contains(&span);
        if !self.found.iter().any(is_known) && !problem.span.is_some_and(follows) {
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
