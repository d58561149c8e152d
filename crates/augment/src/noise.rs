use std::f32::consts::{LN_2, PI, SQRT_2};

/// Voxels whose noise is made at once: half of them by the cosine, half by the sine.
const CHUNK: usize = 32;
const PAIRS: usize = CHUNK / 2;

/// Gaussian noise that follows from a seed and a voxel's place, so that it can be made anywhere, in
/// any order, in vectors: a counter is hashed twice to two uniform numbers, which become two normal
/// ones by Box and Muller's transform.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    deviation: f32,
    keys: [u32; 2],
}

impl Noise {
    /// Of standard deviation `deviation`.
    pub fn new(deviation: f32, seed: u64) -> Self {
        Self {
            deviation,
            keys: [seed as u32, (seed >> 32) as u32],
        }
    }

    /// Adds noise to intensities, the first of which is voxel `first` of the sample; they stay
    /// within 0 to 65535.
    #[inline(always)]
    pub fn add(&self, first: usize, line: &mut [f32]) {
        let mut noise = [0.0; CHUNK];
        for (index, values) in line.chunks_mut(CHUNK).enumerate() {
            self.chunk((first + index * CHUNK) as u32, &mut noise);
            for (value, noise) in values.iter_mut().zip(&noise) {
                *value = (*value + self.deviation * noise).clamp(0.0, f32::from(u16::MAX));
            }
        }
    }

    #[inline(always)]
    fn chunk(&self, first: u32, noise: &mut [f32; CHUNK]) {
        for pair in 0..PAIRS {
            let counter = first.wrapping_add(pair as u32) ^ self.keys[0];
            let length = scrambled(counter);
            let angle = scrambled(length.wrapping_add(self.keys[1]));
            // Above 0, up to 1, and from −1/2 to 1/2.
            let share = ((length >> 8) as i32 as f32 + 0.5) / 16_777_216.0;
            let turn = (angle as i32 >> 8) as f32 / 16_777_216.0;
            let radius = (-2.0 * ln(share)).max(0.0).sqrt();
            let (sine, cosine) = sine_and_cosine(turn);
            noise[pair] = radius * cosine;
            noise[pair + PAIRS] = radius * sine;
        }
    }
}

/// A bijection of 32 bits in which every bit of the input moves every bit of the output about half
/// the time; multipliers and shifts found by Chris Wellons's search ("lowbias32").
#[inline(always)]
fn scrambled(mut bits: u32) -> u32 {
    bits ^= bits >> 16;
    bits = bits.wrapping_mul(0x7feb_352d);
    bits ^= bits >> 15;
    bits = bits.wrapping_mul(0x846c_a68b);
    bits ^ bits >> 16
}

/// The natural logarithm of a number above 0, to 1e-6.
#[inline(always)]
fn ln(value: f32) -> f32 {
    // value = 2^exponent · mantissa, the mantissa from √½ to √2.
    let bits = value.to_bits() as i32;
    let offset = (SQRT_2 / 2.0).to_bits() as i32;
    let exponent = (bits - offset) >> 23;
    let mantissa = f32::from_bits((bits - (exponent << 23)) as u32);
    // ln m = 2 artanh((m − 1) / (m + 1))
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let series = polynomial(square, [2.0, 2.0 / 3.0, 2.0 / 5.0, 2.0 / 7.0]);
    exponent as f32 * LN_2 + ratio * series
}

/// Sine and cosine of `turn` whole turns, from −1/2 to 1/2, to 1e-6.
#[inline(always)]
fn sine_and_cosine(turn: f32) -> (f32, f32) {
    // Taylor's series at half the angle, within ±π/2.
    const SINE: [f32; 6] = [
        1.0,
        -1.0 / 6.0,
        1.0 / 120.0,
        -1.0 / 5_040.0,
        1.0 / 362_880.0,
        -1.0 / 39_916_800.0,
    ];
    const COSINE: [f32; 7] = [
        1.0,
        -1.0 / 2.0,
        1.0 / 24.0,
        -1.0 / 720.0,
        1.0 / 40_320.0,
        -1.0 / 3_628_800.0,
        1.0 / 479_001_600.0,
    ];
    let half = turn * PI;
    let square = half * half;
    let sine = half * polynomial(square, SINE);
    let cosine = polynomial(square, COSINE);
    (2.0 * sine * cosine, 1.0 - 2.0 * sine * sine)
}

