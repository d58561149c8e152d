//! Large pieces, which the kernel gives directly. Free ones are kept for the next that fits, cut and joined by the
//! page, and what is held exceeds the most that was in use at once by 3 % and 10 MiB at most: where nothing free is long
//! enough, free ranges go back to the kernel for as many bytes as it is asked for.
//!
//! General allocators keep free pieces by classes of size, and give them back by the clock. Tensors come in many sizes,
//! again and again: by classes a quarter to two fifths more is held than is used, and by the clock the
//! kernel clears pages that were given back a moment before.

use std::alloc::Layout;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::Once;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::param::page_size;
use spin::Yield;
use spin::mutex::SpinMutex;

use super::free_ranges::FreeRanges;

/// Shorter pieces are left to the general allocator, in bytes.
const LARGE: usize = 1 << 17;
/// What may be held beside the most in use: gaps that are too short for what is asked for next. Half as much made
/// a training step 5 % slower, whose pages were given back and cleared again.
const fn spare(peak: usize) -> usize {
    peak / 32 + (10 << 20)
}

/// Addresses are multiples of this: the smallest pages that there are.
const ALIGNMENT: usize = 1 << 12;

/// A word is all that it is, so that a forked process can go on with it; others know the threads that wait.
static PIECES: SpinMutex<Pieces, Yield> = SpinMutex::new(Pieces::new());

/// The process's large pieces, in bytes.
struct Pieces {
    free: FreeRanges,
    /// Free or in use.
    held: usize,
    in_use: usize,
    /// The most in use at once.
    peak: usize,
}

/// A range of addresses.
type Range = (usize, usize);

impl Pieces {
    const fn new() -> Self {
        Self {
            free: FreeRanges::new(),
            held: 0,
            in_use: 0,
            peak: 0,
        }
    }

    /// A free range, or what is to go back to the kernel before it is asked for one.
    fn take(&mut self, length: usize) -> Result<usize, Vec<Range>> {
        self.in_use += length;
        self.peak = self.peak.max(self.in_use);
        if let Some(address) = self.free.take(length) {
            return Ok(address);
        }
        self.held += length;
        let most = self.peak + spare(self.peak);
        Err(self.release(self.held.saturating_sub(most)))
    }

    /// Puts a piece back.
    fn put(&mut self, address: usize, length: usize) {
        self.in_use -= length;
        self.free.put(address, length);
    }

    /// Counts out what the kernel had no memory for.
    fn forget(&mut self, length: usize) {
        self.in_use -= length;
        self.held -= length;
    }

    /// Puts a range back that the kernel did not take.
    fn keep(&mut self, address: usize, length: usize) {
        self.held += length;
        self.free.put(address, length);
    }

    /// Lengthens a piece by what is free behind it.
    fn lengthen(&mut self, end: usize, by: usize) -> bool {
        let is_free = self.free.take_at(end, by);
        if is_free {
            self.in_use += by;
            self.peak = self.peak.max(self.in_use);
        }
        is_free
    }

    /// Takes free ranges of `bytes` together, or all.
    fn release(&mut self, bytes: usize) -> Vec<Range> {
        let mut left = length_of(bytes);
        let mut released = Vec::new();
        while left > 0
            && let Some((address, length)) = self.free.take_from_longest(left)
        {
            left -= length;
            self.held -= length;
            released.push((address, length));
        }
        released
    }
}

/// Whether a piece comes from here.
pub fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= ALIGNMENT
}

/// The bytes of the pages that `size` bytes take.
fn length_of(size: usize) -> usize {
    size.next_multiple_of(page_size())
}

/// A piece of `size` bytes, null if there is no memory, and whether it is known to be all zeros.
pub fn allocate(size: usize) -> (*mut u8, bool) {
    let length = length_of(size);
    let taken = PIECES.lock().take(length);
    let released = match taken {
        Ok(address) => return (with_exposed_provenance_mut(address), false),
        Err(released) => released,
    };
    unmap(&released);
    let piece = map(length).or_else(|| {
        give_back();
        map(length)
    });
    if piece.is_none() {
        PIECES.lock().forget(length);
    }
    (piece.unwrap_or(null_mut()), true)
}

/// Frees a piece of `size` bytes that [`allocate`] gave.
pub fn free(piece: *mut u8, size: usize) {
    PIECES
        .lock()
        .put(piece.expose_provenance(), length_of(size));
}

/// Makes a piece of `size` bytes one of `other` bytes where it lies, if it can.
pub fn resize(piece: *mut u8, size: usize, other: usize) -> bool {
    let (length, other) = (length_of(size), length_of(other));
    let address = piece.expose_provenance();
    let mut pieces = PIECES.lock();
    if other <= length {
        if other < length {
            pieces.put(address + other, length - other);
        }
        true
    } else {
        pieces.lengthen(address + length, other - length)
    }
}

/// Gives what is free back to the kernel, and lets the most in use begin anew.
pub fn give_back() {
    let mut pieces = PIECES.lock();
    let released = pieces.release(isize::MAX as usize);
    pieces.peak = pieces.in_use;
    drop(pieces);
    unmap(&released);
}

