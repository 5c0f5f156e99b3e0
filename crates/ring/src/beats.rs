//! Heartbeats.
//!
//! In:     moments at which parts of a process last turned, written by themselves.
//! Out:    the same moments for another process, which judges by them.
//! Actors: one writer for each slot; whoever maps the file reads.
//! Never:  does a reader wait for a writer, or a writer that lies harm more than itself.

#![allow(unsafe_code)]

use nix::time::{ClockId, clock_gettime};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What stands in a slot whose writer may be silent: it has ended, or does what takes its time.
pub const EXCUSED: u64 = u64::MAX;

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// One slot to a pair of cache lines, so that writers do not slow each other down. Zero at first.
#[repr(C, align(128))]
struct Slot {
    /// Milliseconds of the monotonic clock, which all processes share.
    at_ms: AtomicU64,
    /// The thread that writes it.
    thread: AtomicU32,
}

/// Slots in memory that two processes share.
pub struct Beats {
    base: NonNull<Slot>,
    slots: usize,
}

// SAFETY: the mapping lives as long as the value, and all that is reached in it is atomic.
unsafe impl Send for Beats {}
// SAFETY: as above.
unsafe impl Sync for Beats {}

impl Beats {
    /// Makes the file for so many slots. Its size is sealed: cut short it would end who reads it by SIGBUS.
    ///
    /// # Errors
    /// Those of `memfd_create`, `ftruncate` and sealing.
    pub fn create(slots: usize) -> io::Result<OwnedFd> {
        let file = memfd_create("hallway heartbeats", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, (slots * size_of::<Slot>()) as u64)?;
        fcntl_add_seals(&file, SEALS)?;
        Ok(file)
    }

    /// Maps such a file.
    ///
    /// # Errors
    /// Those of `mmap`; `InvalidData` if the file has another size or is not sealed.
    pub fn map(file: impl AsFd, slots: usize) -> io::Result<Beats> {
        let bytes = slots * size_of::<Slot>();
        let is_sealed = fcntl_get_seals(&file)?.contains(SEALS);
        if bytes == 0 || !is_sealed || fstat(&file)?.st_size as usize != bytes {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping wherever the kernel likes, of a file that keeps its size.
        let base = unsafe { mmap(std::ptr::null_mut(), bytes, access, MapFlags::SHARED, &file, 0)? };
        let Some(base) = NonNull::new(base.cast::<Slot>()) else { return Err(io::ErrorKind::OutOfMemory.into()) };
        let beats = Beats { base, slots };
        // SAFETY: the whole of the mapping, which a forked child is not to have.
        unsafe { madvise(base.as_ptr().cast(), bytes, Advice::LinuxDontFork)? };
        Ok(beats)
    }

    /// This thread writes this slot from now on.
    pub fn begin(&self, slot: usize) {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        if let Some(slot) = self.slot(slot) {
            slot.thread.store(thread.unsigned_abs(), Ordering::Relaxed);
        }
        self.beat(slot);
    }

    /// The writer of this slot turns.
    pub fn beat(&self, slot: usize) {
        self.put(slot, monotonic_ms());
    }

    /// The writer of this slot may be silent from now on.
    pub fn excuse(&self, slot: usize) {
        self.put(slot, EXCUSED);
    }

    fn put(&self, slot: usize, at_ms: u64) {
        if let Some(slot) = self.slot(slot) {
            slot.at_ms.store(at_ms, Ordering::Relaxed);
        }
    }

    /// What stands in each slot; 0 where nothing was written yet.
    pub fn all(&self) -> impl Iterator<Item = u64> {
        (0..self.slots).filter_map(|slot| Some(self.slot(slot)?.at_ms.load(Ordering::Relaxed)))
    }

    /// The thread that writes this slot; 0 where none does yet.
    pub fn thread(&self, slot: usize) -> u32 {
        self.slot(slot).map_or(0, |slot| slot.thread.load(Ordering::Relaxed))
    }

    fn slot(&self, slot: usize) -> Option<&Slot> {
        // SAFETY: inside of the mapping and aligned to it; any bits are a value of a `Slot`, all of it is atomic.
        (slot < self.slots).then(|| unsafe { self.base.add(slot).as_ref() })
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        // SAFETY: the whole of the mapping; every reference into it borrowed from this value.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.slots * size_of::<Slot>()) };
    }
}

/// Milliseconds of the clock by which beats are written.
pub fn monotonic_ms() -> u64 {
    monotonic_us() / 1000
}

/// The same in microseconds.
pub fn monotonic_us() -> u64 {
    // By the C library: rustix looks for the kernel's own page by itself, which is not there under valgrind. There is
    // no Linux without this clock.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| now.tv_sec().cast_unsigned() * 1_000_000 + now.tv_nsec().cast_unsigned() / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_maps_the_file_sees_what_was_written() {
        let file = Beats::create(3).unwrap();
        let (writer, reader) = (Beats::map(&file, 3).unwrap(), Beats::map(&file, 3).unwrap());
        assert_eq!(reader.all().collect::<Vec<_>>(), [0, 0, 0]);
        let before_ms = monotonic_ms();
        writer.begin(1);
        writer.excuse(2);
        writer.beat(3);
        let seen: Vec<u64> = reader.all().collect();
        assert_eq!((seen[0], seen[2]), (0, EXCUSED));
        assert!((before_ms..=monotonic_ms()).contains(&seen[1]));
        assert_eq!(reader.thread(1), rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs());
        assert_eq!((reader.thread(0), reader.thread(3)), (0, 0));
    }

    #[test]
    fn a_file_of_another_size_is_none() {
        let file = Beats::create(3).unwrap();
        assert!(Beats::map(&file, 4).is_err() && Beats::map(&file, 0).is_err());
        assert!(ftruncate(&file, 0).is_err(), "its size is sealed");
        let open = memfd_create("open", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&open, 3 * size_of::<Slot>() as u64).unwrap();
        assert!(Beats::map(&open, 3).is_err(), "a file whose size may change");
    }
}
