//! Multiply-add of a broadcast word and a vector of words, for each kind of instruction.
//!
//! A word has 32 bits: one f32, or two bf16 or four whole numbers that are neighbours along the axis that is summed.

use pulp::{Arch, Simd, WithSimd, bytemuck};

use super::amx::{SIDE as TILE_SIDE, Tiles, WIDEST};
use super::bf16::{pack_pair, round_to_bf16};
use super::bf16_dot::Bf16Dot;
use super::int8_dot::Int8Dot;
use super::precision::MulPrecision;

use crate::simd::arch;
use crate::vectors::vectorized;

/// Instructions that multiply words and add the products to sums in registers.
pub trait Dot: Copy {
    /// Words, and sums, of a vector.
    const LANES: usize;
    /// Words of depth that are summed before sums go to memory, so that a panel stays in the L2 cache.
    const DEPTH: usize = 512;
    /// A vector register of words.
    type Words: Copy + bytemuck::Pod;
    /// A vector register of sums: f32, or whole numbers of 32 bits.
    type Sums: Copy + bytemuck::Pod;

    /// Registers that hold whole tiles of the same words, in which a product of tiles is one instruction.
    #[inline(always)]
    fn tiles(self) -> Option<Tiles> {
        None
    }

    /// One value in every lane.
    fn splat(self, value: f32) -> Self::Sums;
    /// The sum of two vectors, lane by lane.
    fn plus(self, left: Self::Sums, right: Self::Sums) -> Self::Sums;
    /// The slice as whole vectors; up to `LANES - 1` words at its end are left out.
    #[inline(always)]
    fn vectors(words: &[u32]) -> &[Self::Words] {
        let whole = words.len() / Self::LANES * Self::LANES;
        bytemuck::cast_slice(&words[..whole])
    }

    /// `sums + one · words`, lane by lane; with several numbers per word, all products are added.
    fn add(self, one: u32, words: Self::Words, sums: Self::Sums) -> Self::Sums;
}

/// One f32 per word: fused multiply-add of the vectors that `pulp` offers.
#[derive(Clone, Copy, Debug)]
pub struct F32Dot<S>(pub S);

impl<S: Simd> Dot for F32Dot<S> {
    const LANES: usize = S::F32_LANES;
    type Words = S::f32s;
    type Sums = S::f32s;

    #[inline(always)]
    fn splat(self, value: f32) -> S::f32s {
        self.0.splat_f32s(value)
    }

    #[inline(always)]
    fn plus(self, left: S::f32s, right: S::f32s) -> S::f32s {
        self.0.add_f32s(left, right)
    }

    #[inline(always)]
    fn add(self, one: u32, words: S::f32s, sums: S::f32s) -> S::f32s {
        let one = self.0.splat_f32s(f32::from_bits(one));
        self.0.mul_add_f32s(one, words, sums)
    }
}

/// The multiply-add instructions to use, of those that this processor has.
#[derive(Clone, Copy, Debug)]
pub enum DotUnit {
    /// f32.
    F32(Arch),
    /// Factors rounded to bf16 and multiplied as f32.
    RoundedBf16(Arch),
    /// Pairs of bf16.
    Bf16(Bf16Dot),
}

/// A loop that is written once and compiled for every kind of instruction.
pub trait WithDot {
    /// Runs it with `dot`, holding the sums of `ROWS` rows times `VECTORS` vectors in registers.
    fn with_dot<D: Dot, const ROWS: usize, const VECTORS: usize>(self, dot: D);
}

/// Rows and vectors of a register tile where there are 32 vector registers (AVX-512, NEON): 24 sums, three
/// vectors of the right factor, and words of the left one that are broadcast as they are multiplied.
pub const LARGE_TILE: [usize; 2] = [8, 3];
/// Where there are 16 vector registers: 12 sums, two vectors and a broadcast word. A tile that filled the
/// last register too, 4 × 3, took up to twice as long: compilers put a sum into memory at every step.
pub const SMALL_TILE: [usize; 2] = [6, 2];

/// Whether instructions whose vectors have so many f32 have 32 registers for them: those of AVX-512 and
/// NEON. AVX2 has 16, and so have plain instructions on x86-64.
const fn has_32_registers(lanes: usize) -> bool {
    matches!(lanes, 4 | 16)
}

/// Sums of the larger tile.
pub const MAX_TILE: usize = LARGE_TILE[0] * LARGE_TILE[1] * 16;

impl DotUnit {
    /// The fastest that this processor has for a precision.
    pub fn of(precision: MulPrecision) -> Self {
        match precision {
            MulPrecision::F32 | MulPrecision::Int8 => Self::F32(arch()),
            MulPrecision::Bf16 => match Bf16Dot::allowed() {
                Some(pairs) => Self::Bf16(pairs),
                None => Self::RoundedBf16(arch()),
            },
        }
    }

    /// Words that hold `count` values.
    pub fn words(self, count: usize) -> usize {
        count.div_ceil(self.values_per_word())
    }

    /// Values per word: 2 with pairs of bf16, else 1.
    pub fn values_per_word(self) -> usize {
        match self {
            Self::F32(_) | Self::RoundedBf16(_) => 1,
            Self::Bf16(_) => 2,
        }
    }

