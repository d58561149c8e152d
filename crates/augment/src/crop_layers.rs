use std::ops::Range;

use rand::RngExt as _;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a patch gets its layers from the fragment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Slices {
    /// A run of neighbouring layers, resized to the patch's depth.
    Crop,
    /// Any layers, in order, as they are.
    Random,
    /// Layers at equal distances from the first to the last, as they are.
    Uniform,
}

/// The layers of a crop.
#[derive(Clone, Debug)]
pub(crate) struct CropLayers {
    /// First layer and their number.
    pub layers: (usize, usize),
    /// Those of them that are taken as they are; otherwise all are resized.
    pub slices: Option<Vec<usize>>,
}

impl CropLayers {
    /// Layers for a patch of `depth`, out of those of `available`; the depth of a run of
    /// neighbours is drawn from 1/`z_scale_limit` to `z_scale_limit` times the patch's.
    pub fn draw(
        slices: Slices,
        z_scale_limit: f64,
        depth: usize,
        available: Range<usize>,
        random: &mut ChaCha8Rng,
    ) -> Self {
        let first = available.start;
        let count = available.len();
        let chosen = |slices| Self {
            layers: (first, count),
            slices: Some(slices),
        };
        match slices {
            Slices::Crop => {
                let factor = random.random_range(1.0 / z_scale_limit..=z_scale_limit);
                let wanted = (depth as f64 * factor).round() as usize;
                let wanted = wanted.clamp(1, count);
                let skipped = random.random_range(0..=count - wanted);
                Self {
                    layers: (first + skipped, wanted),
                    slices: None,
                }
            }
            Slices::Random => chosen(random_slices(count, depth, random)),
            Slices::Uniform => chosen(uniform_slices(count, depth)),
        }
    }
}

/// `wanted` of `available` layers, any of them, in order.
fn random_slices(available: usize, wanted: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut layers = sample(random, available, wanted).into_vec();
    layers.sort_unstable();
    layers
}

/// `wanted` of `available` layers at equal distances, the first and the last among them:
/// numpy.linspace, rounded down.
fn uniform_slices(available: usize, wanted: usize) -> Vec<usize> {
    let step = |index: usize| index * (available - 1) / (wanted.max(2) - 1);
    (0..wanted).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn slices_rise_and_lie_within() {
        assert_eq!(uniform_slices(24, 6), [0, 4, 9, 13, 18, 23]);
        assert_eq!(uniform_slices(5, 1), [0]);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut seen = [false; 24];
        for _ in 0..50 {
            let layers = random_slices(24, 6, &mut random);
            assert!(layers.windows(2).all(|pair| pair[0] < pair[1]));
            layers.iter().for_each(|&layer| seen[layer] = true);
        }
        assert_eq!(seen, [true; 24]);
    }
}
