//! Plain loops, compiled for the processor's widest vectors.

use pulp::NullaryFnOnce;

use crate::simd::arch;

/// Runs `work`, compiled for several generations of processors. A closure marked
/// `#[inline(always)]` becomes part of each; without the mark it may stay a function of its own,
/// compiled for the oldest.
pub fn vectorized<T>(work: impl FnMut() -> T) -> T {
    arch().dispatch(Loop(work))
}

/// A closure for `pulp`'s `vectorize` and `dispatch`. They take closures too, but call them through a
/// function that need not be inlined.
pub struct Loop<F>(pub F);

impl<T, F: FnMut() -> T> NullaryFnOnce for Loop<F> {
    type Output = T;

    #[inline(always)]
    fn call(mut self) -> T {
        (self.0)()
    }
}

/// Reduces lanes by `join`, upper half onto lower half until one is left; `N` is a power of two.
#[inline(always)]
pub fn reduce_lanes<const N: usize>(mut lanes: [f32; N], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = N / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = join(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// The sum of all lanes, whose number is a power of two.
#[inline(always)]
pub fn sum_lanes<const N: usize>(lanes: [f32; N]) -> f32 {
    reduce_lanes(lanes, |a, b| a + b)
}

/// Interleaved sums, so that terms are added as vectors.
const SUMS: usize = 32;

/// `Σ term(i)` for `i < count`, in 32 interleaved sums that [`sum_lanes`] adds.
#[inline(always)]
pub fn sum(count: usize, term: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0; SUMS];
    let whole = count / SUMS * SUMS;
    for start in (0..whole).step_by(SUMS) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    // Into lanes too: one sum could not be added as vectors.
    for (sum, index) in sums.iter_mut().zip(whole..count) {
        *sum += term(index);
    }
    sum_lanes(sums)
}
