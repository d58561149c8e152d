//! Large pieces from the kernel, the others from mimalloc.

use std::alloc::{GlobalAlloc, Layout};

use mimalloc::MiMalloc;

use super::large_pieces::{self, is_large};

/// [`large_pieces`] and mimalloc.
pub struct BySize;

#[allow(unsafe_code, reason = "an allocator is an unsafe trait")]
// SAFETY: a layout alone decides where a piece comes from, so that it goes back there; both sources give
// pieces of the size and alignment that are asked for, which overlap no other.
unsafe impl GlobalAlloc for BySize {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            large_pieces::allocate(layout.size()).0
        } else {
            unsafe { MiMalloc.alloc(layout) }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout) {
            return unsafe { MiMalloc.alloc_zeroed(layout) };
        }
        let (piece, is_zero) = large_pieces::allocate(layout.size());
        if !piece.is_null() && !is_zero {
            unsafe { piece.write_bytes(0, layout.size()) };
        }
        piece
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if is_large(layout) {
            large_pieces::free(piece, layout.size());
        } else {
            unsafe { MiMalloc.dealloc(piece, layout) };
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let other = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_large(layout), is_large(other)) {
            (false, false) => return unsafe { MiMalloc.realloc(piece, layout, size) },
            (true, true) if large_pieces::resize(piece, layout.size(), size) => return piece,
            _ => {}
        }
        let moved = unsafe { self.alloc(other) };
        if !moved.is_null() {
            unsafe {
                moved.copy_from_nonoverlapping(piece, layout.size().min(size));
                self.dealloc(piece, layout);
            }
        }
        moved
    }
}
