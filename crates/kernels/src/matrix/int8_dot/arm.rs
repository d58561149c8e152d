use std::arch::aarch64::{int32x4_t, uint32x4_t};
use std::arch::asm;

use crate::matrix::dot::{Dot, LARGE_TILE, WithDot};

pulp::simd_type! {
    /// `sdot` of Armv8.2 (`FEAT_DotProd`): four whole numbers of either factor, −128 to 127, added to a sum of
    /// 32 bits.
    pub struct Int8Dot {
        vectors: "neon",
        products: "dotprod",
    }
}

impl Int8Dot {
    /// What is added to the left factor's numbers.
    pub const OFFSET: u8 = 0;

    /// The instructions, where the processor has them and [`crate::simd_level`] allows them.
    pub fn allowed() -> Option<Self> {
        Self::try_new().filter(|_| crate::simd::allows_extensions())
    }

    /// Words of a vector register.
    pub fn lanes(self) -> usize {
        Self::LANES
    }

    /// Rows and vectors of a register tile.
    pub fn tile(self) -> [usize; 2] {
        LARGE_TILE
    }

    /// Runs `work` with these instructions.
    pub fn run(self, work: impl WithDot) {
        self.vectorize(
            #[inline(always)]
            || work.with_dot::<_, { LARGE_TILE[0] }, { LARGE_TILE[1] }>(self),
        );
    }
}

impl Dot for Int8Dot {
    const LANES: usize = 4;
    const DEPTH: usize = usize::MAX;
    type Words = pulp::u32x4;
    type Sums = pulp::i32x4;

    #[inline(always)]
    fn splat(self, value: f32) -> pulp::i32x4 {
        pulp::cast(self.vectors.vdupq_n_f32(value))
    }

    #[inline(always)]
    fn plus(self, left: pulp::i32x4, right: pulp::i32x4) -> pulp::i32x4 {
        pulp::cast(self.vectors.vaddq_s32(pulp::cast(left), pulp::cast(right)))
    }

    #[inline(always)]
    fn add(self, one: u32, words: pulp::u32x4, sums: pulp::i32x4) -> pulp::i32x4 {
        let one = self.vectors.vdupq_n_u32(one);
        let words: uint32x4_t = pulp::cast(words);
        let mut sums: int32x4_t = pulp::cast(sums);
        #[allow(
            unsafe_code,
            reason = "Rust's library has no name for this instruction yet"
        )]
        // SAFETY: a value of this type exists only where the processor has the instruction, which works on
        // registers alone.
        unsafe {
            asm!(
                "sdot {sums:v}.4s, {one:v}.16b, {words:v}.16b",
                sums = inout(vreg) sums,
                one = in(vreg) one,
                words = in(vreg) words,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        pulp::cast(sums)
    }
}
