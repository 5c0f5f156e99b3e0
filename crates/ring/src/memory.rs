//! In:     a file in memory that the master made, and its shape.
//! Out:    the words and the data of its rings in this process.
//! Actors: the two processes that map it.
//! Never:  can a side change the size of the file, or reach what is outside of a ring.

#![allow(unsafe_code)]

use crate::shape::{HEADER, Shape};
use crate::words::{AtomicU32, Credit, Words};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use rustix::thread::futex;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;

/// Threads that are woken at a time: no worker has as many of its own.
const SLEEPERS_MAX: u32 = 1024;

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// Makes the file for rings of this shape. Its size is sealed: a side that could cut it short would
/// end the other one by SIGBUS.
///
/// # Errors
/// Those of `memfd_create`, `ftruncate` and sealing.
pub fn create(shape: Shape) -> io::Result<OwnedFd> {
    let file = memfd_create("hallway lanes", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, shape.file_bytes() as u64)?;
    fcntl_add_seals(&file, SEALS)?;
    Ok(file)
}

/// The rings of one worker as this process sees them.
pub struct Memory {
    base: NonNull<u8>,
    shape: Shape,
}

// SAFETY: the mapping lives as long as the value and is reached through raw pointers only: its words
// are atomics, and its data is copied by volatile words (`copy`), whatever the other side does meanwhile.
unsafe impl Send for Memory {}
// SAFETY: as above; the two ends of a ring need `&mut` of a `Sender` or a `Receiver` to copy.
unsafe impl Sync for Memory {}

impl Memory {
    /// Maps the file of the master.
    ///
    /// # Errors
    /// Those of `mmap`; `InvalidData` if the file has another size or is not sealed.
    pub fn map(file: impl AsFd, shape: Shape) -> io::Result<Memory> {
        let is_sealed = fcntl_get_seals(&file)?.contains(SEALS);
        if !is_sealed || fstat(&file)?.st_size as usize != shape.file_bytes() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let bytes = shape.mapped_bytes();
        // SAFETY: a fresh mapping wherever the kernel likes. Nothing can be read or written there yet.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::PRIVATE)? };
        let Some(base) = NonNull::new(base.cast::<u8>()) else { return Err(io::ErrorKind::OutOfMemory.into()) };
        // From here on, dropping it unmaps it.
        let memory = Memory { base, shape };
        for ring in 0..shape.rings() {
            let (at, from, data) = (shape.mapped_at(ring), shape.file_at(ring), shape.bytes(ring));
            let words = shape.words_bytes(ring);
            memory.place(&file, at, words + data, from)?;
            // The data a second time behind itself, so that no frame is ever in two parts.
            memory.place(&file, at + words + data, data, from + words)?;
        }
        // SAFETY: the whole of the mapping, which a forked child is not to have: it is no side of it.
        unsafe { madvise(base.as_ptr().cast(), bytes, Advice::LinuxDontFork)? };
        Ok(memory)
    }

