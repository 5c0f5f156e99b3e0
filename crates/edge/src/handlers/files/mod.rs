//! In:     a path below a route, its directory, preconditions and ranges of a request.
//! Out:    the file or parts of it, 304, a redirect to the directory's slash, or a fault.
//! Actors: the event loop for what is in memory, threads for files for what is on disk.
//! Never:  does the event loop wait for a disk.

mod beneath;
mod cache;
mod denied;
mod document;
mod listing;
mod pieces;

use cache::Known;
use document::{Content, Document, Patience, Variant};
use hallway_core::files::{has_fingerprint, is_well_known, relative_path};
use hallway_core::method::Methods;
use hallway_core::plan::Files;
use hallway_core::semantics::{
    AnswerHead, Coding, Precondition, Selection, check_preconditions, choose_coding, is_packable, part_end, part_head,
    put_query, select_ranges, wants_page, wants_range,
};
use hallway_core::{Fault, Head, Name};
use hallway_net::body::piece::Piece;
use hallway_net::runtime::thread_pool::NotDone;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub(crate) use cache::FileCache;
pub(crate) use pieces::Pieces;

/// What is to be known of a route and its request beside the path.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) files: &'a Files,
    /// The codings in which the route compresses.
    pub(crate) codings: &'a [Coding],
    /// Whether all who ask get the same, and a cache may give it to others.
    pub(crate) is_for_all: bool,
    /// The path as the client asked for it, which may be another one than is looked for.
    pub(crate) asked: &'a [u8],
}

/// Answers a request from the files of a route: `rest` is what its pattern left of the path, `scope` the route.
pub(crate) async fn fetch(
    cache: &FileCache,
    head: &Head,
    (scope, rest): (u64, &[u8]),
    setting: Setting<'_>,
) -> Result<(AnswerHead, Pieces), Fault> {
    let Setting { files, is_for_all, asked, .. } = setting;
    let rest = files.only.as_ref().map_or(rest, String::as_bytes);
    let mut fetched = fetch_one(cache, head, (scope, head.path(), rest), setting).await;
    if files.lists && matches!(fetched, Err(Fault::NotFound)) && head.path().ends_with(b"/") {
        match listing::show(cache, head, rest, &files.directory).await {
            Err(Fault::NotFound) => {}
            shown => return shown,
        }
    }
    // Programs that ask for what every site may have understand no page.
    let falls_back = matches!(fetched, Err(Fault::NotFound)) && !is_well_known(rest) && wants_page(head);
    let mut word = if is_for_all { "" } else { "private" };
    if let Some(page) = files.fallback.as_ref().filter(|_| falls_back) {
        fetched = fetch_one(cache, head, (scope, b"", page.as_bytes()), setting).await;
        // It stands for what is not there now, and only for those who want a page.
        word = "no-cache";
        if let Ok((answer, _)) = &mut fetched {
            answer.fields.push(b"Vary", b"Accept");
        }
    } else if files.fingerprints && has_fingerprint(head.path()) && has_fingerprint(asked) {
        word = match is_for_all {
            true => "public, max-age=31536000, immutable",
            false => "private, max-age=31536000, immutable",
        };
    }
    if let Ok((answer, _)) = &mut fetched
        && !answer.is_guess
        && !word.is_empty()
    {
        answer.fields.push(b"Cache-Control", word.as_bytes());
    }
    fetched
}

/// Answers a request from a directory (RFC 9110, 9.3.1, 13 and 14): with what `rest` of its path names
/// there. It is remembered under `name`; `scope` tells routes apart, whose paths may be the same and lead
/// elsewhere.
async fn fetch_one(
    cache: &FileCache,
    head: &Head,
    (scope, name, rest): (u64, &[u8], &[u8]),
    setting: Setting<'_>,
) -> Result<(AnswerHead, Pieces), Fault> {
    if !matches!(head.method(), b"GET" | b"HEAD") {
        return Err(Fault::MethodNotAllowed(Methods::READ));
    }
    if rest.is_empty() && !head.path().ends_with(b"/") {
        return Ok(add_slash(head));
    }
    let directory = &setting.files.directory;
    match find(cache, (scope, name), rest, directory).await {
        Ok(document) => answer(cache, head, &document, setting.codings),
        Err(Errno::ISDIR) => Ok(add_slash(head)),
        Err(Errno::TIMEDOUT) => Err(Fault::FilesLate),
        Err(Errno::BUSY) => Err(Fault::Busy),
        Err(Errno::ACCESS) => {
            let path = relative_path(rest).ok_or(Fault::NotFound)?;
            Err(denied::tell(cache, head, (directory, path)).await)
        }
        // XDEV and LOOP: the path leads out of the directory.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::XDEV | Errno::LOOP | Errno::NXIO) => {
            Err(Fault::NotFound)
        }
        Err(_) => Err(Fault::Internal("A file could not be read.")),
    }
}

