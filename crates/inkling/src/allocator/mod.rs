//! The allocator. Networks ask for megabytes and give them back thousands of times a second; the
//! system's hands each piece back to the kernel, which fills the next one with zeros. This one keeps
//! them, offers them to the kernel where memory is short, gives them back when nothing has been done for a
//! while, and counts what is in use, which no two systems tell alike.

#[cfg(unix)]
mod by_size;
mod free_memory;
#[cfg(unix)]
mod free_ranges;
#[cfg(unix)]
mod large_pieces;

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(unix)]
use by_size::BySize as Source;
pub use free_memory::{give_back_when_idle, keep_free_memory};
use inkling_pipeline::MemoryMeter;
#[cfg(not(unix))]
use mimalloc::MiMalloc as Source;

/// For the whole process.
#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Where memory comes from, and how many bytes of it are in use.
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
        free_memory::watch(in_use);
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
// SAFETY: the source does all of the work, with the arguments as they are.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let piece = unsafe { Source.alloc(layout) };
        if !piece.is_null() {
            count_in(layout.size());
        }
        piece
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let piece = unsafe { Source.alloc_zeroed(layout) };
        if !piece.is_null() {
            count_in(layout.size());
        }
        piece
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        count_out(layout.size());
        unsafe { Source.dealloc(piece, layout) };
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let other = unsafe { Source.realloc(piece, layout, size) };
        if !other.is_null() {
            count_out(layout.size());
            count_in(size);
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use super::free_memory::tests::ALONE;
    use super::*;

    #[test]
    fn the_peak_is_that_of_what_was_in_use_at_once() {
        const PIECE: usize = 256 << 20;
        /// Other tests allocate and free meanwhile, though not as much.
        const OTHERS: usize = 64 << 20;
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Allocated.in_use();
        for _ in 0..3 {
            Allocated.forget_peak();
            let piece = vec![1_u8; PIECE];
            let in_use = Allocated.in_use();
            assert!(in_use + OTHERS >= before + PIECE, "{}", piece[PIECE / 2]);
            drop(piece);
            let most = Allocated.peak() + OTHERS - before;
            assert!((PIECE..PIECE + 2 * OTHERS).contains(&most), "{most}");
        }
    }
}
