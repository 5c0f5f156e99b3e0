//! In:     a directory without an index.
//! Out:    what is in it, as a page.
//! Actors: a thread for files.
//! Never:  is a name shown that would not be served, or a byte of it taken for markup.

use crate::handlers::files::beneath::{open_beneath, open_root};
use crate::handlers::files::cache::FileCache;
use crate::handlers::files::denied;
use crate::handlers::files::pieces::Pieces;
use hallway_core::files::relative_path;
use hallway_core::semantics::AnswerHead;
use hallway_core::{Fault, Head};
use hallway_net::body::piece::Piece;
use rustix::fs::{Dir, FileType, OFlags, statat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// Most names on a page.
const NAMES_MAX: usize = 10_000;

/// Dates that have four digits for their year end here.
const SHOWN_S_MAX: u64 = 253_402_300_799;

/// One name.
struct Entry {
    name: Vec<u8>,
    is_directory: bool,
    bytes: u64,
    modified_s: u64,
}

/// The page of a directory, whose path ends with a slash.
///
/// # Errors
/// 404 where there is no such directory, 403 where it may not be read.
pub(super) async fn show(
    cache: &FileCache,
    head: &Head,
    rest: &[u8],
    directory: &Path,
) -> Result<(AnswerHead, Pieces), Fault> {
    // What is looked for is beside the index that is not there.
    let inside = relative_path(rest).and_then(|index| index.parent().map(Path::to_owned)).ok_or(Fault::NotFound)?;
    let (root, named) = (directory.to_owned(), inside.clone());
    let threads = cache.event_loop.file_threads.root(directory).threads(&inside);
    let entries = match threads.run(move || read(&root, &named)).await.map_err(Fault::from)? {
        Ok(entries) => entries,
        Err(Errno::ACCESS) => return Err(denied::tell(cache, head, (directory, inside)).await),
        Err(_) => return Err(Fault::NotFound),
    };
    let page = page(&String::from_utf8_lossy(head.path()), &entries);
    // It changes with every file, and nothing tells one state from another.
    let mut answer =
        AnswerHead::new(200).with("Content-Type", "text/html; charset=utf-8").with("Cache-Control", "no-cache");
    answer.length = Some(page.len() as u64);
    Ok((answer, Pieces(VecDeque::from([Piece::from(page.into_bytes())]))))
}

fn read(root: &Path, inside: &Path) -> rustix::io::Result<Vec<Entry>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open_root(root, OFlags::PATH, false)?;
    let inside: &Path = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
    let directory = open_beneath(&root, inside, flags, false)?;
    let mut entries = Vec::new();
    for entry in Dir::read_from(&directory)?.take(NAMES_MAX) {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes().starts_with(b".") {
            continue;
        }
        let Ok(stat) = statat(&directory, name, rustix::fs::AtFlags::empty()) else { continue };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if matches!(kind, FileType::RegularFile | FileType::Directory) {
            let (bytes, modified_s) = (u64::try_from(stat.st_size).unwrap_or(0), u64::try_from(stat.st_mtime));
            let (name, is_directory) = (name.to_bytes().to_vec(), kind == FileType::Directory);
            entries.push(Entry { name, is_directory, bytes, modified_s: modified_s.unwrap_or(0).min(SHOWN_S_MAX) });
        }
    }
    entries.sort_by(|a, b| (!a.is_directory, &a.name).cmp(&(!b.is_directory, &b.name)));
    Ok(entries)
}

fn page(path: &str, entries: &[Entry]) -> String {
    let title = escaped(path);
    // All columns but the first have a width of their own, and digits one of theirs: sizes stand below sizes.
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1.5rem;\
         color:#222;background:#fafafa}}h1{{font-size:1.2rem;overflow-wrap:anywhere}}\
         table{{width:100%;border-collapse:collapse;table-layout:fixed}}\
         td{{padding:.15rem .5rem;border-top:1px solid #8883;overflow-wrap:anywhere}}\
         td+td{{width:6rem;text-align:right;white-space:nowrap;color:#777;font-variant-numeric:tabular-nums}}\
         td+td+td{{width:10rem}}\
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
        let (href, name) = (encoded(name), escaped(&String::from_utf8_lossy(name)));
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
fn encoded(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// With one decimal from a KiB on.
fn shown_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // In tenths, rounded.
    let (mut tenths, mut units) = ((bytes * 10 + 512) / 1024, UNITS.iter());
    let mut unit = units.next();
    while tenths >= 10_240 {
        let Some(next) = units.next() else { break };
        (tenths, unit) = ((tenths + 512) / 1024, Some(next));
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, unit.unwrap_or(&"PiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_stand_below_sizes() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1587, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_900_000, "1.8 MiB"),
            (5_368_709_120, "5.0 GiB"),
        ] {
            assert_eq!(shown_bytes(bytes), shown, "{bytes}");
        }
    }

    #[test]
    fn any_name_has_a_link_that_leads_to_it() {
        let entry = |name: &[u8]| Entry { name: name.to_vec(), is_directory: false, bytes: 1, modified_s: SHOWN_S_MAX };
        let page = page("/<a>/", &[entry(b"a\\b"), entry(b"<b>"), entry(b"gr\xfcn"), entry(b"a:b?c#d%e")]);
        for shown in [
            "<h1>/&lt;a&gt;/</h1>",
            "\"./a%5Cb\">a\\b<",
            "\"./%3Cb%3E\">&lt;b&gt;<",
            "\"./gr%FCn\">gr\u{fffd}n<",
            "\"./a%3Ab%3Fc%23d%25e\">a:b?c#d%e<",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
    }
}
