//! Rounding to bfloat16, and two of them in a word.

/// The nearest bf16, ties to even, in the upper half of the word; NaN stays NaN.
#[inline(always)]
pub fn round_to_bf16(x: f32) -> u32 {
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

/// Two values rounded to bf16 in one word, the first in the lower half.
#[inline(always)]
pub fn pack_pair(first: f32, second: f32) -> u32 {
    round_to_bf16(first) >> 16 | round_to_bf16(second)
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
            assert_eq!(f32::from_bits(round_to_bf16(x)), expected, "{x}");
        }
        assert!(f32::from_bits(round_to_bf16(f32::from_bits(0x7fff_ffff))).is_nan());
        assert_eq!(pack_pair(1.0, -2.0), 0xc000_3f80);
    }
}
