//! In:     a file that the edge may not read.
//! Out:    403; a line that names it, what stands in the way, and as whom the edge runs.
//! Actors: a thread for files.
//! Never:  is it a 404 that nobody can explain, or a line for each request.

use crate::handlers::files::cache::FileCache;
use hallway_core::{Fault, Head};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Tells the operator.
pub(super) async fn tell(cache: &FileCache, head: &Head, (directory, path): (&Path, PathBuf)) -> Fault {
    if cache.may_tell(head.path(), cache.event_loop.clock.coarse_ms()) {
        let (threads, file) = (cache.event_loop.file_threads.root(directory).threads(&path), directory.join(path));
        let Ok(why) = threads.run(move || explain(&file)).await else { return Fault::Forbidden };
        let (method, path) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.path()));
        cache.event_loop.report(&format!("{method} {path}: {why}"));
    }
    Fault::Forbidden
}

/// What stands in the way of whom, and the mend.
fn explain(file: &Path) -> String {
    let is_closed = |directory: &&Path| {
        let entered = accessat(CWD, *directory, Access::EXEC_OK, AtFlags::EACCESS);
        matches!(entered, Err(Errno::ACCESS))
    };
    let above: Vec<&Path> = file.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).collect();
    // A client names it: nothing of that ends a line, or is an order for a terminal.
    let shown = |path: &Path| -> String {
        let text = path.to_string_lossy();
        let plain = text
            .chars()
            .map(|letter| if letter.is_control() { letter.escape_default().to_string() } else { letter.into() });
        plain.collect()
    };
    let user = user();
    match above.into_iter().rev().find(is_closed) {
        Some(directory) => {
            let (shown, directory) = (shown(file), shown(directory));
            format!(
                "{shown}: permission denied: the edge runs as {user}, who may not enter {directory} \
                 (chmod o+x {directory}, or its group)"
            )
        }
        None => {
            let shown = shown(file);
            format!(
                "{shown}: permission denied: the edge runs as {user}, who may not read it (chmod o+r {shown}, or its group)"
            )
        }
    }
}

/// Who the edge runs as: the name where the machine's file of users has one.
fn user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut entries = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let own = entries.find(|fields| fields.get(2).is_some_and(|one| *one == uid.to_string()));
    own.map_or_else(|| format!("user {uid}"), |fields| format!("'{}'", fields[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_a_line() {
        let said = explain(Path::new("/no/such\n2026-01-01T00:00:00Z hallway: stopped\u{1b}[2J\u{85}.txt"));
        assert!(!said.chars().any(char::is_control), "{said:?}");
        assert!(
            said.starts_with(
                "/no/such\\n2026-01-01T00:00:00Z hallway: stopped\\u{1b}[2J\\u{85}.txt: permission denied"
            ),
            "{said}"
        );
    }
}
