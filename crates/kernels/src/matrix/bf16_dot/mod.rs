//! Multiply-add of pairs of bf16, where processors have an instruction for it: the choice of the
//! processor's own [`Bf16Dot`].

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
mod none;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub use arm::Bf16Dot;
#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
pub use none::Bf16Dot;
#[cfg(target_arch = "x86_64")]
pub use x86::Bf16Dot;

use super::bf16::pack_pair;
use super::dot::{LARGE_TILE, WithDot};

use crate::vectors::Loop;

impl Bf16Dot {
    /// The instructions, where the processor has them and [`crate::simd_level`] allows them.
    pub fn allowed() -> Option<Self> {
        Self::try_new().filter(|_| crate::simd::allows_extensions())
    }

    /// Runs `work` with these instructions.
    pub fn run(self, work: impl WithDot) {
        self.vectorize(
            #[inline(always)]
            || work.with_dot::<_, { LARGE_TILE[0] }, { LARGE_TILE[1] }>(self),
        );
    }

    /// Rounds a run of values into words of two; an odd last value is paired with 0.
    pub fn convert(self, values: &[f32], words: &mut [u32]) {
        self.vectorize(Loop(
            #[inline(always)]
            || {
                let (vectors, rest) = values.as_chunks::<16>();
                let (whole, last) = words.as_chunks_mut::<8>();
                for (words, &vector) in whole.iter_mut().zip(vectors) {
                    *words = self.narrow(vector);
                }
                let last = whole.as_flattened_mut()[8 * vectors.len()..]
                    .iter_mut()
                    .chain(last);
                for (word, values) in last.zip(rest.chunks(2)) {
                    *word = pack_pair(values[0], values.get(1).copied().unwrap_or(0.0));
                }
            },
        ));
    }

    /// Rounds two rows into words that hold a value of each.
    pub fn stack(self, first: &[f32], second: &[f32], words: &mut [u32]) {
        self.vectorize(Loop(
            #[inline(always)]
            || {
                for ((word, &first), &second) in words.iter_mut().zip(first).zip(second) {
                    *word = pack_pair(first, second);
                }
            },
        ));
    }
}
