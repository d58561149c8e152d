//! What becomes of memory that is free: kept for what is asked for next, offered to the kernel where memory is
//! short, given back when nothing has been done for a while.

use std::ffi::c_long;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use inkling_pipeline::memory;
use libmimalloc_sys::{mi_collect, mi_option_set, mi_option_set_default, mi_option_t};

/// `mi_option_purge_decommits` of mimalloc.h, which the crate has no name for: 1 where free memory is given
/// back (`MADV_DONTNEED`), 0 where it is offered (`MADV_FREE`): it stays ours until the kernel needs it.
const PURGE_DECOMMITS: mi_option_t = 5;
/// `mi_option_purge_delay`: hundredths of a second for which large pieces are free before that happens.
const PURGE_DELAY: mi_option_t = 15;
/// An hour, longer than anything stays free: a third of a training step went by in clearing pages that had been
/// given back a moment before, and offering them after one second still cost 3 %.
const LONG: c_long = 360_000;
/// 0.1 s.
const SHORT: c_long = 10;

/// Bytes in use from which on free memory is offered soon.
static SHORT_FROM: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Sets an option, over what the environment says (`mi_option_set`) or not.
fn set_option(set: unsafe extern "C" fn(mi_option_t, c_long), option: mi_option_t, value: c_long) {
    #[allow(
        unsafe_code,
        reason = "the allocator's options are set by a function in C"
    )]
    // SAFETY: an option is one word, which any thread may read meanwhile; nobody else sets it.
    unsafe {
        set(option, value);
    }
}

/// Keeps free memory for what is asked for next. Pieces of many sizes leave gaps, up to two fifths of what is in
/// use; where half of the machine's memory, or of the share that confines this process, is in use, what is
/// free is offered to the kernel. `MIMALLOC_PURGE_DELAY` in the environment wins.
pub fn keep_free_memory() {
    set_option(mi_option_set_default, PURGE_DECOMMITS, 0);
    set_option(mi_option_set_default, PURGE_DELAY, LONG);
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        SHORT_FROM.store(memory() / 2, Ordering::Relaxed);
    }
}

/// Has free memory offered soon from now on, if `in_use` bytes are so many that memory is short.
pub fn watch(in_use: usize) {
    if in_use > SHORT_FROM.load(Ordering::Relaxed) {
        offer_at_once();
    }
}

#[cold]
fn offer_at_once() {
    if SHORT_FROM.swap(usize::MAX, Ordering::Relaxed) != usize::MAX {
        set_option(mi_option_set, PURGE_DELAY, SHORT);
    }
}

/// How long nothing is done before free memory is given back.
const IDLE: Duration = Duration::from_secs(10);

/// Calls of [`give_back_when_idle`].
static CALLS: AtomicUsize = AtomicUsize::new(0);
static IS_WAITED_FOR: AtomicBool = AtomicBool::new(false);

/// Gives free memory back to the kernel when ten seconds have gone by without another call of this. To be called
/// after a piece of work by a process that lives on.
pub fn give_back_when_idle() {
    CALLS.fetch_add(1, Ordering::Relaxed);
    if IS_WAITED_FOR.swap(true, Ordering::Relaxed) {
        return;
    }
    let wait = || {
        let mut seen = usize::MAX;
        while seen != CALLS.load(Ordering::Relaxed) {
            seen = CALLS.load(Ordering::Relaxed);
            std::thread::sleep(IDLE);
        }
        IS_WAITED_FOR.store(false, Ordering::Relaxed);
        give_back();
    };
    let waiter = std::thread::Builder::new().name("inkling-idle".to_owned());
    if waiter.spawn(wait).is_err() {
        IS_WAITED_FOR.store(false, Ordering::Relaxed);
    }
}

/// Gives free memory back to the kernel.
fn give_back() {
    // A thread that never asked for memory has nothing to collect by, and collects nothing.
    drop(std::hint::black_box(Box::new(0_u8)));
    #[cfg(unix)]
    super::large_pieces::give_back();
    set_option(mi_option_set, PURGE_DECOMMITS, 1);
    #[allow(unsafe_code, reason = "a function in C")]
    // SAFETY: any thread may collect what is free.
    unsafe {
        mi_collect(true);
    }
    set_option(mi_option_set, PURGE_DECOMMITS, 0);
}

#[cfg(test)]
pub mod tests {
    use std::sync::{Mutex, PoisonError};

    use inkling_pipeline::MemoryMeter;

    use super::*;
    use crate::allocator::Allocated;

    /// Bytes of memory that the process holds, as Linux counts.
    #[cfg(target_os = "linux")]
    fn resident() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// One of those tests at a time: each counts all that the process has.
    pub static ALONE: Mutex<()> = Mutex::new(());

    #[cfg(target_os = "linux")]
    #[test]
    fn free_memory_is_kept_until_it_is_given_back() {
        const PIECE: usize = 512 << 20;
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        keep_free_memory();
        let before = resident();
        let piece = vec![1_u8; PIECE];
        assert!(resident() > before + PIECE / 2, "{}", piece[PIECE / 2]);
        drop(piece);
        assert!(resident() > before + PIECE / 2);
        // As the thread that waits does.
        std::thread::spawn(give_back).join().unwrap();
        assert!(resident() < before + PIECE / 2);

        // Where memory is short it is offered at once.
        let is_watched = || SHORT_FROM.load(Ordering::Relaxed) != usize::MAX;
        assert!(is_watched());
        SHORT_FROM.store(Allocated.in_use() + (32 << 20), Ordering::Relaxed);
        drop(vec![1_u8; 64 << 20]);
        assert!(!is_watched());
        #[allow(unsafe_code, reason = "a function in C")]
        // SAFETY: reads a word.
        let delay = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay, SHORT);
    }
}
