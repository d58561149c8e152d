//! The processor's ways to multiply a word by a vector of words and add up.
//!
//! A word has 32 bits: one number of 32, or two neighbours of 16 along the axis that is summed.

use pulp::{Arch, Simd, WithSimd, bytemuck};

use super::numbers::{Numbers, pair, rounded};

use crate::vectors::{Loop, vectorized};

/// Multiplies words and adds products up in registers.
pub trait Dot: Copy {
    /// Words of a vector.
    const LANES: usize;
    /// A vector of words.
    type Words: Copy;
    /// A vector of sums.
    type Sums: Copy + bytemuck::Pod;

    /// Sums of nothing.
    fn zero(self) -> Self::Sums;
    /// A slice as vectors; what is left over is dropped.
    fn vectors(words: &[u32]) -> &[Self::Words];
    /// `sums + one · words`.
    fn add(self, one: u32, words: Self::Words, sums: Self::Sums) -> Self::Sums;
}

/// Words of one number.
#[derive(Clone, Copy, Debug)]
pub struct Singles<S>(pub S);

impl<S: Simd> Dot for Singles<S> {
    const LANES: usize = S::F32_LANES;
    type Words = S::f32s;
    type Sums = S::f32s;

    #[inline(always)]
    fn zero(self) -> S::f32s {
        self.0.splat_f32s(0.0)
    }

    #[inline(always)]
    fn vectors(words: &[u32]) -> &[S::f32s] {
        S::as_simd_f32s(bytemuck::cast_slice(words)).0
    }

    #[inline(always)]
    fn add(self, one: u32, words: S::f32s, sums: S::f32s) -> S::f32s {
        let one = self.0.splat_f32s(f32::from_bits(one));
        self.0.mul_add_f32s(one, words, sums)
    }
}

#[cfg(target_arch = "x86_64")]
pulp::simd_type! {
    /// Words of two numbers, on processors with AVX-512 BF16.
    pub struct Pairs {
        foundation: "avx512f",
        bytes: "avx512bw",
        lengths: "avx512vl",
        numbers: "avx512bf16",
    }
}

#[cfg(target_arch = "x86_64")]
impl Pairs {
    /// Sixteen numbers as eight words.
    #[inline(always)]
    fn narrow(self, numbers: [f32; 16]) -> [u32; 8] {
        #[allow(unsafe_code, reason = "`pulp` does not wrap this instruction")]
        // SAFETY: a value of this type exists only where the processor has the instruction.
        let words = unsafe { std::arch::x86_64::_mm512_cvtneps_pbh(pulp::cast(numbers)) };
        pulp::cast(words)
    }
}

#[cfg(target_arch = "x86_64")]
impl Dot for Pairs {
    const LANES: usize = 16;
    type Words = pulp::u32x16;
    type Sums = pulp::f32x16;

    #[inline(always)]
    fn zero(self) -> pulp::f32x16 {
        bytemuck::Zeroable::zeroed()
    }

    #[inline(always)]
    fn vectors(words: &[u32]) -> &[pulp::u32x16] {
        let whole = words.len() / Self::LANES * Self::LANES;
        bytemuck::cast_slice(&words[..whole])
    }

    #[inline(always)]
    fn add(self, one: u32, words: pulp::u32x16, sums: pulp::f32x16) -> pulp::f32x16 {
        let one = self.foundation._mm512_set1_epi32(one.cast_signed());
        #[allow(unsafe_code, reason = "`pulp` does not wrap this instruction")]
        // SAFETY: a value of this type exists only where the processor has the instruction.
        let sums = unsafe {
            std::arch::x86_64::_mm512_dpbf16_ps(
                pulp::cast(sums),
                pulp::cast(one),
                pulp::cast(words),
            )
        };
        pulp::cast(sums)
    }
}

/// A way that this processor has.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// Numbers of 32 bits.
    Singles(Arch),
    /// Numbers rounded to 16 bits, multiplied as ones of 32.
    Rounded(Arch),
    /// Pairs of 16 bits.
    #[cfg(target_arch = "x86_64")]
    Pairs(Pairs),
}

/// Work that is written once for all units.
pub trait WithDot {
    /// Does it, holding the sums of `HELD` rows in registers.
    fn with_dot<D: Dot, const HELD: usize>(self, dot: D);
}

/// Rows whose sums are held by processors with 32 registers, which come with sixteen lanes.
pub const MANY_ROWS: usize = 8;
const FEW_ROWS: usize = 4;

impl Unit {
    /// The best for these numbers.
    pub fn of(numbers: Numbers) -> Self {
        match numbers {
            Numbers::F32 => Self::Singles(Arch::new()),
            #[cfg(target_arch = "x86_64")]
            Numbers::Bf16 if let Some(pairs) = Pairs::try_new() => Self::Pairs(pairs),
            Numbers::Bf16 => Self::Rounded(Arch::new()),
        }
    }

    /// Words that hold `count` numbers.
    pub fn words(self, count: usize) -> usize {
        count.div_ceil(self.numbers_per_word())
    }

