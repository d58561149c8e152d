//! What the numbers are that products multiply.

use std::cell::Cell;

/// The numbers that products of convolutions, linear layers and attention multiply. They are added
/// up in 32 bits in either case, and what lies between layers has 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Numbers {
    /// 32 bits.
    #[default]
    F32,
    /// Factors rounded to 16 bits with the range of 32. A processor with AVX-512 BF16 multiplies
    /// twice as many at once; any other gives the same results at the pace of 32 bits.
    Bf16,
}

thread_local! {
    static CHOSEN: Cell<Numbers> = const { Cell::new(Numbers::F32) };
}

impl Numbers {
    /// Does `work`, in which this thread's products multiply these numbers.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        let before = CHOSEN.replace(self);
        let result = work();
        CHOSEN.set(before);
        result
    }

    /// What this thread's products multiply.
    pub fn chosen() -> Self {
        CHOSEN.get()
    }

    /// Whether this processor multiplies them as they are.
    pub fn is_native(self) -> bool {
        match self {
            Self::F32 => true,
            #[cfg(target_arch = "x86_64")]
            Self::Bf16 => super::unit::Pairs::try_new().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Bf16 => false,
        }
    }
}

/// The nearest number of 16 bits, ties to the even one, in the upper half of its 32.
#[inline(always)]
pub(crate) fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    // Rounding could carry a not-a-number's payload into an infinity.
    let not_a_number = bits & 0x7fff_ffff > 0x7f80_0000;
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    (if not_a_number {
        bits | 0x0040_0000
    } else {
        nearest
    }) & 0xffff_0000
}

/// Two numbers of 16 bits in one word, the first in its lower half.
#[inline(always)]
pub(crate) fn pair(first: f32, second: f32) -> u32 {
    rounded(first) >> 16 | rounded(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_to_the_nearest_and_even() {
        // One step of the 16 bits above 1 is 2^-7.
        let step = 2f32.powi(-7);
        for (x, expected) in [
            (1.0, 1.0),
            (1.0 + 0.49 * step, 1.0),
            (1.0 + 0.5 * step, 1.0),
            (1.0 + 0.51 * step, 1.0 + step),
            (1.0 + 1.5 * step, 1.0 + 2.0 * step),
            (-1.0 - 0.51 * step, -1.0 - step),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            assert_eq!(f32::from_bits(rounded(x)), expected, "{x}");
        }
        assert!(f32::from_bits(rounded(f32::from_bits(0x7fff_ffff))).is_nan());
        assert_eq!(pair(1.0, -2.0), 0xc000_3f80);
    }
}
