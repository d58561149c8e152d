use std::arch::x86_64::{_mm256_dpbusd_avx_epi32, _mm512_dpbusd_epi32};
use std::sync::LazyLock;

use crate::matrix::amx::{SIDE as TILE_SIDE, TileNumbers, Tiles, WIDEST};
use crate::matrix::dot::{Dot, LARGE_TILE, SMALL_TILE, WithDot};
use crate::simd::{SimdLevel, level};

/// `vpdpbusd`: four whole numbers of the left factor, 0 to 255, times four of the right one, −128 to 127, added
/// to a sum of 32 bits.
#[derive(Clone, Copy, Debug)]
pub enum Int8Dot {
    /// Of AVX-512 VNNI.
    Sixteen(SixteenLanes),
    /// Of AVX-VNNI, which processors without AVX-512 have.
    Eight(EightLanes),
}

impl Int8Dot {
    /// What is added to the left factor's numbers, whose bytes have no sign.
    pub const OFFSET: u8 = 128;

    /// The instructions, where the processor has them and [`crate::simd_level`] allows vectors of their length.
    pub fn allowed() -> Option<Self> {
        match level() {
            SimdLevel::Avx512 | SimdLevel::Amx => SixteenLanes::try_new().map(Self::Sixteen),
            SimdLevel::Avx2 => EightLanes::try_new().map(Self::Eight),
            _ => None,
        }
    }

    /// Words of a vector register.
    pub fn lanes(self) -> usize {
        match self {
            Self::Sixteen(_) => SixteenLanes::LANES,
            Self::Eight(_) => EightLanes::LANES,
        }
    }

    /// Rows and vectors of a register tile.
    pub fn tile(self) -> [usize; 2] {
        match self {
            Self::Sixteen(dot) if dot.tiles().is_some() => [TILE_SIDE, WIDEST],
            Self::Sixteen(_) => LARGE_TILE,
            Self::Eight(_) => SMALL_TILE,
        }
    }

    /// Runs `work` with these instructions.
    pub fn run(self, work: impl WithDot) {
        match self {
            Self::Sixteen(dot) => dot.vectorize(
                #[inline(always)]
                || work.with_dot::<_, { LARGE_TILE[0] }, { LARGE_TILE[1] }>(dot),
            ),
            Self::Eight(dot) => dot.vectorize(
                #[inline(always)]
                || work.with_dot::<_, { SMALL_TILE[0] }, { SMALL_TILE[1] }>(dot),
            ),
        }
    }
}

pulp::simd_type! {
    /// Of AVX-512 VNNI.
    pub struct SixteenLanes {
        foundation: "avx512f",
        bytes: "avx512bw",
        lengths: "avx512vl",
        products: "avx512vnni",
    }
}

impl Dot for SixteenLanes {
    const LANES: usize = 16;
    const DEPTH: usize = usize::MAX;
    type Words = pulp::u32x16;
    type Sums = pulp::i32x16;

    #[inline(always)]
    fn tiles(self) -> Option<Tiles> {
        Tiles::allowed(TileNumbers::Int8)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> pulp::i32x16 {
        pulp::cast(self.foundation._mm512_set1_ps(value))
    }

    #[inline(always)]
    fn plus(self, left: pulp::i32x16, right: pulp::i32x16) -> pulp::i32x16 {
        let sum = self
            .foundation
            ._mm512_add_epi32(pulp::cast(left), pulp::cast(right));
        pulp::cast(sum)
    }

    #[inline(always)]
    fn add(self, one: u32, words: pulp::u32x16, sums: pulp::i32x16) -> pulp::i32x16 {
        let one = self.foundation._mm512_set1_epi32(one.cast_signed());
        #[allow(unsafe_code, reason = "`pulp` does not wrap this instruction")]
        // SAFETY: a value of this type exists only where the processor has the instruction.
        let sums = unsafe { _mm512_dpbusd_epi32(pulp::cast(sums), one, pulp::cast(words)) };
        pulp::cast(sums)
    }
}

/// Of AVX-VNNI, which `pulp` does not know.
#[derive(Clone, Copy, Debug)]
pub struct EightLanes(pulp::x86::V3);

impl EightLanes {
    fn try_new() -> Option<Self> {
        static FOUND: LazyLock<Option<EightLanes>> = LazyLock::new(|| {
            let vectors = pulp::x86::V3::try_new();
            let vectors = vectors.filter(|_| std::is_x86_feature_detected!("avxvnni"));
            vectors.map(EightLanes)
        });
        *FOUND
    }

    #[inline(always)]
    fn vectorize(self, work: impl FnOnce()) {
        #[target_feature(enable = "avx2,fma,avxvnni")]
        fn compiled(work: impl FnOnce()) {
            work();
        }
        #[allow(unsafe_code, reason = "`pulp` does not know these instructions")]
        // SAFETY: a value of this type exists only where the processor has the instructions.
        unsafe {
            compiled(work);
        }
    }
}

impl Dot for EightLanes {
    const LANES: usize = 8;
    const DEPTH: usize = usize::MAX;
    type Words = pulp::u32x8;
    type Sums = pulp::i32x8;

    #[inline(always)]
    fn splat(self, value: f32) -> pulp::i32x8 {
        pulp::cast(self.0.avx._mm256_set1_ps(value))
    }

    #[inline(always)]
    fn plus(self, left: pulp::i32x8, right: pulp::i32x8) -> pulp::i32x8 {
        let sum = self
            .0
            .avx2
            ._mm256_add_epi32(pulp::cast(left), pulp::cast(right));
        pulp::cast(sum)
    }

    #[inline(always)]
    fn add(self, one: u32, words: pulp::u32x8, sums: pulp::i32x8) -> pulp::i32x8 {
        let one = self.0.avx._mm256_set1_epi32(one.cast_signed());
        #[allow(unsafe_code, reason = "`pulp` does not know this instruction")]
        // SAFETY: a value of this type exists only where the processor has the instruction.
        let sums = unsafe { _mm256_dpbusd_avx_epi32(pulp::cast(sums), one, pulp::cast(words)) };
        pulp::cast(sums)
    }
}