fn map(length: usize) -> Option<*mut u8> {
    static HANDLED: Once = Once::new();
    HANDLED.call_once(survive_forks);
    #[allow(unsafe_code, reason = "memory is asked for by a function in C")]
    // SAFETY: no address is given, so that nothing else lies there.
    let piece = unsafe {
        mmap_anonymous(
            null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    };
    piece.ok().map(<*mut _>::cast)
}

fn unmap(ranges: &[Range]) {
    for &(address, length) in ranges {
        #[allow(unsafe_code, reason = "a function in C")]
        // SAFETY: the range was mapped, is free, and stands in no table any more.
        let unmapped = unsafe { munmap(with_exposed_provenance_mut(address), length) };
        if unmapped.is_err() {
            // Cutting a mapping makes two of it, and a process may have so many.
            PIECES.lock().keep(address, length);
        }
    }
}

/// A process that forks while another of its threads holds the lock would leave it locked in its child for good.
fn survive_forks() {
    extern "C" fn lock() {
        std::mem::forget(PIECES.lock());
    }
    extern "C" fn unlock() {
        #[allow(unsafe_code, reason = "no guard lives from one handler to the next")]
        // SAFETY: `lock` ran before in this thread, and forgot the guard.
        unsafe {
            PIECES.force_unlock();
        }
    }
    #[allow(unsafe_code, reason = "a function in C")]
    // SAFETY: the handlers may be called at any fork.
    unsafe {
        libc::pthread_atfork(Some(lock), Some(unlock), Some(unlock));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;
    use std::time::{Duration, Instant};

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::allocator::free_memory::tests::ALONE;

    /// Vectors that are filled with a number of their own, made, lengthened, shortened and dropped at random.
    fn work(seed: u64, steps: usize) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut kept: Vec<Vec<u64>> = Vec::new();
        for step in 0..steps {
            let number = (seed << 32) + step as u64;
            let length = random.random_range(LARGE / 16..LARGE);
            if kept.len() < 8 {
                let mut fresh = vec![0; length];
                assert!(fresh.iter().all(|value| *value == 0));
                fresh.fill(number);
                kept.push(fresh);
                continue;
            }
            let mut chosen = kept.swap_remove(random.random_range(0..8));
            let number = chosen[0];
            if random.random_bool(0.3) {
                chosen.resize(length, number);
                chosen.shrink_to_fit();
            }
            assert!(chosen.iter().all(|value| *value == number));
            if random.random_bool(0.5) {
                kept.push(chosen);
            }
        }
    }

    #[test]
    fn pieces_of_several_threads_do_not_overlap() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        std::thread::scope(|scope| {
            for seed in 1..=4 {
                scope.spawn(move || work(seed, 1000));
            }
        });
    }

    #[test]
    fn little_more_is_held_than_was_in_use_at_once() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        give_back();
        // No assertion is made under the lock: it would want memory to say what it found.
        let look = || {
            let pieces = PIECES.lock();
            (pieces.held, pieces.in_use, pieces.peak)
        };
        // Ever longer pieces, none of which fits where the last was.
        for length in (640..672).map(|length| length * LARGE) {
            drop(vec![1_u8; length]);
            let (held, _, peak) = look();
            assert!(held <= peak + spare(peak), "{held} of {peak}");
        }
        give_back();
        // Other tests have and free their pieces meanwhile.
        let (held, in_use, _) = look();
        assert!(held < in_use + 512 * LARGE, "{held} of {in_use}");
    }

    #[test]
    fn the_shortest_free_range_is_taken_and_neighbours_are_joined() {
        let mut pieces = Pieces::new();
        const PIECE: usize = 64 << 20;
        assert_eq!(pieces.take(4 * PIECE), Err(Vec::new()), "nothing is held");
        pieces.put(0, 4 * PIECE);
        assert_eq!(pieces.take(PIECE), Ok(0));
        assert!(pieces.lengthen(PIECE, PIECE));
        assert!(!pieces.lengthen(2 * PIECE, 3 * PIECE), "two are free");
        // Of six pieces in use two are free: all that may not be spared goes back before four are asked for.
        let back = 2 * PIECE - spare(6 * PIECE);
        assert_eq!(pieces.take(4 * PIECE), Err(vec![(2 * PIECE, back)]));
        assert_eq!((pieces.held, pieces.peak), (8 * PIECE - back, 6 * PIECE));
    }

    /// Of a process whose other threads allocate at that moment.
    #[test]
    #[allow(unsafe_code, reason = "processes are forked by functions in C")]
    fn a_forked_process_allocates() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let end = Instant::now() + Duration::from_secs(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while Instant::now() < end {
                        drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
                    }
                });
            }
            for _ in 0..200 {
                // SAFETY: the child allocates and ends, without returning to the test.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
                    // SAFETY: ends the child at once.
                    unsafe { libc::_exit(0) };
                }
                let late = Instant::now() + Duration::from_secs(30);
                // SAFETY: asks after the child, without waiting.
                while unsafe { libc::waitpid(child, null_mut(), libc::WNOHANG) } == 0 {
                    if Instant::now() > late {
                        // SAFETY: the child is this test's.
                        unsafe { libc::kill(child, libc::SIGKILL) };
                        panic!("the child hangs");
                    }
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        });
    }
}
