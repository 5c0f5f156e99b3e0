//! In:     what the program asks of memory.
//! Out:    memory of mimalloc.
//! Actors: none.
//! Never:  is memory given that is aligned to less than was asked for.
//!
//! The crate `mimalloc` asks for aligned memory each time. Version 3 of the library then takes a slower way, and gives
//! more than was asked for wherever the size is no power of two: some 20 instructions for each allocation, 150 for each
//! above 1 KiB.

#![allow(unsafe_code)]

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};
use std::alloc::{GlobalAlloc, Layout};

/// What the library aligns to of itself, as C wants it of `malloc`; what is smaller is aligned to its size.
const ALIGNED_TO: usize = 16;

/// mimalloc.
pub(crate) struct Allocator;

unsafe extern "C" {
    /// Gives back what this thread and the process have free; with `force` also what was freed in the last second.
    fn mi_collect(force: bool);
}

/// Gives memory that is free back to the system: the library does it only while it is asked for more.
pub(crate) fn give_back(force: bool) {
    // SAFETY: it may be called at any time, by any thread.
    unsafe { mi_collect(force) }
}

fn is_plain(layout: Layout, size: usize) -> bool {
    layout.align() <= ALIGNED_TO && layout.align() <= size
}

// SAFETY: the functions of mimalloc keep the contract of `GlobalAlloc`; each of them may free what another gave.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        // SAFETY: any size and any alignment that is a power of two may be asked for; `Layout` has such a one.
        unsafe {
            match is_plain(layout, size) {
                true => mi_malloc(size).cast(),
                false => mi_malloc_aligned(size, layout.align()).cast(),
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        // SAFETY: as for `alloc`.
        unsafe {
            match is_plain(layout, size) {
                true => mi_zalloc(size).cast(),
                false => mi_zalloc_aligned(size, layout.align()).cast(),
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
        // SAFETY: the caller has it from here.
        unsafe { mi_free(memory.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller has `memory` from here; sizes and alignments as for `alloc`.
        unsafe {
            match is_plain(layout, size) {
                true => mi_realloc(memory.cast(), size).cast(),
                false => mi_realloc_aligned(memory.cast(), size, layout.align()).cast(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_as_it_was_asked_for() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (0..200).chain([1000, 1025, 4000, 4097, 100_000]).filter(|size| size % align == 0) {
                let Ok(layout) = Layout::from_size_align(size.max(1), align) else { continue };
                // SAFETY: of a size above 0; freed once, with the layout that it has then.
                unsafe {
                    let memory = Allocator.alloc_zeroed(layout);
                    assert!(!memory.is_null() && memory.addr() % align == 0, "{layout:?}");
                    assert_eq!(*memory, 0);
                    *memory = 7;
                    let memory = Allocator.realloc(memory, layout, 3 * layout.size());
                    assert!(!memory.is_null() && memory.addr() % align == 0, "{layout:?} grown");
                    assert_eq!(*memory, 7);
                    Allocator.dealloc(memory, layout);
                    let memory = Allocator.alloc(layout);
                    assert!(!memory.is_null() && memory.addr() % align == 0, "{layout:?}");
                    Allocator.dealloc(memory, layout);
                }
            }
        }
    }
}
