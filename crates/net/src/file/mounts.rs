//! In:     the table of mounts that the kernel keeps, as text.
//! Out:    which mount a path is on, and whether what is there can only wait for a disk of this machine.
//! Actors: none.
//! Never:  does the answer touch a file system, which may be the one that hangs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// File systems of this machine's own disks and memory. All others may wait for another machine or program at any
/// call, also where the kernel knows the name and the pages: to open, look at and close a file are their own.
const LOCAL: &[&str] = &[
    "bcachefs", "btrfs", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "overlay",
    "ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs",
];
/// Symbolic links on one path, as the kernel has it (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// One of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount {
    /// The kernel's number (`stx_mnt_id`).
    pub number: u64,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Whether it is on a disk of this machine.
    pub is_local: bool,
}

/// The mounts of this process, those that lie on top last.
#[derive(Default)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// From /proc/self/mountinfo (proc(5)).
    pub fn read(text: &[u8]) -> Mounts {
        Mounts(text.split(|byte| *byte == b'\n').filter_map(read_line).collect())
    }

    /// The mount that a path is on, as it is spelled.
    pub fn of(&self, path: &Path) -> Option<&Mount> {
        // Of those at one place the last one hides the others.
        let holds = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        holds.max_by_key(|mount| mount.point.as_os_str().len())
    }

    /// The mount of this number.
    pub fn numbered(&self, number: u64) -> Option<&Mount> {
        self.0.iter().find(|mount| mount.number == number)
    }

    /// Where a path leads, with the symbolic links before anything that is not local; `link` reads one.
    pub fn resolve(&self, path: &Path, link: impl Fn(&Path) -> Option<PathBuf>) -> PathBuf {
        let (mut found, mut links) = (PathBuf::from("/"), 0);
        let mut rest: Vec<OsString> = words(path);
        while let Some(word) = rest.pop() {
            if word == ".." {
                found.pop();
                continue;
            }
            let next = found.join(&word);
            if self.of(&next).is_none_or(|mount| !mount.is_local) || links == LINKS_MAX {
                found = next;
                found.extend(rest.iter().rev());
                return found;
            }
            match link(&next) {
                None => found = next,
                Some(target) => {
                    links += 1;
                    if target.is_absolute() {
                        found = PathBuf::from("/");
                    }
                    rest.extend(words(&target));
                }
            }
        }
        found
    }
}

/// What a path consists of, the last one first.
fn words(path: &Path) -> Vec<OsString> {
    let word = |part: Component<'_>| match part {
        Component::Normal(word) => Some(word.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().rev().filter_map(word).collect()
}

fn read_line(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let number = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let point = PathBuf::from(OsString::from_vec(unescape(words.nth(3)?)));
    // Optional fields are between the options and a dash.
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    Some(Mount { number, point, is_local: LOCAL.iter().any(|local| local.as_bytes() == kind) })
}

/// Blanks, line ends and backslashes are octal.
fn unescape(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = text.get(at) {
        let digits = text.get(at + 1..at + 4).filter(|_| byte == b'\\');
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(code.unwrap_or(byte));
        at += if code.is_some() { 4 } else { 1 };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/root rw\n\
        22 27 0:21 / /proc rw,relatime - proc proc rw\n\
        30 27 0:40 / /srv/far rw,relatime shared:7 master:1 - nfs4 host:/x rw\n\
        31 27 0:41 / /srv/a\\040b rw - fuse.sshfs x rw\n\
        32 27 0:42 / /data rw - tmpfs tmpfs rw\n\
        33 32 0:43 / /data rw - fuseblk /dev/sdb1 rw\n\
        broken\n";

    #[test]
    fn a_path_is_on_the_longest_mount_that_lies_on_top() {
        let mounts = Mounts::read(TABLE.as_bytes());
        for (path, number, is_local) in [
            ("/", 27, true),
            ("/srv/farther/x", 27, true),
            ("/srv/far", 30, false),
            ("/srv/far/x", 30, false),
            ("/srv/a b/x", 31, false),
            ("/data/x", 33, false),
            ("/proc/1", 22, false),
        ] {
            let mount = mounts.of(Path::new(path)).unwrap();
            assert_eq!((mount.number, mount.is_local), (number, is_local), "{path}");
            assert_eq!(mounts.numbered(number), Some(mount));
        }
        assert_eq!(Mounts::default().of(Path::new("/")), None);
    }

    #[test]
    fn links_are_followed_up_to_what_may_hang() {
        let mounts = Mounts::read(TABLE.as_bytes());
        let link = |path: &Path| {
            assert!(!path.starts_with("/srv/far"), "{path:?} may hang");
            let target = match path.to_str()? {
                "/www" => "srv/current",
                "/srv/current" => "/srv/far/releases",
                "/here" => "../srv/./up/..",
                "/loop" => "loop",
                _ => return None,
            };
            Some(PathBuf::from(target))
        };
        for (path, found) in [
            ("/www/img", "/srv/far/releases/img"),
            ("/srv/x/../y", "/srv/y"),
            ("/here/z", "/srv/z"),
            ("/loop/z", "/loop/z"),
            ("/", "/"),
        ] {
            assert_eq!(mounts.resolve(Path::new(path), link), Path::new(found), "{path}");
        }
    }
}
