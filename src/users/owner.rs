//! Whose a directory is.
//!
//! In:     the path of a directory.
//! Out:    its owner.
//! Actors: the file system.
//! Never:  is somebody taken for the owner because a third one could put another directory there.

use crate::paths::names::{LINKS_MAX, names_of};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Group and others may write; only owners may take entries away.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Who owns a directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// What a path leads by.
struct Passed {
    path: PathBuf,
    meta: Metadata,
}

/// The owner of a directory, where nobody but that user and root could have the path lead to another one.
///
/// # Errors
/// Why there is none, for a person.
pub(super) fn owner_of(path: &Path) -> Result<Owner, String> {
    let shown = path.display();
    let mut passed = walk(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("its directory {shown} is not there"),
        _ => format!("its directory {shown} cannot be looked at: {error}"),
    })?;
    let Some(Passed { meta: end, .. }) = passed.pop() else { return Err(format!("{shown} is no directory")) };
    let owner = Owner { uid: end.uid(), gid: end.gid() };
    match passed.iter().find(|passed| !is_kept_by(&passed.meta, owner)) {
        Some(Passed { path: changed, .. }) => {
            Err(format!("{} on the way to {shown} can be changed by others than root and its owner", changed.display()))
        }
        None => Ok(owner),
    }
}

/// Whether nobody but root and this one decides what is found there.
fn is_kept_by(meta: &Metadata, owner: Owner) -> bool {
    let mode = meta.mode();
    let is_known = [0, owner.uid].contains(&meta.uid());
    // The mode of a link says nothing; in a sticky directory each entry is its owner's, who is looked at, too.
    if meta.is_symlink() || mode & STICKY != 0 {
        return is_known;
    }
    let group_is_known = mode & GROUP_WRITES == 0 || [0, owner.gid].contains(&meta.gid());
    is_known && group_is_known && mode & OTHERS_WRITE == 0
}

/// All directories and links on the way, the directory itself last.
fn walk(path: &Path) -> io::Result<Vec<Passed>> {
    let mut at = PathBuf::from("/");
    let mut passed = vec![Passed { path: at.clone(), meta: fs::metadata(&at)? }];
    let mut left: VecDeque<OsString> = names_of(&std::path::absolute(path)?);
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            at.pop();
            passed.push(Passed { path: at.clone(), meta: fs::symlink_metadata(&at)? });
            continue;
        }
        let next = at.join(&name);
        let meta = fs::symlink_metadata(&next)?;
        if !meta.is_symlink() {
            passed.push(Passed { path: next.clone(), meta });
            at = next;
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(io::Error::other("too many links"));
        }
        let target = fs::read_link(&next)?;
        passed.push(Passed { path: next, meta });
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        let mut all = names_of(&target);
        all.append(&mut left);
        left = all;
        // Where it ends in a link to the root or to a parent, that is the directory.
        if left.is_empty() {
            passed.push(Passed { path: at.clone(), meta: fs::symlink_metadata(&at)? });
        }
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_way_that_others_can_change_names_no_owner() {
        let dir = std::env::temp_dir().join(format!("hallway-owner-{}", std::process::id()));
        fs::create_dir_all(dir.join("releases/1/app")).unwrap();
        symlink("releases/1", dir.join("current")).unwrap();
        symlink("current/app/../app", dir.join("app")).unwrap();
        symlink(".", dir.join("here")).unwrap();
        let own = Owner { uid: rustix::process::geteuid().as_raw(), gid: fs::metadata(&dir).unwrap().gid() };
        for path in ["releases/1/app", "current/app", "app", "current/../1/app", "current", "here", "."] {
            assert_eq!(owner_of(&dir.join(path)), Ok(own), "{path}");
        }
        let open = dir.join("releases");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let why = owner_of(&dir.join("app")).unwrap_err();
        assert!(why.contains("releases on the way to") && why.contains("others than root and its owner"), "{why}");
        // What is in a sticky directory is its owner's, and a directory itself may be anybody's to write to.
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(owner_of(&dir.join("app")), Ok(own));
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(owner_of(&open), Ok(own));
        assert!(owner_of(&dir.join("none")).unwrap_err().contains("is not there"));
        symlink("round", dir.join("round")).unwrap();
        assert!(owner_of(&dir.join("round")).is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
