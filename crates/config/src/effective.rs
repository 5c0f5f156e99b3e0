//! In:     the values of a configuration file, the declarations of all keys.
//! Out:    what the file comes to, for a person: each value with its origin, and every default.
//! Actors: none.
//! Never:  is a secret shown.

use super::declare::{Key, Kind};
use super::machine::Machine;
use super::node::{Data, Node, Table};
use super::problem::{Problems, Sources};
use super::tables::FILE;
use hallway_core::plan::{App, Plan};

/// Columns before an origin.
const WIDTH: usize = 64;

/// The whole file.
pub(super) fn show(
    table: &Table,
    (sources, problems): (&Sources, &Problems),
    (machine, plan): (&dyn Machine, &Plan),
) -> String {
    let mut lines = Vec::new();
    let known = Known { sources, problems, machine, plan };
    put_table(&mut lines, "", table, FILE, &known);
    lines.join("\n") + "\n"
}

/// What a value is told with.
struct Known<'a> {
    sources: &'a Sources,
    /// Of reading it: which values have parts that are not there.
    problems: &'a Problems,
    machine: &'a dyn Machine,
    plan: &'a Plan,
}

fn put_table(lines: &mut Vec<String>, name: &str, table: &Table, keys: &'static [Key], told_with: &Known<'_>) {
    let inner = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{}", quoted(key)) };
    if !name.is_empty() {
        lines.push(format!("\n[{name}]"));
    }
    let (mut below, known) = (Vec::new(), keys.iter().filter(|key| !matches!(key.kind, Kind::Later)));
    for key in known {
        match (table.get(key.name), &key.kind) {
            (Some(node), kind) => match (node.table(), kind) {
                (Some(table), Kind::Table(keys)) => below.push((inner(key.name), table, *keys)),
                (Some(table), Kind::Either(kinds)) if table_of(kinds).is_some() => {
                    below.push((inner(key.name), table, table_of(kinds).unwrap_or_default()));
                }
                (Some(named), Kind::Named(_, Kind::Table(keys))) => {
                    let of = |entry: &'_ super::node::Entry| format!("{}.{}", inner(key.name), quoted(&entry.key));
                    below.extend(
                        named.entries.iter().filter_map(|entry| Some((of(entry), entry.value.table()?, *keys))),
                    );
                }
                _ => put_value(lines, key, node, told_with),
            },
            (None, _) if key.name == "python" => lines.extend(interpreter(name, &told_with.plan.apps)),
            (None, _) if key.name == "user" => lines.extend(user(name, told_with)),
            (None, _) if key.default.is_empty() || name.is_empty() => {}
            (None, _) => lines.push(told(&format!("# {} = {}", key.name, key.default), "default")),
        }
    }
    for (name, table, keys) in below {
        put_table(lines, &name, table, keys, told_with);
    }
}

/// Which interpreter an app has that names none, and where that is from.
fn interpreter(table: &str, apps: &[App]) -> Option<String> {
    let app = apps.iter().find(|app| table == format!("app.{}", quoted(&app.name)))?;
    Some(told(&format!("# python = {:?}", app.python.display().to_string()), &app.python_origin))
}

/// Who the edge or an app runs as that names nobody, and why.
fn user(table: &str, Known { machine, plan, .. }: &Known<'_>) -> Option<String> {
    let of_app = |app: &&App| table == format!("app.{}", quoted(&app.name));
    let (user, origin) = match plan.apps.iter().find(of_app) {
        Some(app) => (&app.user, &app.user_origin),
        None if table == "server" => (&plan.user, &plan.user_origin),
        None => return None,
    };
    let name = user.as_ref().map_or_else(|| machine.own_name(), |user| user.name.clone());
    Some(told(&format!("# user = {name:?}"), origin))
}

/// The table among several kinds.
fn table_of(kinds: &'static [Kind]) -> Option<&'static [Key]> {
    kinds.iter().find_map(|kind| if let Kind::Table(keys) = kind { Some(*keys) } else { None })
}

fn put_value(lines: &mut Vec<String>, key: &Key, node: &Node, known: &Known<'_>) {
    let origin = |node: &Node| known.sources.place(node.span);
    match (&node.data, &key.kind) {
        (Data::List(members), Kind::List(Kind::Table(_))) => {
            lines.push(format!("{} = [", key.name));
            lines.extend(members.iter().map(|one| told(&format!("  {},", shown(one, known)), &origin(one))));
            lines.push("]".into());
        }
        (Data::Table(table), Kind::Named(_, Kind::Secret)) => {
            let names: Vec<String> = table.entries.iter().map(|entry| format!("{} = …", quoted(&entry.key))).collect();
            lines.push(told(&format!("{} = {{ {} }}", key.name, names.join(", ")), &origin(node)));
        }
        (_, Kind::Secret) => lines.push(told(&format!("{} = …", key.name), &origin(node))),
        _ => lines.push(told(&format!("{} = {}", key.name, shown(node, known)), &origin(node))),
    }
}

/// A line with where it is from.
fn told(line: &str, origin: &str) -> String {
    let gap = WIDTH.saturating_sub(line.chars().count()).max(1);
    format!("{line}{:gap$}# {origin}", "")
}

/// A value as TOML. Passwords are secrets wherever they stand.
fn shown(node: &Node, known: &Known<'_>) -> String {
    match &node.data {
        // A variable that is not set has no value to be shown.
        Data::Text(_) if known.problems.is_incomplete(node.span) => known.sources.written(node.span).to_owned(),
        Data::Text(text) => quoted_text(&text.replace("${", "$${")),
        Data::Whole(number) => number.to_string(),
        Data::Switch(switch) => switch.to_string(),
        Data::Real | Data::Date => "…".into(),
        Data::List(members) => {
            format!("[{}]", members.iter().map(|one| shown(one, known)).collect::<Vec<_>>().join(", "))
        }
        Data::Table(table) => {
            let value = |entry: &super::node::Entry| match entry.key.as_str() {
                "users" | "request_headers" => "…".into(),
                _ => shown(&entry.value, known),
            };
            let parts = table.entries.iter().map(|entry| format!("{} = {}", quoted(&entry.key), value(entry)));
            format!("{{ {} }}", parts.collect::<Vec<_>>().join(", "))
        }
    }
}

fn quoted(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_bare { key.to_owned() } else { quoted_text(key) }
}

/// A string as TOML has it: what is shown can be read again.
fn quoted_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            letter if letter.is_control() => out += &format!("\\u{:04X}", u32::from(letter)),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
