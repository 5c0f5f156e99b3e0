//! In:     bytes that this program carries: the extension, the plan.
//! Out:    a nameless, sealed file in memory that children can be given.
//! Actors: none.
//! Never:  can a child change what the next child gets.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// For the kernel to let go of a file's pages.
const SEAL_TRIES: u32 = 100;
const SEAL_PAUSE: Duration = Duration::from_millis(10);

/// Puts bytes into a sealed file in memory; `name` is what tools show for it.
///
/// # Errors
/// Those of `memfd_create` and of writing.
pub fn carry(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    let mut tries = 0;
    loop {
        match fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL) {
            // The kernel itself still holds a page just now (F_ADD_SEALS in fcntl(2)): that passes.
            Err(Errno::BUSY) if tries < SEAL_TRIES => {
                tries += 1;
                std::thread::sleep(SEAL_PAUSE);
            }
            sealed => break sealed?,
        }
    }
    Ok(file.into())
}