    fn place(&self, file: impl AsFd, at: usize, bytes: usize, from: usize) -> io::Result<()> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::FIXED);
        // SAFETY: `at..at + bytes` is inside of the reserved mapping (see `Shape::mapped_at`), and
        // nothing refers into it before `map` has ended.
        unsafe { mmap(self.base.as_ptr().add(at).cast(), bytes, access, flags, file, from as u64)? };
        Ok(())
    }

    /// Bytes of the data of a ring; a power of two.
    pub(crate) fn bytes(&self, ring: usize) -> u64 {
        self.shape.bytes(ring) as u64
    }

    pub(crate) fn rings(&self) -> usize {
        self.shape.rings()
    }

    pub(crate) fn words(&self, ring: usize) -> &Words {
        assert!(ring < self.shape.rings(), "there is no ring {ring}");
        // SAFETY: a whole page of this mapping, aligned to it; `Words` is shorter, any bits are a
        // value of it, and all of it is atomic.
        unsafe { self.base.add(self.shape.mapped_at(ring)).cast::<Words>().as_ref() }
    }

    /// The credit of a stream of a ring; nothing where there is no such stream.
    pub(crate) fn credit(&self, ring: usize, stream: u16) -> Option<&Credit> {
        let stream = usize::from(stream);
        if ring >= self.shape.rings() || stream >= self.shape.streams(ring) {
            return None;
        }
        let at = self.shape.mapped_at(ring) + size_of::<Words>() + stream * size_of::<Credit>();
        // SAFETY: `words_bytes` has room for this many behind the words, which are a multiple of 128 bytes long; any
        // bits are a value of it, and all of it is atomic.
        Some(unsafe { self.base.add(at).cast::<Credit>().as_ref() })
    }

    /// Length and state of the frame at a position.
    pub(crate) fn header(&self, ring: usize, position: u64) -> (&AtomicU32, &AtomicU32) {
        let at = self.at(ring, position, HEADER).cast::<AtomicU32>();
        // SAFETY: `at` checked that both are inside of the data and aligned to 8.
        unsafe { (at.as_ref(), at.add(1).as_ref()) }
    }

    /// Copies bytes into a ring. To be called by its sender, for room that is its own.
    pub(crate) fn put(&self, ring: usize, position: u64, bytes: &[u8]) {
        let at = self.offset(ring, position, bytes.len());
        // SAFETY: `offset` checked the range, which no reference of this process covers.
        unsafe { copy::<INTO_RING>(bytes.as_ptr(), self.base.as_ptr().add(at), bytes.len()) }
    }

    /// Appends bytes of a ring to `into`. What the other side does with them meanwhile changes what
    /// is copied, and nothing else.
    pub(crate) fn get(&self, ring: usize, position: u64, length: usize, into: &mut Vec<u8>) {
        let at = self.offset(ring, position, length);
        into.reserve(length);
        // SAFETY: `offset` checked the range; the vector has room for it behind what it holds, and
        // those bytes are written before its length says so.
        unsafe {
            copy::<OUT_OF_RING>(self.base.as_ptr().add(at), into.as_mut_ptr().add(into.len()), length);
            into.set_len(into.len() + length);
        }
    }

    /// Bytes of a ring where they are. For a receiver that trusts its sender not to touch them
    /// before they are released: a worker trusts the edge; the edge trusts nobody and copies.
    pub(crate) fn see(&self, ring: usize, position: u64, length: usize) -> &[u8] {
        let at = self.offset(ring, position, length);
        // SAFETY: `offset` checked the range; see above for who writes there.
        unsafe { slice::from_raw_parts(self.base.as_ptr().add(at), length) }
    }

    fn at(&self, ring: usize, position: u64, length: usize) -> NonNull<u8> {
        let at = self.offset(ring, position, length);
        // SAFETY: `offset` checked that it is inside of the mapping.
        unsafe { self.base.add(at) }
    }

    /// Where a position of a ring is in the mapping.
    fn offset(&self, ring: usize, position: u64, length: usize) -> usize {
        let data = self.shape.bytes(ring);
        assert!(ring < self.shape.rings() && length <= data, "{length} bytes are no part of ring {ring}");
        let within = (position as usize) & (data - 1);
        self.shape.mapped_at(ring) + self.shape.words_bytes(ring) + within
    }

    /// Sleeps until this word is not 1 any more. May end for no reason.
    ///
    /// # Errors
    /// `EINTR` when a signal came.
    pub(crate) fn sleep(&self, word: &AtomicU32) -> io::Result<()> {
        match futex::wait(word, futex::Flags::empty(), 1, None) {
            Ok(()) | Err(rustix::io::Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Wakes those that sleep on this word.
    pub(crate) fn wake(&self, word: &AtomicU32) {
        // It fails for a wrong address only. A hostile process may have any number of threads sleep there.
        let _ = futex::wake(word, futex::Flags::empty(), SLEEPERS_MAX);
    }
}

/// Where the other process may be: it may be writing there at this very moment, whatever the protocol says.
const INTO_RING: bool = true;
const OUT_OF_RING: bool = false;

/// What is read or written in one step where that is aligned.
#[cfg(target_arch = "x86_64")]
type Wide = std::arch::x86_64::__m128i;
#[cfg(target_arch = "aarch64")]
type Wide = std::arch::aarch64::uint8x16_t;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Wide = u64;

/// Copies between a ring and memory of this process. Each byte of the ring is touched once, by a volatile access of
/// a whole word: so bytes that a hostile process changes meanwhile are other bytes, and nothing worse.
///
/// # Safety
/// Both ranges are valid for `length` bytes and do not overlap.
unsafe fn copy<const DIRECTION: bool>(from: *const u8, to: *mut u8, length: usize) {
    let shared = if DIRECTION == INTO_RING { to.addr() } else { from.addr() };
    let (mut at, mut left) = (0, length);
    // Narrow words up to where wide ones are aligned. Frames begin at a multiple of 8.
    // SAFETY: each step is within `length`; `step` asks for no more of the address than its alignment.
    unsafe {
        at += step_if::<u8, DIRECTION>(from, to, at, shared & 1 != 0 && left >= 1);
        left = length - at;
        at += step_if::<u16, DIRECTION>(from, to, at, (shared + at) & 2 != 0 && left >= 2);
        left = length - at;
        at += step_if::<u32, DIRECTION>(from, to, at, (shared + at) & 4 != 0 && left >= 4);
        left = length - at;
        at += step_if::<u64, DIRECTION>(from, to, at, (shared + at) & 8 != 0 && left >= 8);
        while length - at >= 4 * size_of::<Wide>() {
            for _ in 0..4 {
                at += step_if::<Wide, DIRECTION>(from, to, at, true);
            }
        }
        while length - at >= size_of::<Wide>() {
            at += step_if::<Wide, DIRECTION>(from, to, at, true);
        }
        left = length - at;
        at += step_if::<u64, DIRECTION>(from, to, at, left & 8 != 0);
        at += step_if::<u32, DIRECTION>(from, to, at, left & 4 != 0);
        at += step_if::<u16, DIRECTION>(from, to, at, left & 2 != 0);
        step_if::<u8, DIRECTION>(from, to, at, left & 1 != 0);
    }
}

/// Copies one word, if that is wanted; how many bytes.
///
/// # Safety
/// As `copy`; the address in the ring is aligned for the word.
#[inline(always)]
unsafe fn step_if<W: Copy, const DIRECTION: bool>(from: *const u8, to: *mut u8, at: usize, is_wanted: bool) -> usize {
    if !is_wanted {
        return 0;
    }
    // SAFETY: the caller's.
    unsafe {
        let (from, to) = (from.add(at).cast::<W>(), to.add(at).cast::<W>());
        if DIRECTION == INTO_RING {
            to.write_volatile(from.read_unaligned());
        } else {
            to.write_unaligned(from.read_volatile());
        }
    }
    size_of::<W>()
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the whole of the mapping; every reference into it borrowed from this value.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.shape.mapped_bytes()) };
    }
}
