//! Exponential, sigmoid and error function without branches, so that the compiler can vectorise them.

use crate::vectors::MulAdd;

/// `e^x`, within 2 units in the last place; 0 below −87.3 and the largest finite power above 88.3.
///
/// Cody and Waite's reduction to `[-ln 2 / 2, ln 2 / 2]` and a polynomial of Taylor's form refitted
/// to that interval.
#[inline(always)]
pub fn exp(mul_add: MulAdd, x: f32) -> f32 {
    // Adding and subtracting this rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let below = x < -87.3;
    let clamped = clamp(x, -87.3, 88.3);
    let shifted = mul_add.of(clamped, std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let rest = mul_add.of(whole, -LN_2_HIGH, clamped);
    let rest = mul_add.of(whole, -LN_2_LOW, rest);
    // In pairs (Estrin's scheme), which wait for each other less than Horner's steps.
    let square = rest * rest;
    let highest = mul_add.of(1.987_569_2e-4, rest, 1.398_2e-3);
    let middle = mul_add.of(8.333_452e-3, rest, 4.166_579_6e-2);
    let lowest = mul_add.of(1.666_666_6e-1, rest, 5e-1);
    let sum = mul_add.of(mul_add.of(highest, square, middle), square, lowest);
    let mantissa = mul_add.of(sum, square, rest) + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if below { 0.0 } else { mantissa * power }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(mul_add: MulAdd, x: f32) -> f32 {
    1.0 / (1.0 + exp(mul_add, -x))
}

/// The Gauss error function, within 4e-7: a ratio of polynomials in `x²` on `[-4, 4]`, beyond
/// which it is ±1 in f32.
#[inline(always)]
pub fn erf(mul_add: MulAdd, x: f32) -> f32 {
    let x = clamp(x, -4.0, 4.0);
    let square = x * x;
    let mut above = -2.726_142e-10;
    for coefficient in [
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_6e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ] {
        above = mul_add.of(above, square, coefficient);
    }
    let mut below = -1.456_607_2e-5;
    for coefficient in [
        -2.133_740_6e-4,
        -1.682_826_9e-3,
        -7.373_329_4e-3,
        -1.426_473_9e-2,
    ] {
        below = mul_add.of(below, square, coefficient);
    }
    x * above / below
}

/// `x` clamped to `[low, high]`; NaN stays NaN, as in PyTorch.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

#[cfg(test)]
mod tests {
    use crate::vectors::vectorized_sums;

    use super::*;

    /// A function as this processor's loops compute it.
    fn with_vectors(function: impl Fn(MulAdd, f32) -> f32, x: f32) -> f32 {
        vectorized_sums(
            #[inline(always)]
            |mul_add| function(mul_add, x),
        )
    }

    #[test]
    fn exponentials_agree_with_the_library_s() {
        for step in -8700..=8800 {
            let x = step as f32 * 0.01 + 0.003;
            if !(-87.3..=88.3).contains(&x) {
                continue;
            }
            let expected = f64::from(x).exp();
            let error = (f64::from(with_vectors(exp, x)) / expected - 1.0).abs();
            assert!(error < 2.4e-7, "{x}: {error:e}");
        }
        assert_eq!(with_vectors(exp, -1e9), 0.0);
        assert!(with_vectors(exp, 1e9).is_finite());
        assert!(with_vectors(exp, f32::NAN).is_nan());
        assert!(with_vectors(sigmoid, -200.0) < f32::MIN_POSITIVE);
        assert_eq!(with_vectors(sigmoid, 200.0), 1.0);
    }

    /// By the alternating series, which is exact enough in f64 up to 4.
    fn erf_series(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..120 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn the_error_function_agrees_with_its_series() {
        for step in -400..=400 {
            let x = step as f32 * 0.01;
            let error = (f64::from(with_vectors(erf, x)) - erf_series(f64::from(x))).abs();
            assert!(error < 4e-7, "{x}: {error:e}");
        }
        assert!((with_vectors(erf, 30.0) - 1.0).abs() < 1e-6);
        assert!(with_vectors(erf, f32::NAN).is_nan());
    }
}
