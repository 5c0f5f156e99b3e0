//! Gives up the rights that a process does not need.
//!
//! In:     a user, also as a word of a command line.
//! Out:    this process as that user.
//! Actors: the operating system.
//! Never:  can another process of that user look into this one, at any moment of it.

use hallway_core::plan::User;
use nix::unistd::{Gid, Uid, getresuid, setgroups, setresgid, setresuid};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities};
use std::io;
use std::path::PathBuf;

/// The word for nobody else: the process stays who it is.
const SAME: &str = "-";

/// A user as a word of a command line: numbers only, which everybody may see.
pub(crate) fn word_of(user: Option<&User>) -> String {
    let Some(user) = user else { return SAME.into() };
    let groups: Vec<String> = user.groups.iter().map(ToString::to_string).collect();
    format!("{}:{}:{}", user.uid, user.gid, groups.join(","))
}

/// A user from such a word.
///
/// # Errors
/// It is none.
pub(crate) fn user_of(word: &str) -> io::Result<Option<User>> {
    if word == SAME {
        return Ok(None);
    }
    let wrong = |_| io::Error::new(io::ErrorKind::InvalidInput, format!("'{word}' is no user"));
    let mut parts = word.splitn(3, ':');
    let mut next = || parts.next().unwrap_or_default();
    let uid: u32 = next().parse().map_err(wrong)?;
    let gid = next().parse().map_err(wrong)?;
    let groups = next().split(',').filter(|group| !group.is_empty()).map(str::parse).collect::<Result<_, _>>();
    Ok(Some(User { name: uid.to_string(), home: PathBuf::new(), uid, gid, groups: groups.map_err(wrong)? }))
}

/// Has no other process look into this one: its memory, its descriptors, its environment. What root makes so stays so
/// when it becomes somebody else (prctl(2), PR_SET_DUMPABLE), but is lost by an exec.
///
/// # Errors
/// Those of `prctl`.
pub fn hide() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Becomes a user, for good. To be called while this process has one thread.
///
/// # Errors
/// It may not become that user; then this process must end.
pub fn become_user(user: &User) -> io::Result<()> {
    // Before anything belongs to the user, or a process of it may look in (see `hide`).
    hide()?;
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    // In this order: whoever is not root any more may not change groups.
    let changed = setgroups(&groups);
    // Who stays who it is may lack the right, as root does in some containers.
    if uid != Uid::effective() {
        changed?;
    }
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    // `fs.suid_dumpable` of the system says what a process is behind that.
    hide()?;
    let now = getresuid()?;
    if now.real != uid || now.effective != uid || now.saved != uid {
        return Err(io::Error::other("the system did not change the user"));
    }
    if !uid.is_root() {
        give_up_capabilities()?;
    }
    Ok(())
}

/// Gives up every capability, those of `AmbientCapabilities=` as well, which programs that are started would have, too.
///
/// # Errors
/// Those of `capset`.
pub(crate) fn give_up_capabilities() -> io::Result<()> {
    // An old kernel has no such set.
    let _ = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

/// Confines the edge, whose first act this is: hidden, as this user, without capabilities.
///
/// # Errors
/// As with `become_user`.
pub fn confine_edge(word: &str) -> io::Result<()> {
    match user_of(word)? {
        Some(user) => become_user(&user),
        None if rustix::process::geteuid().is_root() => hide(),
        None => hide().and_then(|()| give_up_capabilities()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_the_same_behind_a_command_line() {
        for groups in [vec![], vec![7], vec![7, 0, 4_294_967_294]] {
            let user = User { name: "33".into(), home: PathBuf::new(), uid: 33, gid: 34, groups };
            assert_eq!(user_of(&word_of(Some(&user))).unwrap(), Some(user));
        }
        assert_eq!(user_of(&word_of(None)).unwrap(), None);
        for word in ["", "1", "1:2:x", "x:1:", "1:2:3:4", "-1:2:"] {
            assert!(user_of(word).is_err(), "{word}");
        }
    }
}