/// Coefficients from the constant on.
#[inline(always)]
fn polynomial<const TERMS: usize>(value: f32, coefficients: [f32; TERMS]) -> f32 {
    let terms = coefficients.into_iter().rev();
    terms.fold(0.0, |sum, coefficient| sum * value + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 1 << 20;

    /// In deviations, row by row of `width` voxels.
    fn noise(seed: u64, width: usize) -> Vec<f64> {
        const MIDDLE: f32 = 32_768.0;
        let mut voxels = vec![MIDDLE; COUNT / width * width];
        for (row, line) in voxels.chunks_exact_mut(width).enumerate() {
            Noise::new(2_000.0, seed).add(row * width, line);
        }
        let deviations = |voxel: f32| f64::from((voxel - MIDDLE) / 2_000.0);
        voxels.into_iter().map(deviations).collect()
    }

    fn mean(values: impl Iterator<Item = f64>) -> f64 {
        let (sum, count) =
            values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        sum / count
    }

    /// Within four standard errors of each estimate.
    #[test]
    fn moments_and_tails_are_a_normal_distributions() {
        let noise = noise(11, 1 << 10);
        let count = noise.len() as f64;
        let moment = |power| mean(noise.iter().map(|value| value.powi(power)));
        for (power, expected, variance) in
            [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
        {
            let error = 4.0 * f64::sqrt(variance / count);
            let found = moment(power);
            assert!(
                (found - expected).abs() < error,
                "moment {power} is {found}"
            );
        }
        // scipy.stats.norm.sf
        let tails = [
            (0.0, 0.5),
            (0.5, 0.308_538),
            (1.0, 0.158_655),
            (2.0, 0.022_750),
            (3.0, 0.001_350),
            (4.0, 3.167e-5),
        ];
        for (limit, share) in tails {
            let error = 4.0 * f64::sqrt(share * (1.0 - share) / count);
            for sign in [1.0, -1.0] {
                let beyond = mean(
                    noise
                        .iter()
                        .map(|value| f64::from(u8::from(sign * value > limit))),
                );
                assert!((beyond - share).abs() < error, "{beyond} beyond {limit}");
            }
        }
    }

    #[test]
    fn voxels_and_seeds_know_nothing_of_each_other() {
        // A row that no chunk divides.
        let width = 1_000;
        let first = noise(11, width);
        let error = 4.0 / (first.len() as f64).sqrt();
        for lag in [1, 2, PAIRS, CHUNK, 64, width - CHUNK, width, 384 * 384] {
            let pairs = first.iter().zip(&first[lag..]);
            let found = mean(pairs.map(|(a, b)| a * b));
            assert!(found.abs() < error * 1.2, "lag {lag}: {found}");
        }
        for seed in [12, 11 + (1 << 32)] {
            let found = mean(first.iter().zip(noise(seed, width)).map(|(a, b)| a * b));
            assert!(found.abs() < error, "seed {seed}: {found}");
        }
    }

    #[test]
    fn logarithm_and_angles_are_good_to_a_millionth() {
        for step in 1..=100_000 {
            let value = step as f32 / 100_000.0;
            assert!((ln(value) - value.ln()).abs() < 2e-6 * value.ln().abs().max(0.5));
            let (sine, cosine) = sine_and_cosine(value - 0.5);
            let angle = 2.0 * std::f64::consts::PI * f64::from(value - 0.5);
            assert!((f64::from(sine) - angle.sin()).abs() < 1e-6);
            assert!((f64::from(cosine) - angle.cos()).abs() < 1e-6);
        }
    }
}
