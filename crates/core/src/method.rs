//! In:     names of methods.
//! Out:    a set of them, small enough for a fault to carry.
//! Actors: none.
//! Never:  is a method in a set that has no name here.

use std::fmt;

/// The methods that a route can ask for: RFC 9110, 9.3; RFC 5789; RFC 4918, 9 and its kin.
const NAMES: [&str; 20] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "MKCALENDAR",
    "ACL",
    "PURGE",
];

/// A set of methods.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Methods(u32);

impl Methods {
    /// What any resource may take.
    pub const ALL: Methods = Methods(0b111_1111);
    /// GET and HEAD.
    pub const READ: Methods = Methods(0b11);

    /// Whether a method has a name here.
    pub fn knows(name: &str) -> bool {
        NAMES.contains(&name)
    }

    /// Every name, for messages.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// Adds a method; with GET comes HEAD.
    pub fn add(&mut self, name: &str) {
        if let Some(at) = NAMES.iter().position(|known| *known == name) {
            self.0 |= 1 << at;
        }
        if name == "GET" {
            self.add("HEAD");
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Methods {
    /// As in `Allow` (RFC 9110, 10.2.1).
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().enumerate().filter(|(at, _)| self.0 & (1 << at) != 0);
        for (written, (_, name)) in names.enumerate() {
            write!(out, "{}{name}", if written > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_written_as_allow_has_them() {
        let mut methods = Methods::default();
        for name in ["PUT", "GET", "FROBNICATE", "PUT"] {
            methods.add(name);
        }
        assert_eq!(methods.to_string(), "GET, HEAD, PUT");
        assert_eq!(Methods::ALL.to_string(), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        assert_eq!(Methods::READ.to_string(), "GET, HEAD");
    }
}
