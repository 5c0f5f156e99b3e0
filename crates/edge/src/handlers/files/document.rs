//! In:     a directory, a relative path in it.
//! Out:    the regular file there and those that hold it in other codings, small ones with their bytes.
//! Actors: the event loop, for what the kernel has in memory; threads for files, for the rest.
//! Never:  is anything opened outside of the directory: the kernel resolves beneath it, without symlinks out.

use crate::handlers::files::beneath::{open_beneath, open_root};
use hallway_core::files::{State, Vouched, content_tag, is_utf8, media_type, own_coding};
use hallway_core::semantics::{Coding, Validators};
use hallway_net::file::pools::{Root, mount_of};
use hallway_net::file::stored::StoredFile;
use rustix::fs::{FileType, OFlags};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Files up to this length are kept in memory.
const SMALL_BYTES_MAX: u64 = 64 * 1024;

/// What a path names.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) media_type: String,
    /// The coding that it has by its name.
    pub(super) own_coding: Option<&'static str>,
    /// As it is, then in other codings.
    pub(super) variants: Vec<Variant>,
}

/// One file of a document.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    pub(super) coding: Coding,
    stamp: Stamp,
    vouched: Vouched,
    is_utf8: bool,
    pub(super) etag: String,
    /// Empty where it is not said.
    pub(super) last_modified: String,
    pub(super) content: Content,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Memory(Arc<[u8]>),
    File(Arc<StoredFile>),
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    state: State,
}

impl Variant {
    pub(super) fn bytes(&self) -> u64 {
        self.stamp.state.bytes
    }

    /// What tells it from what it was and will be.
    pub(super) fn validators(&self) -> Validators<'_> {
        let changed_s = self.stamp.state.changed_ns / 1_000_000_000;
        Validators { etag: &self.etag, modified_s: self.vouched.modified_s, changed_s }
    }
}

/// Whether a load may wait for the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Only what the kernel has in memory is looked at; anything else fails with `EAGAIN`.
    None,
    Full,
}

/// Opens what a path names. Of a document that was opened before, what has not changed is kept.
///
/// # Errors
/// Those of `openat2`; `EISDIR` for a directory, `ENOENT` for what is no regular file.
pub(super) fn load(
    directory: &Arc<Root>,
    path: &Path,
    before: Option<&Document>,
    patience: Patience,
) -> rustix::io::Result<Document> {
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let opening = Opening { directory, before, patience, now_ns: u64::try_from(now_ns).unwrap_or(0) };
    let root = match patience {
        Patience::Full => open_root(directory.directory(), OFlags::PATH, false)?,
        Patience::None => open_local(directory)?,
    };
    let mut variants = vec![opening.variant(&root, path, Coding::Identity)?];
    let own_coding = own_coding(path);
    for coding in Coding::STORED.into_iter().filter(|_| own_coding.is_none()) {
        let mut name = path.as_os_str().to_owned();
        name.push(coding.ending());
        match opening.variant(&root, &PathBuf::from(name), coding) {
            Ok(variant) => variants.push(variant),
            Err(Errno::AGAIN) => return Err(Errno::AGAIN),
            // It is not there, or nothing that may be served.
            Err(_) => {}
        }
    }
    Ok(Document { media_type: media_type(path, variants[0].is_utf8), own_coding, variants })
}

/// The directory itself, where all that may take time is a disk of this machine: an event loop asks nobody else.
fn open_local(directory: &Arc<Root>) -> rustix::io::Result<OwnedFd> {
    let mount = directory.local_mount().ok_or(Errno::AGAIN)?;
    let root = open_root(directory.directory(), OFlags::PATH, true)?;
    if mount_of(&root) == Some(mount) {
        return Ok(root);
    }
    directory.forget();
    Err(Errno::AGAIN)
}

struct Opening<'a> {
    directory: &'a Arc<Root>,
    before: Option<&'a Document>,
    patience: Patience,
    now_ns: u64,
}

