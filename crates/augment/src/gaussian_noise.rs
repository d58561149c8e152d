use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::noise::Noise;
use crate::range_checks::{require, rising};
use crate::settings_group::settings;

/// Gaussian noise, every voxel for itself: albumentations' `GaussNoise`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaussianNoise {
    /// Standard deviation, in 16-bit grey levels.
    pub deviation: f32,
    /// What the noise follows from, with a voxel's place.
    pub seed: u64,
}

settings! {
    /// Settings of Gaussian noise.
    pub struct GaussianNoiseSettings {
        /// Range of the noise's variance.
        "noise_variance" variance: [f64; 2] = [10.0, 50.0],
        /// In what grey levels the variance is meant.
        "noise_range" range: NoiseRange = NoiseRange::SixteenBit,
    }
}

/// In what grey levels a noise's variance is meant. albumentations gives it for images of 8 bits and
/// adds the same to those of 16, where a variance of 10 to 50 is a deviation of 3 to 7 grey levels
/// of 65536: nothing to be seen. Meant for 8 bits it is 1.2 to 2.8 % of the full range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NoiseRange {
    /// Variance in 8-bit grey levels: the noise is as strong as in an image of 8 bits.
    #[serde(rename = "8-bit")]
    EightBit,
    /// Variance in 16-bit grey levels, as the reference had it.
    #[serde(rename = "16-bit")]
    SixteenBit,
}

impl NoiseRange {
    /// Grey levels of 16 bits in one of these.
    fn unit(self) -> f64 {
        match self {
            Self::EightBit => 257.0,
            Self::SixteenBit => 1.0,
        }
    }
}

/// Largest variance of noise.
const LARGEST_VARIANCE: f64 = 65_536.0 * 65_536.0;

impl GaussianNoise {
    pub(crate) fn check(settings: &GaussianNoiseSettings) -> Result<(), Error> {
        let noise = settings.variance;
        let holds = rising(noise, -1.0) && noise[0] >= 0.0 && noise[1] <= LARGEST_VARIANCE;
        let expected = "a rising range from 0 to 65536², the square of the full range";
        require("noise_variance", noise, holds, expected)
    }

    /// A variance that is uniform within its range.
    pub(crate) fn draw(settings: &GaussianNoiseSettings, random: &mut ChaCha8Rng) -> Self {
        let [low, high] = settings.variance;
        let variance: f64 = random.random_range(low..=high);
        Self {
            deviation: (variance.sqrt() * settings.range.unit()) as f32,
            seed: random.random(),
        }
    }

    pub(crate) fn describe(&self) -> String {
        format!("noise of {:.1} grey levels", self.deviation)
    }

    pub(crate) fn noise(&self) -> Noise {
        Noise::new(self.deviation, self.seed)
    }
}
