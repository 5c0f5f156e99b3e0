//! In:     paths that were written in a configuration, and what is done with them by who may be root.
//! Out:    open files.
//! Actors: the file system.
//! Never:  does an open wait for somebody else.

use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// The mode of a log that is made here: others do not read who asked for what.
const LOG_MODE: u32 = 0o640;

/// Opens the file of a log, or makes it; only what a write never waits at.
///
/// # Errors
/// The system's; what is no file and no device.
pub(crate) fn open_log(path: &Path) -> io::Result<File> {
    // A pipe without a reader would hold up whoever opens it.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    let file = OpenOptions::new().create(true).append(true).mode(LOG_MODE).custom_flags(flags).open(path).map_err(
        |error| {
            if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) { io::Error::other(NO_FILE) } else { error }
        },
    )?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_char_device() { Ok(file) } else { Err(io::Error::other(NO_FILE)) }
}

const NO_FILE: &str = "it is no file; what is not one may hold up the server";
