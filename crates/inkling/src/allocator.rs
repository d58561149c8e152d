//! The allocator. Networks ask for megabytes and give them back thousands of times a second; the
//! system's hands each piece back to the kernel, which fills the next one with zeros.

/// mimalloc, for the whole process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
