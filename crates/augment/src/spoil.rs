use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::gaussian_blur::gaussian_blur;
use crate::motion_blur::motion_blur;
use crate::noise::Noise;
use crate::tone::Tone;
use crate::weighted_rows::BlurRows;

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
    /// The noise, where it is that.
    pub(crate) fn noise(&self) -> Option<Noise> {
        match *self {
            Self::Noise { deviation, seed } => Some(Noise::new(deviation, seed)),
            Self::GaussianBlur { .. } | Self::MotionBlur { .. } => None,
        }
    }

    /// Blurs intensities, (z, y, x), and gives them their `tone`; noise does nothing.
    pub(crate) fn blur(&self, volume: &mut Array3<f32>, tone: &Tone, rows: &mut BlurRows) {
        match *self {
            Self::Noise { .. } => {}
            Self::GaussianBlur { size } => gaussian_blur(volume, size, tone, rows),
            Self::MotionBlur { size, from, to } => {
                motion_blur(volume, size, [from, to], tone, rows);
            }
        }
    }
}
