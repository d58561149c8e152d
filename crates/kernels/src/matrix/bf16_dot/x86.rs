use std::arch::x86_64::{_mm512_cvtneps_pbh, _mm512_dpbf16_ps};

use crate::matrix::amx::{TileNumbers, Tiles};
use crate::matrix::dot::Dot;

pulp::simd_type! {
    /// Two bf16 per word: `vdpbf16ps` of AVX-512 BF16.
    pub struct Bf16Dot {
        foundation: "avx512f",
        bytes: "avx512bw",
        lengths: "avx512vl",
        conversions: "avx512bf16",
    }
}

impl Bf16Dot {
    /// Rounds sixteen f32 to bf16, packed in eight words.
    #[inline(always)]
    pub(super) fn narrow(self, values: [f32; 16]) -> [u32; 8] {
        #[allow(unsafe_code, reason = "`pulp` does not wrap this instruction")]
        // SAFETY: a value of this type exists only where the processor has the instruction.
        let words = unsafe { _mm512_cvtneps_pbh(pulp::cast(values)) };
        pulp::cast(words)
    }
}

impl Dot for Bf16Dot {
    const LANES: usize = 16;
    type Words = pulp::u32x16;
    type Sums = pulp::f32x16;

    #[inline(always)]
    fn tiles(self) -> Option<Tiles> {
        Tiles::allowed(TileNumbers::Bf16)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> pulp::f32x16 {
        pulp::cast(self.foundation._mm512_set1_ps(value))
    }

    #[inline(always)]
    fn plus(self, left: pulp::f32x16, right: pulp::f32x16) -> pulp::f32x16 {
        let sum = self
            .foundation
            ._mm512_add_ps(pulp::cast(left), pulp::cast(right));
        pulp::cast(sum)
    }

    #[inline(always)]
    fn add(self, one: u32, words: pulp::u32x16, sums: pulp::f32x16) -> pulp::f32x16 {
        let one = self.foundation._mm512_set1_epi32(one.cast_signed());
        #[allow(unsafe_code, reason = "`pulp` does not wrap this instruction")]
        // SAFETY: a value of this type exists only where the processor has the instruction.
        let sums =
            unsafe { _mm512_dpbf16_ps(pulp::cast(sums), pulp::cast(one), pulp::cast(words)) };
        pulp::cast(sums)
    }
}