impl Opening<'_> {
    fn variant(&self, root: &OwnedFd, path: &Path, coding: Coding) -> rustix::io::Result<Variant> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = open_beneath(root, path, flags, self.patience == Patience::None)?;
        let stamp = stamp_of(&file)?;
        let mut before = self.before.iter().flat_map(|before| &before.variants);
        // What might have changed without a trace is looked at again.
        let is_same = |other: &&Variant| other.coding == coding && other.stamp == stamp && other.vouched.is_settled;
        if let Some(same) = before.find(is_same) {
            return Ok(same.clone());
        }
        let vouched = stamp.state.vouch(self.now_ns);
        let is_small = stamp.state.bytes <= SMALL_BYTES_MAX;
        let (content, is_utf8, mut etag) = if is_small {
            let bytes = self.read(&file, stamp.state.bytes as usize)?;
            let (is_utf8, etag) = (is_utf8(&bytes, true), content_tag(&bytes));
            (Content::Memory(bytes.into()), is_utf8, etag)
        } else {
            let has_charset = coding == Coding::Identity && media_type(path, true).contains("charset");
            let is_utf8 = has_charset && is_utf8(&self.read(&file, SMALL_BYTES_MAX as usize)?, false);
            (self.keep(file), is_utf8, stamp.state.tag(vouched.is_settled))
        };
        if coding != Coding::Identity {
            // Another coding is another representation, and needs a tag of its own (RFC 9110, 8.8.3.3).
            etag = format!("{}-{}\"", etag.trim_end_matches('"'), coding.token());
        }
        let date = |modified_s| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(modified_s));
        let last_modified = vouched.modified_s.map(date).unwrap_or_default();
        Ok(Variant { coding, stamp, vouched, is_utf8, etag, last_modified, content })
    }

    fn keep(&self, file: OwnedFd) -> Content {
        let place = match self.patience {
            Patience::None => (self.directory.threads(Path::new("")), true),
            Patience::Full => self.directory.of_file(&file),
        };
        Content::File(Arc::new(StoredFile::new(File::from(file), place)))
    }

    fn read(&self, file: &OwnedFd, bytes: usize) -> rustix::io::Result<Vec<u8>> {
        let flags = if self.patience == Patience::None { ReadWriteFlags::NOWAIT } else { ReadWriteFlags::empty() };
        let mut content = vec![0; bytes];
        let mut read = 0;
        while read < bytes {
            match preadv2(file, &mut [IoSliceMut::new(&mut content[read..])], read as u64, flags) {
                // It became shorter since it was opened: what is left is what there is.
                Ok(0) => return Err(Errno::IO),
                Ok(more) => read += more,
                Err(Errno::INTR) => {}
                // Not every file system can say what it has in memory.
                Err(Errno::OPNOTSUPP) if self.patience == Patience::None => return Err(Errno::AGAIN),
                Err(error) => return Err(error),
            }
        }
        Ok(content)
    }
}

fn stamp_of(file: &OwnedFd) -> rustix::io::Result<Stamp> {
    let stat = rustix::fs::fstat(file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(Errno::ISDIR),
        _ => return Err(Errno::NOENT),
    }
    let nanoseconds = |seconds: i64, rest: u64| {
        u64::try_from(seconds).map_or(0, |seconds| seconds.saturating_mul(1_000_000_000).saturating_add(rest))
    };
    let state = State {
        number: stat.st_ino,
        bytes: u64::try_from(stat.st_size).unwrap_or(0),
        modified_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec as u64),
        changed_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec as u64),
    };
    Ok(Stamp { device: stat.st_dev, state })
}

#[cfg(test)]
impl Document {
    /// A document of these bytes, for tests of what holds documents.
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Document {
        let state = State { number: 0, bytes: bytes.len() as u64, modified_ns: 0, changed_ns: 0 };
        let (stamp, vouched) = (Stamp { device: 0, state }, state.vouch(0));
        let (etag, last_modified, content) = (String::new(), String::new(), Content::Memory(bytes.into()));
        let coding = Coding::Identity;
        let variant = Variant { coding, stamp, vouched, is_utf8: true, etag, last_modified, content };
        Document { media_type: String::new(), own_coding: None, variants: vec![variant] }
    }
}
