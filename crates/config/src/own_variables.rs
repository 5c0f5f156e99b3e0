//! In:     the name of a variable of the environment.
//! Out:    whether it is said to hallway itself, and so to no app.
//! Actors: none.
//! Never:  is a name that systemd gives its own meaning passed on.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What is said to hallway itself, by who starts it; of names that end with `*`, all that begin so. An app that took it
/// for its own would speak to systemd in its place, or take sockets that are not there.
const OWN: &[&str] = &["HALLWAY_*", "NOTIFY_SOCKET", "LISTEN_*", "WATCHDOG_*", "FDSTORE", "MAINPID", "JOURNAL_STREAM"];

/// Whether a variable of this name is said to hallway itself.
pub fn is_own(name: &OsStr) -> bool {
    is_among(name, OWN)
}

/// Whether a name is one of these, of which some end with `*`.
pub fn is_among(name: &OsStr, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(begins) => name.as_bytes().starts_with(begins.as_bytes()),
        None => name == *pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_says_is_for_hallway_alone() {
        for name in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_USEC", "HALLWAY_BIND", "MAINPID"] {
            assert!(is_own(name.as_ref()), "{name}");
        }
        for name in ["PATH", "LISTEN", "NOTIFY_SOCKET_2", "MY_LISTEN_FDS", "hallway_bind", ""] {
            assert!(!is_own(name.as_ref()), "{name}");
        }
    }
}