/// From the shelf; else from the disk, on a thread where that may take time.
async fn find(cache: &FileCache, path: (u64, &[u8]), rest: &[u8], directory: &Path) -> Result<Arc<Document>, Errno> {
    let now_ms = cache.event_loop.clock.coarse_ms();
    let before = match cache.find(path, now_ms) {
        Known::Fresh(document) => return Ok(document),
        Known::Stale(document) => Some(document),
        Known::Not => None,
    };
    let file = relative_path(rest).ok_or(Errno::NOENT)?;
    let root = cache.event_loop.file_threads.root(directory);
    let mut loaded = document::load(&root, &file, before.as_deref(), Patience::None);
    // INVAL: a kernel before 5.12 does not know how to look only at what it has in memory.
    if let Err(Errno::AGAIN | Errno::INVAL) = loaded {
        let threads = root.threads(&file);
        let load = move || document::load(&root, &file, before.as_deref(), Patience::Full);
        loaded = threads.run(load).await.unwrap_or_else(|why| Err(errno_of(why)));
    }
    match loaded {
        Ok(document) => Ok(cache.keep(path, Arc::new(document), now_ms)),
        Err(error) => {
            cache.drop(path);
            Err(error)
        }
    }
}

/// As the file system would say it.
fn errno_of(why: NotDone) -> Errno {
    match why {
        NotDone::Late => Errno::TIMEDOUT,
        NotDone::Refused => Errno::BUSY,
    }
}

fn answer(
    cache: &FileCache,
    head: &Head,
    document: &Document,
    codings: &[Coding],
) -> Result<(AnswerHead, Pieces), Fault> {
    let coding = choose_coding(head, document.variants.iter().map(|variant| variant.coding));
    let chosen = document.variants.iter().find(|variant| variant.coding == coding);
    let variant = chosen.or(document.variants.first()).ok_or(Fault::NotFound)?;
    let current = variant.validators();
    let mut answer = AnswerHead::new(200).with("ETag", &variant.etag);
    if !variant.last_modified.is_empty() {
        answer = answer.with("Last-Modified", &variant.last_modified);
    }
    if document.variants.len() > 1 {
        answer = answer.with("Vary", "Accept-Encoding");
    }
    let stored = if variant.coding == Coding::Identity { document.own_coding } else { Some(variant.coding.token()) };
    let is_text = || stored.is_none() && is_packable(document.media_type.as_bytes(), variant.bytes());
    answer.would_be_packed = (!codings.is_empty()).then(is_text);
    match check_preconditions(head, current) {
        Precondition::Fails => return Err(Fault::PreconditionFailed),
        Precondition::Unchanged => {
            answer.status = 304;
            return Ok((answer, Pieces::default()));
        }
        Precondition::Holds => {}
    }
    answer = answer.with("Accept-Ranges", "bytes");
    if let Some(stored) = stored {
        answer = answer.with("Content-Encoding", stored);
    }
    let is_packed = || {
        let unpacks = || choose_coding(head, codings.iter().copied()) != Coding::Identity;
        answer.would_be_packed == Some(true) && unpacks()
    };
    let selection = match head.fields.get(Name::Range) {
        Some(range) if !head.is_head() && wants_range(head, current, is_packed()) => {
            select_ranges(range, variant.bytes())
        }
        _ => Selection::Whole,
    };
    match selection {
        Selection::Unsatisfiable => Err(Fault::RangeNotSatisfiable(variant.bytes())),
        Selection::Whole => {
            let pieces = [piece(variant, 0..variant.bytes())];
            Ok(finish(answer.with("Content-Type", &document.media_type), pieces.into()))
        }
        Selection::Parts(parts) => Ok(send_parts(cache, answer, document, variant, &parts)),
    }
}

/// 206: one range is its own body, several are parts of a multipart body (RFC 9110, 15.3.7).
fn send_parts(
    cache: &FileCache,
    mut answer: AnswerHead,
    document: &Document,
    variant: &Variant,
    parts: &[Range<u64>],
) -> (AnswerHead, Pieces) {
    answer.status = 206;
    if let [only] = parts {
        let range = format!("bytes {}-{}/{}", only.start, only.end - 1, variant.bytes());
        let answer = answer.with("Content-Range", &range).with("Content-Type", &document.media_type);
        return finish(answer, [piece(variant, only.clone())].into());
    }
    // Nobody who wrote the file could know it.
    let boundary = cache.event_loop.ids.next();
    let boundary = boundary.as_str();
    let mut pieces = VecDeque::new();
    for part in parts {
        pieces.push_back(part_head(boundary, &document.media_type, part, variant.bytes()).into_bytes().into());
        pieces.push_back(piece(variant, part.clone()));
    }
    pieces.push_back(part_end(boundary).into_bytes().into());
    finish(answer.with("Content-Type", &format!("multipart/byteranges; boundary={boundary}")), pieces)
}

fn finish(mut answer: AnswerHead, pieces: VecDeque<Piece>) -> (AnswerHead, Pieces) {
    answer.length = Some(pieces.iter().map(Piece::len).sum());
    (answer, Pieces(pieces))
}

fn piece(variant: &Variant, range: Range<u64>) -> Piece {
    match &variant.content {
        // What is in memory is far shorter than `usize` can count.
        Content::Memory(bytes) => {
            Piece::Shared { bytes: bytes.clone(), range: range.start as usize..range.end as usize }
        }
        Content::File(file) => Piece::File { file: file.clone(), range },
    }
}

/// 301 to the same path with a slash, the query kept. A browser would keep it for ever, but what is a directory now
/// may be a file later.
fn add_slash(head: &Head) -> (AnswerHead, Pieces) {
    let mut location = [head.path(), b"/"].concat();
    put_query(&mut location, head);
    let mut answer = AnswerHead { is_guess: true, ..AnswerHead::new(301).with("Cache-Control", "no-cache") };
    answer.fields.push(b"Location", &location);
    answer.length = Some(0);
    (answer, Pieces::default())
}
