//! By whose rules tiles are laid, blended and turned into grey levels.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::BlendWindow;
use crate::blend_window::hann_of_sum_one;

/// By whose rules a sheet is predicted: they differ in where the last tiles lie, which pixels get a
/// value, how tiles are weighted, and how a probability becomes a grey level.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum InferenceRules {
    /// The reference solution's: pixels of the mask get a value, the last tiles reach beyond the sheet,
    /// splines, levels are rounded.
    #[default]
    Reference,
    /// Those by which the published maps of ResNet3D, TimeSformer and I3D were made: pixels any of whose voxels
    /// is not 0 get a value, the last tiles end with the sheet, Hann windows that sum to 1 over a denominator
    /// of at least 0.000001, levels are cut off.
    Canonical,
    /// Those by which the published maps of the hybrid networks were made: tiles that hold any voxel that is
    /// not 0 give all of their pixels a value, the last tiles end with the sheet, Hann windows of at least
    /// 0.001, levels are cut off.
    Flat,
}

impl InferenceRules {
    /// For [`serde`]: whether nothing need be written.
    pub(crate) fn is_reference(&self) -> bool {
        *self == Self::Reference
    }

    /// Where tiles of `side` px, `step` apart, begin along an axis of `size` px, in ascending order.
    pub fn starts(self, size: usize, side: usize, step: usize) -> Vec<usize> {
        let last = size.saturating_sub(side);
        match self {
            Self::Reference => (0..=last.div_ceil(step))
                .map(|i| i * step)
                .filter(|&start| start < size)
                .collect(),
            Self::Canonical | Self::Flat => {
                let mut starts: Vec<usize> = (0..=last).step_by(step).collect();
                if starts.last() != Some(&last) {
                    starts.push(last);
                }
                starts
            }
        }
    }

    /// The weights of a tile of `side`² px, (y, x), that are `step` px apart; those of `window` where one
    /// was chosen.
    pub fn weights(self, window: Option<BlendWindow>, side: usize, step: usize) -> Array2<f32> {
        match (window, self) {
            (Some(window), _) => window.weights(side),
            (None, Self::Reference) => BlendWindow::Spline.weights(side),
            (None, Self::Canonical) => hann_of_sum_one(side),
            (None, Self::Flat) if step >= side => BlendWindow::Constant.weights(side),
            (None, Self::Flat) => BlendWindow::Hann.weights(side),
        }
    }

    /// A weighted mean, of its weighted `sum` and the `weight` in all.
    pub fn quotient(self, sum: f32, weight: f32) -> f32 {
        match self {
            Self::Reference if weight > 0.0 => sum / weight,
            Self::Reference => 0.0,
            Self::Canonical => sum / weight.max(SMALLEST_WEIGHT),
            Self::Flat if weight > SMALLEST_WEIGHT => sum / weight,
            Self::Flat => sum,
        }
    }

    /// The grey level of a `probability`, 0 to 255.
    pub fn level(self, probability: f32) -> u8 {
        let level = probability.clamp(0.0, 1.0) * 255.0;
        match self {
            Self::Reference => level.round() as u8,
            Self::Canonical | Self::Flat => level as u8,
        }
    }
}

/// What the published programs divide by at least, or leave alone below.
const SMALLEST_WEIGHT: f32 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tiles_end_with_the_sheet_or_reach_beyond_it() {
        let starts = |rules: InferenceRules, size| rules.starts(size, 8, 3);
        assert_eq!(starts(InferenceRules::Reference, 15), [0, 3, 6, 9]);
        for rules in [InferenceRules::Canonical, InferenceRules::Flat] {
            assert_eq!(starts(rules, 15), [0, 3, 6, 7]);
            assert_eq!(starts(rules, 14), [0, 3, 6]);
            assert_eq!(starts(rules, 5), [0]);
        }
    }

    #[test]
    fn levels_are_rounded_or_cut_off() {
        for (probability, rounded, cut) in [(0.0, 0, 0), (0.999, 255, 254), (1.0, 255, 255)] {
            assert_eq!(InferenceRules::Reference.level(probability), rounded);
            assert_eq!(InferenceRules::Canonical.level(probability), cut);
            assert_eq!(InferenceRules::Flat.level(probability), cut);
        }
        assert_eq!(InferenceRules::Flat.level(f32::NAN), 0);
    }

    #[test]
    fn weights_below_a_millionth_fade_are_left_or_divide() {
        let of = |rules: InferenceRules| rules.quotient(5e-8, 1e-7);
        assert!((of(InferenceRules::Reference) - 0.5).abs() < 1e-6);
        assert!((of(InferenceRules::Canonical) - 0.05).abs() < 1e-6);
        assert_eq!(of(InferenceRules::Flat), 5e-8);
        assert_eq!(InferenceRules::Reference.quotient(0.0, 0.0), 0.0);
    }
}
