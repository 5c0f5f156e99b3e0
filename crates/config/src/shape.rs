//! In:     a value of a file, the declaration of what may stand there.
//! Out:    problems: unknown keys, wrong kinds, values that cannot be read.
//! Actors: the machine: its resolver, for names of hosts.
//! Never:  is a value let through that reading it later could refuse.

use super::declare::{Key, Kind};
use super::machine::Machine;
use super::node::{Data, Entry, Node, Span, Table};
use super::problem::Problems;
use super::synonyms;
use crate::near::{is_slip, nearest};
use crate::settings::{duration_ms, log_format, percent, rate, read_address, size_bytes};
use hallway_core::fields::is_token;
use hallway_core::method::Methods;
use hallway_core::network::Network;
use hallway_core::route::Pattern;

/// What a shape is checked with.
pub(crate) struct Shape<'a> {
    /// For the names of hosts.
    pub(crate) machine: &'a dyn Machine,
    /// Where what is wrong is put.
    pub(crate) problems: &'a mut Problems,
}

impl Shape<'_> {
    /// Checks a value and all that is in it.
    fn check(&mut self, node: &Node, kind: &Kind, name: &str) {
        if matches!(kind, Kind::Secret) {
            self.problems.hide(node.span);
        }
        match (kind, &node.data) {
            (Kind::Later, _) => {
                self.problems.add(node.span, format!("'{name}' is not built yet in this version; take it out"));
            }
            (Kind::Table(keys), Data::Table(table)) => self.check_table(table, keys, name),
            (Kind::Named(word, kind), Data::Table(table)) => {
                for entry in &table.entries {
                    check_name(word, &entry.key, entry.key_span, self.problems);
                    self.check(&entry.value, kind, &entry.key);
                }
            }
            (Kind::List(kind), Data::List(members)) => members.iter().for_each(|one| self.check(one, kind, name)),
            (Kind::OneOrMore(kind), _) => {
                if matches!(&node.data, Data::List(members) if members.is_empty()) {
                    let text = format!("'{name}' is empty; write {}, or take it out", kind.wanted());
                    self.problems.add(node.span, text);
                }
                node.members().iter().for_each(|one| self.check(one, kind, name));
            }
            (Kind::Either(kinds), _) => match kinds.iter().find(|kind| fits(node, kind)) {
                Some(fitting) => self.check(node, fitting, name),
                None => self.refuse(node, kind, name),
            },
            (Kind::Whole(least, most), Data::Whole(number)) if !(least..=most).contains(&number) => {
                self.problems.add(node.span, format!("'{name}' is {number}; write {}", kind.wanted()));
            }
            (Kind::Duration | Kind::Size, Data::Whole(..0)) => self.refuse(node, kind, name),
            _ if !fits(node, kind) => self.refuse(node, kind, name),
            (_, Data::Text(text)) => {
                if let Err(mend) = read_text(kind, text, self.machine) {
                    self.problems.add(node.span, format!("{name} = \"{text}\": {mend}"));
                }
            }
            _ => {}
        }
    }

    /// A value of another kind.
    fn refuse(&mut self, node: &Node, kind: &Kind, name: &str) {
        let what = node.text().map_or_else(
            || format!("'{name}' cannot be {}", node.kind()),
            |text| format!("\"{text}\" is not a valid value for {name}"),
        );
        // `tls = "auto"` is what other servers do, and what this one is to do.
        if (name, node.text()) == ("tls", Some("auto")) {
            let mend = "write { cert = \"shop.pem\", key = \"shop.key\" } or \"internal\"";
            self.problems.add(node.span, format!("tls = \"auto\" (ACME) is not built yet in this version; {mend}"));
            return;
        }
        let mend = table_of(node, kind, name, self.machine).unwrap_or_else(|| kind.wanted());
        self.problems.add(node.span, format!("{what}; write {mend}"));
    }

    /// Checks a table against the keys it may have.
    pub(crate) fn check_table(&mut self, table: &Table, keys: &'static [Key], name: &str) {
        for entry in &table.entries {
            match keys.iter().find(|key| key.name == entry.key) {
                Some(key) => self.check(&entry.value, &key.kind, key.name),
                None => {
                    if let Some(mend) = header_alone(entry, keys, name) {
                        // Of requests, it may be a secret.
                        self.problems.hide(entry.value.span);
                        self.problems.add(entry.key_span, format!("'{}' stands alone in '{name}'; {mend}", entry.key));
                        continue;
                    }
                    let meant = synonyms::explain(&entry.key, keys);
                    // [site.shop.example] is the table 'example' in that of 'shop'.
                    let is_site = keys.iter().any(|key| key.name == "aliases");
                    if is_site && is_part_of_name(&entry.value, meant.is_none()) {
                        let mend = format!("put the name in quotes: [site.\"{name}.{}\"]", entry.key);
                        self.problems
                            .add(entry.key_span, format!("there is no table '{}' in '{name}'; {mend}", entry.key));
                        continue;
                    }
                    let place = if name.is_empty() { "here".into() } else { format!("in '{name}'") };
                    if let Some(key) = meant.as_ref().and_then(|meant| meant.key) {
                        self.problems.note_meant(entry.key_span, key);
                    }
                    let mend = meant.map_or_else(|| format!("it knows {}", list_of(keys)), |meant| meant.mend);
                    self.problems.add(entry.key_span, format!("there is no key '{}' {place}; {mend}", entry.key));
                }
            }
        }
    }
}

