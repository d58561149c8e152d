//! Outputs that tasks compute piece by piece.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// `len` values, of which every task computes `piece`, the last perhaps fewer, on all threads. `task` gets its
/// index and its piece, all zeros.
///
/// A thread clears a piece right before it fills it, while it is in its cache. A vector that is cleared as a whole
/// keeps one thread busy while the others wait: a tenth of a linear layer's time.
pub fn computed(len: usize, piece: usize, task: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    computed_with(len, piece, || (), |(), index, piece| task(index, piece))
}

/// [`computed`] with space that a thread's tasks share.
pub fn computed_with<S>(
    len: usize,
    piece: usize,
    scratch: impl Fn() -> S + Sync,
    task: impl Fn(&mut S, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut values: Vec<f32> = Vec::with_capacity(len);
    let pieces = values.spare_capacity_mut()[..len].par_chunks_mut(piece.max(1));
    pieces
        .enumerate()
        .for_each_init(&scratch, |scratch, (index, piece)| {
            piece.fill(MaybeUninit::new(0.0));
            #[allow(
                unsafe_code,
                reason = "safe code can only clear the whole vector, on one thread"
            )]
            // SAFETY: every value of the piece was written in the line before.
            let piece = unsafe { piece.assume_init_mut() };
            task(scratch, index, piece);
        });
    #[allow(unsafe_code, reason = "as above")]
    // SAFETY: the pieces are all of the first `len` values, and every one was cleared.
    unsafe {
        values.set_len(len);
    }
    values
}

/// `len` zeros, cleared on all threads, for tasks that do not fill a piece each.
pub fn cleared(len: usize) -> Vec<f32> {
    /// A piece's bytes take less than a cache has.
    const PIECE: usize = 1 << 16;
    computed(len, PIECE, |_, _| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_get_zeros_and_fill_every_piece() {
        for (len, piece) in [(0, 0), (0, 3), (10, 4), (12, 4), (3, 100)] {
            let values = computed(len, piece, |index, piece| {
                assert!(piece.iter().all(|&value| value == 0.0));
                piece.fill(index as f32 + 1.0);
            });
            let expected: Vec<f32> = (0..len).map(|at| (at / piece) as f32 + 1.0).collect();
            assert_eq!(values, expected);
        }
    }
}
