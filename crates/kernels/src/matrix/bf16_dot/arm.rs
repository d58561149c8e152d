use std::arch::aarch64::{float32x4_t, uint32x4_t};
use std::arch::asm;

use crate::matrix::dot::Dot;

pulp::simd_type! {
    /// Two bf16 per word: `bfdot` of Armv8.6 (`FEAT_BF16`).
    pub struct Bf16Dot {
        vectors: "neon",
        pairs: "bf16",
    }
}

impl Bf16Dot {
    /// Rounds sixteen f32 to bf16, packed in eight words.
    #[inline(always)]
    pub(super) fn narrow(self, values: [f32; 16]) -> [u32; 8] {
        let [first, second]: [[f32; 8]; 2] = pulp::cast(values);
        pulp::cast([self.narrow_half(first), self.narrow_half(second)])
    }

    #[inline(always)]
    fn narrow_half(self, values: [f32; 8]) -> [u32; 4] {
        let [low, high]: [float32x4_t; 2] = pulp::cast(values);
        let mut words: uint32x4_t;
        #[allow(
            unsafe_code,
            reason = "Rust's library has no name for these instructions yet"
        )]
        // SAFETY: a value of this type exists only where the processor has the instructions, which
        // work on registers alone.
        unsafe {
            asm!(
                "bfcvtn {words:v}.4h, {low:v}.4s",
                "bfcvtn2 {words:v}.8h, {high:v}.4s",
                words = out(vreg) words,
                low = in(vreg) low,
                high = in(vreg) high,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        pulp::cast(words)
    }
}

impl Dot for Bf16Dot {
    const LANES: usize = 4;
    type Words = pulp::u32x4;
    type Sums = pulp::f32x4;

    #[inline(always)]
    fn splat(self, value: f32) -> pulp::f32x4 {
        pulp::cast(self.vectors.vdupq_n_f32(value))
    }

    #[inline(always)]
    fn plus(self, left: pulp::f32x4, right: pulp::f32x4) -> pulp::f32x4 {
        pulp::cast(self.vectors.vaddq_f32(pulp::cast(left), pulp::cast(right)))
    }

    #[inline(always)]
    fn add(self, one: u32, words: pulp::u32x4, sums: pulp::f32x4) -> pulp::f32x4 {
        let one = self.vectors.vdupq_n_u32(one);
        let words: uint32x4_t = pulp::cast(words);
        let mut sums: float32x4_t = pulp::cast(sums);
        #[allow(
            unsafe_code,
            reason = "Rust's library has no name for this instruction yet"
        )]
        // SAFETY: a value of this type exists only where the processor has the instruction, which works on
        // registers alone.
        unsafe {
            asm!(
                "bfdot {sums:v}.4s, {one:v}.8h, {words:v}.8h",
                sums = inout(vreg) sums,
                one = in(vreg) one,
                words = in(vreg) words,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        pulp::cast(sums)
    }
}
