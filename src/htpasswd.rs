//! In:     files of names and passwords, as htpasswd writes them.
//! Out:    who is in them; what has changed while they are used.
//! Actors: the file system.
//! Never:  does a file that cannot be understood take the place of what is in use, or a hash stand in a message.

use crate::certificates::{Stamp, stamp_of};
use hallway_config::machine::{Passwords, Unread};
use hallway_core::plan::{BasicAuth, Plan};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a file: `NAME:HASH` on a line, perhaps with a comment behind another colon; lines with `#` say nothing.
///
/// # Errors
/// Everything that is wrong with it, each with its mend.
pub(crate) fn read(path: &Path) -> Result<Passwords, Unread> {
    let shown = path.display();
    // Whoever may write to its directory could put something there that is waited for, or has no end.
    let file = crate::paths::open_to_read(path).map_err(Unread::Failed)?;
    if !file.metadata().map_err(Unread::Failed)?.is_file() {
        return Err(Unread::Wrong(vec![format!("{shown} is no plain file")]));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(Unread::Failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Unread::Wrong(vec![format!("{shown} is longer than {} KiB", FILE_BYTES_MAX >> 10)]));
    }
    let (mut users, mut problems) = (Passwords::new(), Vec::new());
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut parts = line.split(':');
        let read = match (parts.next(), parts.next()) {
            (Some(name), Some(hash)) if !name.is_empty() => hallway_edge::vet_password(hash).map(|()| (name, hash)),
            _ => Err("write NAME:HASH".into()),
        };
        match read {
            Ok((name, hash)) => users.push((name.into(), hash.into())),
            Err(mend) => problems.push(format!("{shown}:{}: {mend}", number + 1)),
        }
    }
    if problems.is_empty() { Ok(users) } else { Err(Unread::Wrong(problems)) }
}

/// Which state each file of a plan is in.
#[derive(Default)]
pub(crate) struct Watched(BTreeMap<PathBuf, Stamp>);

impl Watched {
    /// The files of this plan, as they are now.
    pub(crate) fn of(plan: &Plan) -> Watched {
        let files = plan.sites.iter().flat_map(|site| &site.routes).filter_map(|route| route.basic_auth.as_ref());
        let proxys = plan.forward_proxy.iter().filter_map(|proxy| proxy.basic_auth.as_ref());
        let files = files.chain(proxys).filter_map(|auth| auth.file.clone());
        Watched(files.map(|file| (file.clone(), stamp_of(&[file]))).collect())
    }

    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was seen of the files counts no more: they are read at the next look.
    pub(crate) fn forget(&mut self) {
        self.0.values_mut().for_each(Vec::clear);
    }

    /// Takes over who is in files that have changed since the last look; what is to be told of each, and whether anything is
    /// other than before.
    pub(crate) fn renew(&mut self, plan: &mut Plan) -> (Vec<String>, bool) {
        let (mut told, mut is_newer) = (Vec::new(), false);
        for (file, stamp) in &mut self.0 {
            let now = stamp_of(std::slice::from_ref(file));
            if now == *stamp {
                continue;
            }
            *stamp = now;
            match read(file) {
                Ok(users) => {
                    told.push(format!("the passwords in {} have changed", file.display()));
                    is_newer = true;
                    of_file(plan, file).for_each(|auth| auth.of_file.clone_from(&users));
                }
                Err(Unread::Failed(error)) => {
                    told.push(format!("{} cannot be read: {error}; what it said before stays", file.display()));
                }
                Err(Unread::Wrong(problems)) => {
                    told.push(format!("{}; what it said before stays", problems.join("; ")));
                }
            }
        }
        (told, is_newer)
    }
}

/// All that goes by this file.
fn of_file<'p>(plan: &'p mut Plan, file: &'p Path) -> impl Iterator<Item = &'p mut BasicAuth> {
    let routes = plan.sites.iter_mut().flat_map(|site| &mut site.routes).filter_map(|route| route.basic_auth.as_mut());
    let proxys = plan.forward_proxy.iter_mut().filter_map(|proxy| proxy.basic_auth.as_mut());
    routes.chain(proxys).filter(move |auth| auth.file.as_deref() == Some(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn lines_of_htpasswd_and_of_people() {
        let path = std::env::temp_dir().join(format!("hallway-htpasswd-{}", std::process::id()));
        let text = "# of the staff\r\n\n  alice:$apr1$xxxxxxxx$/mULyOsdWlXlIt5U99q7h1\r\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=:a comment\n#eve:x\n";
        fs::write(&path, text).unwrap();
        let names: Vec<String> = read(&path).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["alice", "bob"]);
        fs::write(&path, "alice:plain\nbob\n:x\n").unwrap();
        let Err(Unread::Wrong(problems)) = read(&path) else { panic!("it was taken") };
        assert!(problems.len() == 3 && problems[1].ends_with(":2: write NAME:HASH"), "{problems:?}");
        assert!(!problems.concat().contains("plain:"), "{problems:?}");
        fs::remove_file(&path).unwrap();
        assert!(matches!(read(&path), Err(Unread::Failed(_))));
    }

    #[test]
    fn nothing_is_waited_for_and_nothing_read_without_end() {
        let path = std::env::temp_dir().join(format!("hallway-htpasswd-pipe-{}", std::process::id()));
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let wrong = |path: &Path| match read(path) {
            Err(Unread::Wrong(problems)) => problems.join("; "),
            other => panic!("{other:?}"),
        };
        assert!(wrong(&path).ends_with(" is no plain file"));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(wrong(&path).ends_with(" is no plain file"));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "#".repeat(FILE_BYTES_MAX as usize + 1)).unwrap();
        assert!(wrong(&path).ends_with(" is longer than 1024 KiB"));
        fs::remove_file(&path).unwrap();
    }
}
