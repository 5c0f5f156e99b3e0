//! In:     a value of a configuration file.
//! Out:    what it says: a time, a size, a number, texts; nothing where it is of another kind.
//! Actors: none.
//! Never:  is a problem told here: the shape of every value was checked before.

use crate::node::{Data, Entry, Node, Span, Table};
use crate::settings::{duration_ms, size_bytes};

/// The entries of a table of names: `[app.…]`, `[site.…]`.
pub(super) fn named<'t>(table: &'t Table, key: &str) -> impl Iterator<Item = (&'t Entry, &'t Table)> {
    let entries = table.get(key).and_then(Node::table).map_or(&[][..], |table| &table.entries);
    entries.iter().filter_map(|entry| Some((entry, entry.value.table()?)))
}

pub(super) fn time_ms(node: &Node) -> Option<u64> {
    match &node.data {
        Data::Text(text) => duration_ms(text).ok(),
        Data::Whole(seconds) => u64::try_from(*seconds).ok()?.checked_mul(1000),
        _ => None,
    }
}

pub(super) fn bytes(node: &Node) -> Option<u64> {
    match &node.data {
        Data::Text(text) => size_bytes(text).ok(),
        Data::Whole(bytes) => u64::try_from(*bytes).ok(),
        _ => None,
    }
}

pub(super) fn whole(node: &Node) -> Option<u64> {
    match &node.data {
        Data::Whole(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

pub(super) fn count(node: &Node) -> Option<usize> {
    whole(node).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

pub(super) fn switch(node: &Node) -> Option<bool> {
    match &node.data {
        Data::Switch(switch) => Some(*switch),
        _ => None,
    }
}

/// Texts and where they stand.
pub(super) fn texts(node: Option<&Node>) -> impl Iterator<Item = (&str, Span)> {
    let members = node.map_or(&[][..], Node::members);
    members.iter().filter_map(|member| Some((member.text()?, member.span)))
}
