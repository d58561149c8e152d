//! What a network wants intensities to be.

use burn::tensor::{Tensor, TensorData};
use inkling_augment::DENORMALIZE;
use serde::{Deserialize, Serialize};

use crate::Error;

/// How a patch's intensities are brought to what the network was trained on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum NormalizationKind {
    /// By ImageNet's mean and standard deviation, averaged over the colours.
    #[default]
    Imagenet,
    /// Clipped to `clip` and divided by `divisor`.
    Divide,
    /// Clipped to two percentiles of the patch, less their median, divided by 1.4826 times the median
    /// of their distances from it.
    RobustMad,
    /// Clipped to two percentiles of the patch and brought to 0 to 1.
    Percentiles,
    /// Less the patch's mean, divided by its standard deviation.
    ZScore,
}

/// `[model.normalization]`. Intensities are counted as 8-bit ones, 0 to 255; 16-bit ones are divided by
/// 257.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Normalization {
    /// Which way.
    pub kind: NormalizationKind,
    /// `kind = "divide"`: brighter voxels are taken for this, above 0 to 255.
    pub clip: f32,
    /// `kind = "divide"`: what intensities are divided by, above 0.
    pub divisor: f32,
    /// `kind = "robust-mad"` and `"percentiles"`: the lower percentile, from 0.
    pub lower: f32,
    /// `kind = "robust-mad"` and `"percentiles"`: the upper percentile, to 100.
    pub upper: f32,
}

impl Default for Normalization {
    fn default() -> Self {
        Self {
            kind: NormalizationKind::Imagenet,
            clip: 255.0,
            divisor: 255.0,
            lower: 1.0,
            upper: 99.0,
        }
    }
}

/// 16-bit intensities in one of 8 bits.
const PER_LEVEL: f32 = 257.0;
/// Spreads below this are none.
const FLAT: f32 = 1e-6;
/// The standard deviation of a normal distribution, by the median distance from its median.
const SPREAD_PER_MAD: f32 = 1.4826;

impl Normalization {
    /// Clipped to `clip` and divided by `divisor`.
    pub fn divide(clip: f32, divisor: f32) -> Self {
        Self {
            kind: NormalizationKind::Divide,
            clip,
            divisor,
            ..Self::default()
        }
    }

    /// By the median and the median distance from it, between the 1st and the 99th percentile.
    pub fn robust_mad() -> Self {
        Self {
            kind: NormalizationKind::RobustMad,
            ..Self::default()
        }
    }

    /// # Errors
    /// [`Error::Setting`] for the first value out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |key, found: f32, expected: &str| Error::Setting {
            key,
            found: found.to_string(),
            expected: expected.to_owned(),
        };
        let levels = |value: f32| value > 0.0 && value <= 255.0;
        if !levels(self.clip) {
            let expected = "an intensity above 0 and up to 255";
            return Err(wrong("normalization.clip", self.clip, expected));
        }
        if !(self.divisor > 0.0 && self.divisor <= 65_536.0) {
            let expected = "a number above 0 and up to 65,536";
            return Err(wrong("normalization.divisor", self.divisor, expected));
        }
        if !(0.0..100.0).contains(&self.lower) {
            let expected = "a percentile from 0 up";
            return Err(wrong("normalization.lower", self.lower, expected));
        }
        if !(self.upper > self.lower && self.upper <= 100.0) {
            let expected = "a percentile above model.normalization.lower and up to 100";
            return Err(wrong("normalization.upper", self.upper, expected));
        }
        Ok(())
    }

    /// What the network wants, of intensities normalised by ImageNet's mean.
    ///
    /// # Shapes
    /// - volume and output: `[batch, depth, height, width]`
    pub(crate) fn apply(&self, volume: Tensor<4>) -> Tensor<4> {
        if self.kind == NormalizationKind::Imagenet {
            return volume;
        }
        let [factor, summand] = DENORMALIZE.map(|number| number / PER_LEVEL);
        let levels = volume * factor + summand;
        if self.kind == NormalizationKind::Divide {
            return levels.clamp_max(self.clip) / self.divisor;
        }
        let (shape, device) = (levels.dims(), levels.device());
        let values = levels.into_data().try_into_vec::<f32>();
        let mut values = values.expect("intensities are f32");
        for patch in values.chunks_exact_mut((shape[1] * shape[2] * shape[3]).max(1)) {
            self.apply_to_patch(patch);
        }
        Tensor::from_data(TensorData::new(values, shape), &device)
    }

    fn apply_to_patch(&self, patch: &mut [f32]) {
        let (centre, scale) = match self.kind {
            NormalizationKind::RobustMad => self.robust(patch),
            NormalizationKind::Percentiles => {
                let [low, high] = self.clip_to_percentiles(patch);
                (low, high - low)
            }
            _ => mean_and_deviation(patch),
        };
        let scale = if scale > FLAT { scale } else { 1.0 };
        for value in patch {
            *value = (*value - centre) / scale;
            if !value.is_finite() {
                *value = 0.0;
            }
        }
    }

    /// Clips, and gives the median and the spread around it.
    fn robust(&self, patch: &mut [f32]) -> (f32, f32) {
        let deviation = mean_and_deviation(patch).1;
        let [low, high] = self.clip_to_percentiles(patch);
        let mut sorted = patch.to_vec();
        let median = quantile(&mut sorted, 0.5);
        for value in &mut sorted {
            *value = (*value - median).abs();
        }
        let spreads = [
            SPREAD_PER_MAD * quantile(&mut sorted, 0.5),
            deviation,
            (high - low) / 2.0,
        ];
        let spread = spreads
            .into_iter()
            .find(|&spread| spread.is_finite() && spread >= FLAT);
        (median, spread.unwrap_or(1.0))
    }

    fn clip_to_percentiles(&self, patch: &mut [f32]) -> [f32; 2] {
        let mut sorted = patch.to_vec();
        let [low, high] = [self.lower, self.upper]
            .map(|percent| quantile(&mut sorted, f64::from(percent) / 100.0));
        for value in patch {
            *value = value.clamp(low, high.max(low));
        }
        [low, high]
    }
}

