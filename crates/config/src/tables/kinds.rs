//! In:     -
//! Out:    what keys of several tables are made of.
//! Actors: none.
//! Never:  does a key stand here that belongs to one table.

use crate::declare::{Key, Kind};

pub(super) const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about, default: "" }
}

pub(super) const fn key_or(name: &'static str, kind: Kind, about: &'static str, default: &'static str) -> Key {
    Key { name, kind, about, default }
}

pub(super) const COUNT: Kind = Kind::Whole(0, i64::MAX);
pub(super) const PATH: Kind = Kind::Path;
pub(super) const TEXT: Kind = Kind::Text;
pub(super) const NETWORK: Kind = Kind::Network;
pub(super) const WANTED: Kind = Kind::Either(&[TEXT, Kind::Switch]);
pub(super) const FIELD_NAME: Kind = Kind::FieldName;