    /// Numbers in a word.
    pub fn numbers_per_word(self) -> usize {
        match self {
            Self::Singles(_) | Self::Rounded(_) => 1,
            #[cfg(target_arch = "x86_64")]
            Self::Pairs(_) => 2,
        }
    }

    /// Words of a vector.
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
            Self::Singles(arch) | Self::Rounded(arch) => arch.dispatch(Lanes),
            #[cfg(target_arch = "x86_64")]
            Self::Pairs(_) => Pairs::LANES,
        }
    }

    /// Does `work` with this unit.
    pub fn run(self, work: impl WithDot) {
        match self {
            Self::Singles(arch) | Self::Rounded(arch) => arch.dispatch(OnSingles(work)),
            #[cfg(target_arch = "x86_64")]
            Self::Pairs(pairs) => pairs.vectorize(
                #[inline(always)]
                || work.with_dot::<_, MANY_ROWS>(pairs),
            ),
        }
    }

    /// One word: a number, and the one behind it where a word has two.
    #[inline(always)]
    pub fn word(self, first: f32, second: f32) -> u32 {
        match self {
            Self::Singles(_) => first.to_bits(),
            Self::Rounded(_) => rounded(first),
            #[cfg(target_arch = "x86_64")]
            Self::Pairs(_) => pair(first, second),
        }
    }

    /// Neighbouring numbers as words.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn convert(self, numbers: &[f32], words: &mut [u32]) {
        assert_eq!(self.words(numbers.len()), words.len());
        match self {
            Self::Singles(_) => words.copy_from_slice(bytemuck::cast_slice(numbers)),
            Self::Rounded(_) => vectorized(
                #[inline(always)]
                || {
                    for (word, &number) in words.iter_mut().zip(numbers) {
                        *word = rounded(number);
                    }
                },
            ),
            #[cfg(target_arch = "x86_64")]
            Self::Pairs(pairs) => pairs.vectorize(Loop(
                #[inline(always)]
                || {
                    let (vectors, rest) = numbers.as_chunks::<16>();
                    let (whole, last) = words.as_chunks_mut::<8>();
                    for (words, &vector) in whole.iter_mut().zip(vectors) {
                        *words = pairs.narrow(vector);
                    }
                    let last = whole.as_flattened_mut()[8 * vectors.len()..]
                        .iter_mut()
                        .chain(last);
                    for (word, numbers) in last.zip(rest.chunks(2)) {
                        *word = pair(numbers[0], numbers.get(1).copied().unwrap_or(0.0));
                    }
                },
            )),
        }
    }

    /// Words of numbers that lie in rows, one below the other: as many rows as a word has numbers,
    /// or fewer, where the rest is 0.
    ///
    /// # Panics
    /// When there is no row.
    pub fn stack(self, rows: &[&[f32]], words: &mut [u32]) {
        match (self, rows) {
            #[cfg(target_arch = "x86_64")]
            (Self::Pairs(pairs), [first, second]) => pairs.vectorize(Loop(
                #[inline(always)]
                || {
                    for ((word, &first), &second) in words.iter_mut().zip(*first).zip(*second) {
                        *word = pair(first, second);
                    }
                },
            )),
            #[cfg(target_arch = "x86_64")]
            (Self::Pairs(_), [only]) => {
                for (word, &only) in words.iter_mut().zip(*only) {
                    *word = pair(only, 0.0);
                }
            }
            _ => self.convert(rows[0], words),
        }
    }
}

/// [`WithDot`] for `pulp`.
struct OnSingles<W>(W);

impl<W: WithDot> WithSimd for OnSingles<W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.0.with_dot::<_, MANY_ROWS>(Singles(simd)),
            _ => self.0.with_dot::<_, FEW_ROWS>(Singles(simd)),
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// Both ways of 16 bits hold the same numbers, whichever of them this processor takes.
    #[test]
    fn pairs_hold_what_rounding_gives() {
        let Unit::Pairs(pairs) = Unit::of(Numbers::Bf16) else {
            return;
        };
        let numbers: Vec<f32> = (0..37).map(|i| (i as f32 * 0.737).sin() * 3.0).collect();
        let singly = |numbers: &[f32]| {
            let mut words = vec![0; numbers.len()];
            Unit::Rounded(Arch::new()).convert(numbers, &mut words);
            words
        };
        let halves = |words: Vec<u32>| -> Vec<u32> {
            let halves = words
                .into_iter()
                .flat_map(|word| [word << 16, word & 0xffff_0000]);
            halves.collect()
        };
        let unit = Unit::Pairs(pairs);
        for count in [1, 2, 15, 16, 17, 31, 32, 37] {
            let mut words = vec![0; unit.words(count)];
            unit.convert(&numbers[..count], &mut words);
            assert_eq!(halves(words)[..count], singly(&numbers[..count]), "{count}");
        }
        let (above, below) = numbers.split_at(18);
        let mut words = vec![0; 18];
        unit.stack(&[above, &below[..18]], &mut words);
        let expected = singly(above).into_iter().zip(singly(below));
        let expected: Vec<u32> = expected.flat_map(|(a, b)| [a, b]).collect();
        assert_eq!(halves(words), expected);
    }
}
