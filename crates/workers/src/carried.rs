//! In:     bytes that this program carries: the extension, the plan.
//! Out:    a nameless, sealed file in memory that children can be given.
//! Actors: none.
//! Never:  can a child change what the next child gets.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;

/// Puts bytes into a sealed file in memory; `name` is what tools show for it.
///
/// # Errors
/// Those of `memfd_create` and of writing.
pub fn carry(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(file.into())
}
