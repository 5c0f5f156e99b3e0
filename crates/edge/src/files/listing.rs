//! In:     a directory without an index.
//! Out:    what is in it, as a page.
//! Actors: a thread for files.
//! Never:  is a name shown that would not be served, or a byte of it taken for markup.

use super::Pieces;
use super::beneath::{open_beneath, open_root};
use crate::piece::Piece;
use hallway_core::files::relative_path;
use hallway_core::semantics::AnswerHead;
use hallway_core::{Fault, Head};
use rustix::fs::{Dir, FileType, OFlags, statat};
use std::collections::VecDeque;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// Most names on a page.
const NAMES_MAX: usize = 10_000;

/// One name.
struct Entry {
    name: String,
    is_directory: bool,
    bytes: u64,
    modified_s: u64,
}

/// The page of a directory, whose path ends with a slash.
///
/// # Errors
/// 404 where there is no such directory.
pub(super) async fn show(head: &Head, rest: &[u8], directory: &Path) -> Result<(AnswerHead, Pieces), Fault> {
    // What is looked for is beside the index that is not there.
    let inside = relative_path(rest).and_then(|index| index.parent().map(Path::to_owned)).ok_or(Fault::NotFound)?;
    let root = directory.to_owned();
    let entries = tokio::task::spawn_blocking(move || read(&root, &inside)).await.unwrap_or(None);
    let page = page(&String::from_utf8_lossy(head.path()), &entries.ok_or(Fault::NotFound)?);
    let mut answer = AnswerHead::new(200).with("Content-Type", "text/html; charset=utf-8");
    answer.length = Some(page.len() as u64);
    Ok((answer, Pieces(VecDeque::from([Piece::from(page.into_bytes())]))))
}

fn read(root: &Path, inside: &Path) -> Option<Vec<Entry>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open_root(root, flags, false).ok()?;
    let inside: &Path = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
    let directory = open_beneath(&root, inside, flags, false).ok()?;
    let mut entries = Vec::new();
    for entry in Dir::read_from(&directory).ok()?.take(NAMES_MAX) {
        let entry = entry.ok()?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let Ok(stat) = statat(&directory, name, rustix::fs::AtFlags::empty()) else { continue };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if matches!(kind, FileType::RegularFile | FileType::Directory) {
            let (bytes, modified_s) = (u64::try_from(stat.st_size).ok()?, u64::try_from(stat.st_mtime).unwrap_or(0));
            entries.push(Entry { name: name.into(), is_directory: kind == FileType::Directory, bytes, modified_s });
        }
    }
    entries.sort_by(|a, b| (!a.is_directory, &a.name).cmp(&(!b.is_directory, &b.name)));
    Some(entries)
}

fn page(path: &str, entries: &[Entry]) -> String {
    let title = escaped(path);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1.5rem;\
         color:#222;background:#fafafa}}h1{{font-size:1.2rem}}table{{width:100%;border-collapse:collapse}}\
         td{{padding:.15rem .5rem;border-top:1px solid #8883}}td+td{{text-align:right;white-space:nowrap;color:#777}}\
         a{{color:inherit}}@media(prefers-color-scheme:dark){{body{{color:#eee;background:#181818}}}}</style>\n\
         <h1>{title}</h1>\n<table>\n"
    );
    if path != "/" {
        page += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";
    }
    for Entry { name, is_directory, bytes, modified_s } in entries {
        let slash = if *is_directory { "/" } else { "" };
        let size = if *is_directory { String::new() } else { shown_bytes(*bytes) };
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(*modified_s));
        let date = date.get(5..22).unwrap_or_default();
        let (href, name) = (encoded(name), escaped(name));
        let _ = writeln!(
            page,
            "<tr><td><a href=\"./{href}{slash}\">{name}{slash}</a></td><td>{size}</td><td>{date}</td></tr>"
        );
    }
    page + "</table>\n</html>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A name as a segment of a path (RFC 3986, 3.3).
fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn shown_bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
