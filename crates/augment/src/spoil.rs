use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::gaussian_blur::gaussian_blur;
use crate::motion_blur::motion_blur;
use crate::noise::gaussian_noise;

/// What makes a sample worse: one of noise, blur and motion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spoil {
    /// Gaussian noise, every voxel for itself: albumentations' `GaussNoise`.
    Noise {
        /// Standard deviation, in 16-bit grey levels.
        deviation: f32,
        /// What the noise follows from.
        seed: u64,
    },
    /// A Gaussian blur of each layer: albumentations' `GaussianBlur`, whose width follows from the
    /// kernel's as OpenCV has it.
    GaussianBlur {
        /// The kernel's side, odd.
        size: usize,
    },
    /// A blur of each layer along a line: albumentations' `MotionBlur`.
    MotionBlur {
        /// The kernel's side, odd.
        size: usize,
        /// One end of the line in the kernel, (y, x).
        from: [usize; 2],
        /// The other end.
        to: [usize; 2],
    },
}

impl Spoil {
    /// Changes intensities, 0 to 65535, (z, y, x); `layer` is memory to work in.
    pub(crate) fn apply(&self, volume: &mut Array3<f32>, layer: &mut Vec<f32>) {
        match *self {
            Self::Noise { deviation, seed } => gaussian_noise(volume, deviation, seed),
            Self::GaussianBlur { size } => gaussian_blur(volume, size, layer),
            Self::MotionBlur { size, from, to } => motion_blur(volume, size, from, to, layer),
        }
    }
}