/// The value below which a share of the values lies, linear between two; numpy's. Reorders them.
fn quantile(values: &mut [f32], share: f64) -> f32 {
    let Some(last) = values.len().checked_sub(1) else {
        return 0.0;
    };
    let place = last as f64 * share;
    let below = place.floor() as usize;
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f32::total_cmp);
    let next = above.iter().copied().min_by(f32::total_cmp);
    let fraction = (place - below as f64) as f32;
    low + (next.unwrap_or(low) - low) * fraction
}

fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2));
    (mean as f32, (squares.sum::<f64>() / count).sqrt() as f32)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use inkling_augment::normalize;

    use super::*;

    /// A patch of 8-bit levels, normalised.
    fn normalized(normalization: &Normalization, levels: &[f32]) -> Vec<f32> {
        let values: Vec<f32> = levels.iter().map(|&v| normalize(v * 257.0)).collect();
        let data = TensorData::new(values, [1, 1, 1, levels.len()]);
        let volume = Tensor::from_data(data, &Device::flex());
        normalization
            .apply(volume)
            .into_data()
            .try_to_vec()
            .unwrap()
    }

    fn assert_near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 2e-5, "{found} {expected}");
        }
    }

    const LEVELS: [f32; 6] = [0.0, 10.0, 40.0, 100.0, 200.0, 255.0];

    #[test]
    fn levels_are_clipped_and_divided() {
        let found = normalized(&Normalization::divide(200.0, 255.0), &LEVELS);
        let expected = LEVELS.map(|level| level.min(200.0) / 255.0);
        assert_near(&found, &expected);
    }

    /// `numpy.percentile(levels, [1, 99])` is [0.5, 252.25], the median of what is clipped 70, and of
    /// the distances from it [69.5, 60, 30, 30, 130, 182.25] 64.75.
    #[test]
    fn the_median_and_the_distance_from_it_are_numpys() {
        let found = normalized(&Normalization::robust_mad(), &LEVELS);
        let expected = LEVELS.map(|level| (level.clamp(0.5, 252.25) - 70.0) / (1.4826 * 64.75));
        assert_near(&found, &expected);
    }

    /// More than half alike: the standard deviation before clipping, then half the percentiles' span,
    /// then 1.
    #[test]
    fn a_patch_without_spread_takes_the_next_measure_of_it() {
        let mut patch = [7.0; 200];
        patch[0] = 107.0;
        let deviation = (100.0_f32 * 100.0 * (1.0 / 200.0) * (199.0 / 200.0)).sqrt();
        let found = normalized(&Normalization::robust_mad(), &patch);
        assert_near(&found[..2], &[0.0, 0.0]);
        let wide = Normalization {
            upper: 100.0,
            ..Normalization::robust_mad()
        };
        let found = normalized(&wide, &patch);
        assert_near(&found[..2], &[100.0 / deviation, 0.0]);
        assert_near(&normalized(&wide, &[7.0; 5]), &[0.0; 5]);
    }

    #[test]
    fn percentiles_and_z_scores() {
        let percentiles = Normalization {
            kind: NormalizationKind::Percentiles,
            ..Normalization::default()
        };
        let expected = LEVELS.map(|level| (level.clamp(0.5, 252.25) - 0.5) / 251.75);
        assert_near(&normalized(&percentiles, &LEVELS), &expected);
        let z = Normalization {
            kind: NormalizationKind::ZScore,
            ..Normalization::default()
        };
        let found = normalized(&z, &LEVELS);
        let (mean, deviation) = mean_and_deviation(&found);
        assert!(mean.abs() < 1e-6 && (deviation - 1.0).abs() < 1e-6);
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        type Change = fn(&mut Normalization);
        let changes: [(&str, Change); 5] = [
            ("clip", |n| n.clip = 0.0),
            ("divisor", |n| n.divisor = f32::NAN),
            ("divisor", |n| n.divisor = 0.0),
            ("lower", |n| n.lower = -1.0),
            ("upper", |n| n.upper = 1.0),
        ];
        for (key, change) in changes {
            let mut normalization = Normalization::default();
            change(&mut normalization);
            let message = normalization.check().unwrap_err().to_string();
            let start = format!("model.normalization.{key}: found");
            assert!(message.starts_with(&start), "{message}");
        }
    }
}
