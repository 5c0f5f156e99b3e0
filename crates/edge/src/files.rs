//! In:     a path below a route, its directory, the preconditions of a request.
//! Out:    the file, 304, a redirect to the directory's slash, or a fault.
//! Actors: threads for files open and read; the event loop never touches the disk.
//! Never:  is anything opened outside the directory: the kernel resolves beneath it, without symlinks out.

use crate::piece::Piece;
use hallway_core::files::{entity_tag, media_type, relative_path};
use hallway_core::route::rest_below;
use hallway_core::semantics::{AnswerHead, Validators, is_unchanged};
use hallway_core::{Fault, Head};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Bytes read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// A file as it was when it was opened, with its first piece.
struct Opened {
    file: File,
    bytes: u64,
    modified_ns: u64,
    first: Vec<u8>,
}

/// Answers a request from a directory (RFC 9110, 9.3.1 and 13).
pub(crate) async fn fetch(head: &Head, prefix: &str, directory: &Path) -> Result<(AnswerHead, FileStream), Fault> {
    if !matches!(head.method(), b"GET" | b"HEAD") {
        return Err(Fault::MethodNotAllowed("GET, HEAD"));
    }
    let rest = rest_below(prefix, head.path()).ok_or(Fault::NotFound)?;
    if rest.is_empty() && !head.path().ends_with(b"/") {
        return Ok(add_slash(head));
    }
    let path = relative_path(rest).ok_or(Fault::NotFound)?;
    let (directory, opened_path, is_head) = (directory.to_owned(), path.clone(), head.is_head());
    let opening = tokio::task::spawn_blocking(move || open(&directory, &opened_path, is_head)).await;
    let opened = match opening.map_err(|_| Fault::Internal("A thread for files failed."))? {
        Ok(opened) => opened,
        Err(rustix::io::Errno::ISDIR) => return Ok(add_slash(head)),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::NAMETOOLONG) => {
            return Err(Fault::NotFound);
        }
        // XDEV and LOOP: the path leads out of the directory. ACCES: as nginx says 403, but without
        // telling what exists.
        Err(rustix::io::Errno::XDEV | rustix::io::Errno::LOOP | rustix::io::Errno::ACCESS) => {
            return Err(Fault::NotFound);
        }
        Err(_) => return Err(Fault::Internal("A file could not be read.")),
    };
    Ok(describe(head, &path, opened))
}

fn describe(head: &Head, path: &Path, opened: Opened) -> (AnswerHead, FileStream) {
    let etag = entity_tag(opened.modified_ns, opened.bytes);
    let last_modified = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_nanos(opened.modified_ns));
    let unchanged = is_unchanged(head, Validators { etag: &etag, last_modified: &last_modified });
    let mut answer =
        AnswerHead::new(if unchanged { 304 } else { 200 }).with("ETag", &etag).with("Last-Modified", &last_modified);
    if unchanged {
        return (answer, FileStream::default());
    }
    answer = answer.with("Content-Type", &media_type(path));
    answer.length = Some(opened.bytes);
    (answer, FileStream { file: Some(opened.file), left: opened.bytes, first: opened.first })
}

/// 301 to the same path with a slash, the query kept.
fn add_slash(head: &Head) -> (AnswerHead, FileStream) {
    let mut location = [head.path(), b"/"].concat();
    if !head.query().is_empty() {
        location.push(b'?');
        location.extend_from_slice(head.query());
    }
    let mut answer = AnswerHead::new(301);
    answer.fields.push(b"Location", &location);
    answer.length = Some(0);
    (answer, FileStream::default())
}

/// Opens a regular file strictly below `directory`, on the same terms for every component.
fn open(directory: &Path, path: &PathBuf, is_head: bool) -> rustix::io::Result<Opened> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let root = rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve)?;
    let stat = rustix::fs::fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(rustix::io::Errno::ISDIR),
        _ => return Err(rustix::io::Errno::NOENT),
    }
    let modified_ns = u64::try_from(stat.st_mtime).unwrap_or(0) * 1_000_000_000 + stat.st_mtime_nsec as u64;
    let mut opened = Opened { file: file.into(), bytes: stat.st_size as u64, modified_ns, first: Vec::new() };
    if !is_head {
        opened.first = read_piece(&mut opened.file, opened.bytes).map_err(|_| rustix::io::Errno::IO)?;
    }
    Ok(opened)
}

fn read_piece(file: &mut File, left: u64) -> std::io::Result<Vec<u8>> {
    let want = left.min(PIECE_BYTES as u64);
    let mut piece = Vec::with_capacity(want as usize);
    file.take(want).read_to_end(&mut piece)?;
    Ok(piece)
}

/// What is left of an opened file; nothing, for an answer without a body.
#[derive(Default)]
pub(crate) struct FileStream {
    file: Option<File>,
    left: u64,
    /// The piece that was read when the file was opened.
    first: Vec<u8>,
}

impl FileStream {
    /// The next piece, and whether it is the last. A file that became shorter ends early, which
    /// the journey tells from a whole answer by its length.
    pub(crate) async fn next(&mut self) -> Result<(Piece, bool), Fault> {
        const FAILED: Fault = Fault::Internal("A file could not be read.");
        let mut piece = std::mem::take(&mut self.first);
        if let Some(mut file) = self.file.take_if(|_| piece.is_empty() && self.left > 0) {
            let left = self.left;
            let read = move || read_piece(&mut file, left).map(|piece| (file, piece));
            let (file, read) = tokio::task::spawn_blocking(read).await.map_err(|_| FAILED)?.map_err(|_| FAILED)?;
            (self.file, piece) = (Some(file), read);
        }
        self.left -= piece.len() as u64;
        let last = piece.is_empty() || self.left == 0;
        Ok((piece.into(), last))
    }
}
