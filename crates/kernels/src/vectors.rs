//! Plain loops, compiled for the processor's widest vectors.

use pulp::{NullaryFnOnce, Simd, WithSimd};

use crate::simd::arch;

/// Runs `work`, compiled for several generations of processors. A closure marked
/// `#[inline(always)]` becomes part of each; without the mark it may stay a function of its own,
/// compiled for the oldest.
pub fn vectorized<T>(work: impl FnMut() -> T) -> T {
    arch().dispatch(Loop(work))
}

/// [`vectorized`] for work that multiplies and adds.
pub fn vectorized_sums<T>(work: impl FnMut(MulAdd) -> T) -> T {
    struct Sums<F>(F);
    impl<T, F: FnMut(MulAdd) -> T> WithSimd for Sums<F> {
        type Output = T;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _: S) -> T {
            (self.0)(MulAdd {
                fused: S::F32_LANES > 1,
            })
        }
    }
    arch().dispatch(Sums(work))
}

/// Multiplication and addition: one instruction that rounds once where the loop's vectors have it, two that
/// round each where there are no vectors, whose one instruction would be a call of the C library.
#[derive(Clone, Copy, Debug)]
pub struct MulAdd {
    fused: bool,
}

impl MulAdd {
    /// `a · b + c`. Which way is known when the loop around it is compiled.
    #[inline(always)]
    pub fn of(self, a: f32, b: f32, c: f32) -> f32 {
        match self.fused {
            true => a.mul_add(b, c),
            false => a * b + c,
        }
    }
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
const SUMS: usize = 16;

/// Zeros of which the compiler does not know: it keeps sums that begin with them in a whole vector, and
/// others in the pairs in which [`reduce_lanes`] joins them.
#[inline(always)]
fn zeros() -> [f32; SUMS] {
    std::hint::black_box([0.0; SUMS])
}

/// `Σ term(value)`, in interleaved sums that [`sum_lanes`] adds.
#[inline(always)]
pub fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = values.as_chunks::<SUMS>();
    let mut sums = zeros();
    for values in whole {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += term(value);
        }
    }
    if !rest.is_empty() {
        // Into lanes too: one sum could not be added as vectors.
        for (sum, &value) in sums.iter_mut().zip(rest) {
            *sum += term(value);
        }
    }
    sum_lanes(sums)
}

/// `Σ term(left, right)` over the pairs of two slices as long as one another, in interleaved sums.
#[inline(always)]
pub fn sum_pairs(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (whole, rest) = left.as_chunks::<SUMS>();
    let (whole_right, rest_right) = right.as_chunks::<SUMS>();
    let mut sums = zeros();
    for (left, right) in whole.iter().zip(whole_right) {
        for ((sum, &left), &right) in sums.iter_mut().zip(left).zip(right) {
            *sum += term(left, right);
        }
    }
    if !rest.is_empty() {
        for ((sum, &left), &right) in sums.iter_mut().zip(rest).zip(rest_right) {
            *sum += term(left, right);
        }
    }
    sum_lanes(sums)
}
