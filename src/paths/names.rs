//! Takes a path apart, for who follows it name by name.
//!
//! In:     a path.
//! Out:    its names, in their order.
//! Actors: none.
//! Never:  is `..` taken together with the name before it, which may be a link.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path};

/// Links that one path may lead through, as the kernel has it.
pub(crate) const LINKS_MAX: usize = 40;

/// The names of a path, without those that say nothing.
pub(crate) fn names_of(path: &Path) -> VecDeque<OsString> {
    let named = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    named.collect()
}
