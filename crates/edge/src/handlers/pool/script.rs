//! In:     where the scripts of a pool are, a path.
//! Out:    the script that the path names.
//! Actors: threads for files, which look whether it is there.
//! Never:  does the event loop wait for a disk.

use hallway_core::Fault;
use hallway_core::gateway::{Named, Seen, name_script};
use hallway_core::plan::Script;
use hallway_net::runtime::event_loop::EventLoop;
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The script; nothing where the path names none. Most paths that one script has all of name none, and nobody looks.
///
/// # Errors
/// 504 where the file system does not say whether it is there.
pub(super) async fn find(event_loop: &EventLoop, script: &Script, path: &[u8]) -> Result<Option<Named>, Fault> {
    let mut looks = false;
    let spelled = name_script(script, path, |_| {
        looks = true;
        Seen::Nothing
    });
    if !looks {
        return Ok(spelled);
    }
    let (script, path) = (script.clone(), path.to_vec());
    let threads = event_loop.file_threads.root(Path::new(&script.root)).threads(Path::new(""));
    Ok(threads.run(move || name_script(&script, &path, |name| look(&script.root, name))).await?)
}

/// What this machine sees there, which need not be what the server sees.
fn look(root: &str, name: &[u8]) -> Seen {
    let path = OsString::from_vec([root.trim_end_matches('/').as_bytes(), name].concat());
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Seen::Script,
        Ok(_) => Seen::Nothing,
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::ACCESS) => Seen::Nothing,
            _ => Seen::BelowFile,
        },
    }
}