/// A header that stands where `set`, `add` or `remove` is wanted.
fn header_alone(entry: &Entry, keys: &[Key], name: &str) -> Option<String> {
    let of_headers = keys.iter().any(|key| key.name == "set") && keys.iter().any(|key| key.name == "remove");
    let is_slip = keys.iter().any(|key| is_slip(&entry.key, key.name));
    let is_alone = of_headers && !is_slip && entry.value.text().is_some() && is_token(entry.key.as_bytes());
    is_alone.then(|| format!("write {name} = {{ set = {{ {} = \"…\" }} }}", entry.key))
}

/// Whether what follows a dot behind `[site.` is the rest of its name: it holds what a site has, or is a word that means nothing else.
fn is_part_of_name(node: &Node, is_unknown: bool) -> bool {
    let Data::Table(table) = &node.data else { return false };
    let of_site = |entry: &Entry| matches!(entry.key.as_str(), "routes" | "aliases" | "tls");
    is_unknown || table.entries.iter().any(|entry| of_site(entry) || is_part_of_name(&entry.value, false))
}

/// What a value that stands alone says most likely, where a table is wanted: key by key of which it could be.
const ALONE: &[(&str, &str, &str)] = &[
    ("access", "path", ""),
    ("basic_auth", "file", ""),
    ("clients", "ca", ""),
    ("cors", "origins", ""),
    ("eject", "after", ""),
    ("forward_proxy", "listen", ", allow = [\"…\"]"),
    ("health", "every", ""),
    ("hsts", "max_age", ""),
    ("keep_alive", "idle", ""),
    ("keep_alive", "connections", ""),
    ("limit", "rate", ""),
    ("limit", "connections", ""),
    ("log", "path", ""),
    ("maintenance", "file", ""),
    ("php", "root", ""),
    ("queue", "size", ""),
    ("queue", "max_wait", ""),
    ("respond", "status", ""),
    ("respond", "body", ""),
    ("retry", "tries", ""),
    ("retry", "budget", ""),
    ("split", "percent", ", pool = \"…\""),
    ("sticky", "cookie", ""),
    ("tls", "cert", ", key = \"…\""),
];

/// A value that stands alone as the table that it says most likely: `limit = "5/m"` is `{ rate = "5/m" }`.
fn table_of(node: &Node, kind: &Kind, name: &str, machine: &dyn Machine) -> Option<String> {
    let keys = match kind {
        Kind::Table(keys) => keys,
        Kind::OneOrMore(kind) | Kind::List(kind) => return table_of(node, kind, name, machine),
        Kind::Either(kinds) => return kinds.iter().find_map(|kind| table_of(node, kind, name, machine)),
        _ => return None,
    };
    let value = match &node.data {
        Data::Text(text) => format!("{text:?}"),
        Data::Whole(number) => number.to_string(),
        _ => return None,
    };
    let fitting = |(_, key, _): &&(&str, &str, &str)| {
        let Some(key) = keys.iter().find(|known| known.name == *key) else { return false };
        let in_range = match (&key.kind, &node.data) {
            (Kind::Whole(least, most), Data::Whole(number)) => (least..=most).contains(&number),
            (Kind::Duration, Data::Whole(_)) => false,
            _ => true,
        };
        let is_read = |text| match &key.kind {
            Kind::OneOrMore(kind) => read_text(kind, text, machine).is_ok(),
            kind => read_text(kind, text, machine).is_ok(),
        };
        // A word is no file.
        let is_file = |text: &str| {
            !(matches!(key.kind, Kind::Path) || key.name == "path") || text == "stdout" || text.contains(['.', '/'])
        };
        fits(node, &key.kind) && in_range && node.text().is_none_or(|text| is_read(text) && is_file(text))
    };
    let (_, key, more) = ALONE.iter().filter(|(of, ..)| *of == name).find(fitting)?;
    Some(format!("{name} = {{ {key} = {value}{more} }}"))
}

