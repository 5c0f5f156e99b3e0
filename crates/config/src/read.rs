//! In:     a file's path; the files of `conf.d` beside it; the machine, for its files and its variables.
//! Out:    their values as one tree.
//! Actors: the file system.
//! Never:  does a later file quietly win over an earlier one.

use super::machine::Machine;
use super::node::{Data, Entry, Node, Span, Table};
use super::problem::{Problem, Problems, Sources};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest configuration file.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads a file and those of `conf.d` beside it, in the order of their names.
pub(crate) fn read_files(main: &Path, machine: &dyn Machine, sources: &mut Sources, problems: &mut Problems) -> Table {
    let mut whole = Table::default();
    for path in std::iter::once(main.to_owned()).chain(neighbours(main, machine)) {
        match machine.read_text(&path, FILE_BYTES_MAX) {
            Ok(text) => {
                let from_root = machine.absolute(&path).unwrap_or_default();
                let directory = from_root.parent().unwrap_or(Path::new("/")).to_owned();
                let file = sources.add(path, directory, text.clone());
                let table = Reader { file, machine, problems }.parse(&text);
                merge(&mut whole, table, problems);
            }
            Err(error) => problems.push(Problem {
                span: None,
                text: format!("{}: this file cannot be read: {}", path.display(), machine.told(&error)),
                also: Vec::new(),
            }),
        }
    }
    whole
}

/// The files of `conf.d` beside a file, in the order of their names.
pub fn neighbours(main: &Path, machine: &dyn Machine) -> Vec<PathBuf> {
    let folder = main.parent().unwrap_or(Path::new(".")).join("conf.d");
    let found = machine.names_in(&folder).into_iter().map(|name| folder.join(name));
    let mut files: Vec<PathBuf> = found.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    files
}

/// Puts a file's tables into those that were read before. What is there already is a problem.
fn merge(whole: &mut Table, more: Table, problems: &mut Problems) {
    for entry in more.entries {
        let Some(known) = whole.entries.iter_mut().find(|known| known.key == entry.key) else {
            whole.entries.push(entry);
            continue;
        };
        match (&mut known.value.data, entry.value.data) {
            (Data::Table(into), Data::Table(more)) => merge(into, more, problems),
            _ => problems.add_with(
                entry.key_span,
                format!("'{}' is written in two files; take one of them out", entry.key),
                (known.key_span, "the other one"),
            ),
        }
    }
}

struct Reader<'a> {
    file: usize,
    machine: &'a dyn Machine,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn parse(&mut self, text: &str) -> Table {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or(text.len()..text.len());
            self.problems.add_unreadable(self.span(span), format!("this is not TOML: {}", error.message()));
        }
        self.table(table.into_inner())
    }

    fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span { file: self.file, start: range.start, end: range.end }
    }

    fn table(&mut self, table: DeTable<'_>) -> Table {
        let mut entries: Vec<Entry> = Vec::with_capacity(table.len());
        for (key, value) in table {
            let key_span = self.span(key.span());
            entries.push(Entry { key: key.into_inner().into_owned(), key_span, value: self.node(value) });
        }
        entries.sort_by_key(|entry| entry.key_span.start);
        Table { entries }
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>) -> Node {
        let span = self.span(value.span());
        let data = match value.into_inner() {
            DeValue::String(text) => Data::Text(self.filled(&text, span)),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Data::Whole(number),
                Err(_) => {
                    self.problems.add(span, "this number is too large");
                    Data::Whole(0)
                }
            },
            DeValue::Float(_) => Data::Real,
            DeValue::Boolean(switch) => Data::Switch(switch),
            DeValue::Datetime(_) => Data::Date,
            DeValue::Array(members) => Data::List(members.into_iter().map(|member| self.node(member)).collect()),
            DeValue::Table(table) => Data::Table(self.table(table)),
        };
        Node { span, data }
    }

    /// `${NAME}` is the variable of that name; `$${` is `${` itself.
    fn filled(&mut self, text: &str, span: Span) -> String {
        let mut out = String::with_capacity(text.len());
        let (mut rest, mut unset) = (text, Vec::new());
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            if let Some(escaped) = before.strip_suffix('$') {
                out.push_str(escaped);
                out.push_str("${");
                rest = after;
                continue;
            }
            out.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                self.problems.add(span, "'${' has no '}'; write ${NAME} for a variable, or $${ for these characters");
                return out;
            };
            match self.machine.variable(name) {
                Some(value) => out.push_str(&value),
                None => {
                    unset.push(name);
                    out.push_str(name);
                }
            }
            rest = behind;
        }
        out.push_str(rest);
        if !unset.is_empty() {
            let (what, it) = if unset.len() == 1 { ("variable", "it") } else { ("variables", "them") };
            let text = format!("the {what} {} not set; set {it} before the start", shown_names(&unset));
            self.problems.add_incomplete(span, text);
        }
        out
    }
}

fn shown_names(names: &[&str]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}
