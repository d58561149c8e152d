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

/// `wanted` of `available` layers, any of them, in order.
pub(crate) fn random_slices(
    available: usize,
    wanted: usize,
    random: &mut ChaCha8Rng,
) -> Vec<usize> {
    let mut layers = sample(random, available, wanted).into_vec();
    layers.sort_unstable();
    layers
}

/// `wanted` of `available` layers at equal distances, the first and the last among them:
/// numpy.linspace, rounded down.
pub(crate) fn uniform_slices(available: usize, wanted: usize) -> Vec<usize> {
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
