//! What this process may become.
//!
//! In:     a user.
//! Out:    whether this process can become that user.
//! Actors: the kernel's accounts of this process.
//! Never:  is root without the rights of root taken for root: containers have that.

use hallway_core::plan::User;
use rustix::thread::CapabilitySet;
use std::fs;

/// Whether this process is root, and may become somebody else at all.
pub(crate) fn changes_users() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    let has = rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed));
    let may_set_groups = fs::read_to_string("/proc/self/setgroups").map_or(true, |text| text.trim() != "deny");
    rustix::process::geteuid().is_root() && has && may_set_groups
}

/// Whether this user, and all of its groups, are there in the namespace of this process.
pub(super) fn is_mapped(user: &User) -> bool {
    let map = |kind: &str| fs::read_to_string(format!("/proc/self/{kind}_map"));
    let holds = |kind: &str, ids: &[u32]| map(kind).map_or(true, |map| ids.iter().all(|id| is_in(*id, &map)));
    holds("uid", &[user.uid]) && holds("gid", &[&[user.gid], &user.groups[..]].concat())
}

/// A setting of this system by which what becomes a user can be looked into at that moment.
pub(super) fn doubt_system() -> Option<String> {
    let is_open = fs::read_to_string("/proc/sys/fs/suid_dumpable").is_ok_and(|text| text.trim() == "1");
    is_open.then(|| {
        "fs.suid_dumpable is 1: a process that becomes a user can be looked into by others of that user for a moment; \
         write 'sysctl fs.suid_dumpable=0'"
            .into()
    })
}

/// Lines of `FIRST OUTSIDE COUNT` (user_namespaces(7)).
fn is_in(id: u32, map: &str) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [first, _, count] = numbers[..] else { return false };
        (first..first.saturating_add(count)).contains(&u64::from(id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_in_the_namespace_can_be_become() {
        let whole = "         0          0 4294967295\n";
        let rootless = "         0       1000          1\n         1     100000      65536\n";
        for (id, map, expected) in [
            (65_534, whole, true),
            (0, rootless, true),
            (65_534, rootless, true),
            (65_537, rootless, false),
            (1, "0 1000 1\n", false),
            (1, "", false),
        ] {
            assert_eq!(is_in(id, map), expected, "{id} in {map}");
        }
    }
}
