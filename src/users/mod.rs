//! In:     the name of a user.
//! Out:    its numbers, as processes need them.
//! Actors: the system's database of users.
//! Never:  is a user promised whom this process cannot become.

mod choice;
mod owner;
mod rights;

pub(crate) use choice::{choose, choose_for_apps, surprises, told as told_users};
use hallway_core::plan::User;
use nix::unistd::{self, getgrouplist};
pub(crate) use rights::changes_users;
use rights::is_mapped;
use std::ffi::CString;

/// The name of who runs this; the number where there is no name.
pub(crate) fn own_name() -> String {
    name_of(unistd::geteuid().as_raw())
}

/// The name of a user; the number where there is no name.
pub(crate) fn name_of(uid: u32) -> String {
    unistd::User::from_uid(uid.into()).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// What is wrong, and for whom where a permission is missing.
pub(crate) fn told(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!("the user '{}', as which this runs, may not do that", own_name())
        }
        _ => error.to_string(),
    }
}

/// A user that is written by its name.
///
/// # Errors
/// The mend.
pub(crate) fn find(name: &str) -> Result<User, String> {
    let found = by_name(name).map_err(|error| format!("the user '{name}' cannot be looked up: {error}"))?;
    let user = found.ok_or_else(|| format!("there is no user '{name}'; 'useradd --system {name}' makes one"))?;
    let own = rustix::process::geteuid();
    if own.as_raw() == user.uid && !own.is_root() {
        return Err(format!("hallway runs as '{name}' already; take this out"));
    }
    if own.as_raw() == user.uid {
        return Ok(user);
    }
    if !own.is_root() {
        return Err(format!("only root can start something as '{name}'; start hallway as root, or take this out"));
    }
    if !changes_users() {
        return Err(format!(
            "this root may not become '{name}'; give it CAP_SETUID and CAP_SETGID, or write user = \"root\""
        ));
    }
    if !is_mapped(&user) {
        return Err(format!(
            "'{name}' is not in this container's user namespace; name somebody who is, or map that user"
        ));
    }
    Ok(user)
}

/// A user by name, where there is one.
fn by_name(name: &str) -> nix::Result<Option<User>> {
    Ok(unistd::User::from_name(name)?.map(|user| of_system(name, user)))
}

/// A user by number; where it has no name, it has this group.
pub(crate) fn by_number(uid: u32, gid: u32) -> User {
    let found = unistd::User::from_uid(uid.into()).ok().flatten();
    let nameless = || User { name: uid.to_string(), home: "/".into(), uid, gid, groups: vec![gid] };
    found.map_or_else(nameless, |user| of_system(&user.name.clone(), user))
}

fn of_system(name: &str, user: unistd::User) -> User {
    let groups = CString::new(name).ok().and_then(|name| getgrouplist(&name, user.gid).ok()).unwrap_or_default();
    let groups = groups.into_iter().map(|group| group.as_raw()).collect();
    User { name: user.name, home: user.dir, uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups }
}