fn list_of(keys: &[Key]) -> String {
    let known = keys.iter().filter(|key| !matches!(key.kind, Kind::Later)).map(|key| key.name);
    known.collect::<Vec<_>>().join(", ")
}

/// Whether a value is of this kind, as far as its type says.
fn fits(node: &Node, kind: &Kind) -> bool {
    match (kind, &node.data) {
        (Kind::Either(kinds), _) => kinds.iter().any(|kind| fits(node, kind)),
        (Kind::OneOrMore(kind), Data::List(_)) => node.members().iter().all(|one| fits(one, kind)),
        (Kind::OneOrMore(kind), _) => fits(node, kind),
        (Kind::Word(words), Data::Text(text)) => words.contains(&text.as_str()),
        (Kind::Duration | Kind::Size | Kind::Whole(..), Data::Whole(_))
        | (Kind::Switch, Data::Switch(_))
        | (Kind::Table(_) | Kind::Named(..), Data::Table(_))
        | (Kind::List(_), Data::List(_))
        | (Kind::Later, _) => true,
        (Kind::Whole(..) | Kind::Switch | Kind::Table(_) | Kind::Named(..) | Kind::List(_), _) => false,
        (_, data) => matches!(data, Data::Text(_)),
    }
}

/// Whether a string can be read as what it stands for; the error is the mend.
fn read_text(kind: &Kind, text: &str, machine: &dyn Machine) -> Result<(), String> {
    let wanted = || Err(format!("write {}", kind.wanted()));
    match kind {
        Kind::Duration => duration_ms(text).map(drop),
        Kind::Size => size_bytes(text).map(drop),
        Kind::Rate => rate(text).map(drop),
        Kind::Percent => percent(text).map(drop),
        Kind::Address => read_address(text, machine).map(drop),
        Kind::Network => Network::read(text).map(drop),
        Kind::Pattern => Pattern::parse(text).map(drop),
        Kind::LogForm if !matches!(text, "combined" | "json") => log_format(text).map(drop),
        Kind::Method if !Methods::knows(text) => Err(explain_method(text)),
        Kind::FieldName if !is_token(text.as_bytes()) => wanted(),
        Kind::Path if text.is_empty() || text.contains('\0') => wanted(),
        _ => Ok(()),
    }
}

fn explain_method(text: &str) -> String {
    let capitals = text.to_ascii_uppercase();
    if Methods::knows(&capitals) {
        return format!("methods are written in capitals: \"{capitals}\"");
    }
    let near = nearest(text, Methods::names().iter().copied());
    let mend = near
        .map_or_else(|| format!("there are {}", Methods::names().join(", ")), |near| format!("did you mean '{near}'?"));
    format!("there is no method '{text}'; {mend}")
}

fn check_name(word: &str, name: &str, span: Span, problems: &mut Problems) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match word {
        "header" if !is_token(name.as_bytes()) => problems.add(span, format!("'{name}' is no name of a header")),
        "variable" if name.is_empty() || name.contains(['=', '\0']) => {
            problems.add(span, format!("'{name}' is no name of a variable"));
        }
        "status" if !name.parse().is_ok_and(|status: u16| (400..=599).contains(&status)) => {
            problems.add(span, format!("'{name}' is no status of an error; write 400 to 599"));
        }
        "app" | "pool" if name.is_empty() || !name.bytes().all(is_plain) => {
            let article = if word == "app" { "an" } else { "a" };
            let text = format!("'{name}' is no name for {article} {word}; write letters, digits, '-' and '_'");
            problems.add(span, text);
        }
        _ => {}
    }
}