    /// Words of a vector register.
    pub fn lanes(self) -> usize {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;

            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        match self {
            Self::F32(arch) | Self::RoundedBf16(arch) => arch.dispatch(Lanes),
            Self::Bf16(_) => Bf16Dot::LANES,
        }
    }

    /// Rows and vectors of a register tile.
    pub fn tile(self) -> [usize; 2] {
        if self.tiles().is_some() {
            return [TILE_SIDE, WIDEST];
        }
        match has_32_registers(self.lanes()) {
            true => LARGE_TILE,
            false => SMALL_TILE,
        }
    }

    /// Registers for whole tiles, where products use them.
    pub fn tiles(self) -> Option<Tiles> {
        match self {
            Self::F32(_) | Self::RoundedBf16(_) => None,
            Self::Bf16(pairs) => pairs.tiles(),
        }
    }

    /// Runs `work` with these instructions.
    pub fn run(self, work: impl WithDot) {
        match self {
            Self::F32(arch) | Self::RoundedBf16(arch) => arch.dispatch(OnF32(work)),
            Self::Bf16(pairs) => pairs.run(work),
        }
    }

    /// The word of a value, or of two where a word holds two.
    #[inline(always)]
    pub fn word(self, first: f32, second: f32) -> u32 {
        match self {
            Self::F32(_) => first.to_bits(),
            Self::RoundedBf16(_) => round_to_bf16(first),
            Self::Bf16(_) => pack_pair(first, second),
        }
    }

    /// Rounds a run of values into words; an odd last value is paired with 0.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn convert(self, values: &[f32], words: &mut [u32]) {
        assert_eq!(self.words(values.len()), words.len());
        match self {
            Self::F32(_) => copy_words(bytemuck::cast_slice(values), words),
            Self::RoundedBf16(_) => vectorized(
                #[inline(always)]
                || {
                    for (word, &value) in words.iter_mut().zip(values) {
                        *word = round_to_bf16(value);
                    }
                },
            ),
            Self::Bf16(pairs) => pairs.convert(values, words),
        }
    }

    /// Rounds rows into words that hold one value of each row; there are as many rows as values per
    /// word, or fewer, where the missing ones are 0.
    ///
    /// # Panics
    /// When there is no row.
    pub fn stack(self, rows: &[&[f32]], words: &mut [u32]) {
        match (self, rows) {
            (Self::Bf16(pairs), [first, second]) => pairs.stack(first, second, words),
            (Self::Bf16(_), [only]) => {
                for (word, &only) in words.iter_mut().zip(*only) {
                    *word = pack_pair(only, 0.0);
                }
            }
            _ => self.convert(rows[0], words),
        }
    }
}

/// Copies a row that may be short, of which there are many: without a call for each.
#[inline(always)]
fn copy_words(from: &[u32], to: &mut [u32]) {
    let (whole, rest) = from.as_chunks::<16>();
    let (whole_to, rest_to) = to.as_chunks_mut::<16>();
    for (to, from) in whole_to.iter_mut().zip(whole) {
        *to = *from;
    }
    for (to, from) in rest_to.iter_mut().zip(rest) {
        *to = *from;
    }
}

impl MulPrecision {
    /// Whether this processor has instructions that multiply this precision; without, products run at
    /// the speed of f32.
    pub fn is_native(self) -> bool {
        match self {
            Self::F32 => true,
            Self::Bf16 => Bf16Dot::allowed().is_some(),
            Self::Int8 => Int8Dot::allowed().is_some(),
        }
    }
}

/// [`WithDot`] for `pulp`.
struct OnF32<W>(W);

impl<W: WithDot> WithSimd for OnF32<W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let work = self.0;
        match has_32_registers(S::F32_LANES) {
            true => work.with_dot::<_, { LARGE_TILE[0] }, { LARGE_TILE[1] }>(F32Dot(simd)),
            false => work.with_dot::<_, { SMALL_TILE[0] }, { SMALL_TILE[1] }>(F32Dot(simd)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways to round to bf16 give the same values.
    #[test]
    fn pairs_hold_the_rounded_values() {
        let DotUnit::Bf16(pairs) = DotUnit::of(MulPrecision::Bf16) else {
            return;
        };
        let values: Vec<f32> = (0..37).map(|i| (i as f32 * 0.737).sin() * 3.0).collect();
        let singly = |values: &[f32]| {
            let mut words = vec![0; values.len()];
            DotUnit::RoundedBf16(Arch::new()).convert(values, &mut words);
            words
        };
        let halves = |words: Vec<u32>| -> Vec<u32> {
            let halves = words
                .into_iter()
                .flat_map(|word| [word << 16, word & 0xffff_0000]);
            halves.collect()
        };
        let unit = DotUnit::Bf16(pairs);
        for count in [1, 2, 15, 16, 17, 31, 32, 37] {
            let mut words = vec![0; unit.words(count)];
            unit.convert(&values[..count], &mut words);
            assert_eq!(halves(words)[..count], singly(&values[..count]), "{count}");
        }
        let (above, below) = values.split_at(18);
        let mut words = vec![0; 18];
        unit.stack(&[above, &below[..18]], &mut words);
        let expected = singly(above).into_iter().zip(singly(below));
        let expected: Vec<u32> = expected.flat_map(|(a, b)| [a, b]).collect();
        assert_eq!(halves(words), expected);
    }
}
