//! The allocator. Networks ask for megabytes and give them back thousands of times a second; the
//! system's hands each piece back to the kernel, which fills the next one with zeros. This one keeps
//! them, and counts what is in use, which no two systems tell alike.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

use inkling_pipeline::MemoryMeter;
use mimalloc::MiMalloc;

/// mimalloc, for the whole process.
#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// mimalloc, and how many bytes are in use.
struct Counted;

/// Pieces below this size are not counted: they are many, and together nothing beside tensors.
const COUNTED_FROM: usize = 1 << 12;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// What the allocator counts.
pub struct Allocated;

impl MemoryMeter for Allocated {
    fn in_use(&self) -> usize {
        IN_USE.load(Ordering::Relaxed)
    }

    fn peak(&self) -> usize {
        PEAK.load(Ordering::Relaxed)
    }

    fn forget_peak(&self) {
        PEAK.store(self.in_use(), Ordering::Relaxed);
    }
}

fn count_in(bytes: usize) {
    if bytes >= COUNTED_FROM {
        let in_use = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        PEAK.fetch_max(in_use, Ordering::Relaxed);
    }
}

fn count_out(bytes: usize) {
    if bytes >= COUNTED_FROM {
        IN_USE.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[allow(
    unsafe_code,
    reason = "an allocator is an unsafe trait; every call is handed on as it is"
)]
// SAFETY: mimalloc does all of the work, with the arguments as they are.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let piece = unsafe { MiMalloc.alloc(layout) };
        if !piece.is_null() {
            count_in(layout.size());
        }
        piece
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let piece = unsafe { MiMalloc.alloc_zeroed(layout) };
        if !piece.is_null() {
            count_in(layout.size());
        }
        piece
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        count_out(layout.size());
        unsafe { MiMalloc.dealloc(piece, layout) };
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let other = unsafe { MiMalloc.realloc(piece, layout, size) };
        if !other.is_null() {
            count_out(layout.size());
            count_in(size);
        }
        other
    }
}

/// `mi_option_purge_delay` of mimalloc.h, which the crate has no name for: milliseconds until free
/// memory goes back to the kernel.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const NEVER: std::ffi::c_long = -1;

/// Keeps free memory for what is asked for next: a third of a training step went by in clearing pages
/// that had been given back a moment before. `MIMALLOC_PURGE_DELAY` in the environment wins.
pub fn keep_free_memory() {
    #[allow(
        unsafe_code,
        reason = "the allocator's options are set by a function in C"
    )]
    // SAFETY: options must not be set by two threads at once, and this runs before any other starts.
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, NEVER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_what_was_in_use_at_once() {
        const PIECE: usize = 64 << 20;
        let before = Allocated.in_use();
        for _ in 0..3 {
            Allocated.forget_peak();
            let piece = vec![1_u8; PIECE];
            assert!(Allocated.in_use() >= before + PIECE, "{}", piece[PIECE / 2]);
            drop(piece);
            // Other tests allocate meanwhile, though not as much.
            let most = Allocated.peak() - before;
            assert!((PIECE..PIECE + PIECE / 2).contains(&most), "{most}");
        }
    }
}
