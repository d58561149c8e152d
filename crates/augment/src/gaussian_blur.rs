use ndarray::ArrayViewMut3;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::range_checks::{kernel_sides, require};
use crate::settings_group::settings;
use crate::tone::Tone;
use crate::weighted_rows::{BlurRows, Tap, blur};

/// A Gaussian blur of each layer: albumentations' `GaussianBlur`, whose width follows from the
/// kernel's as OpenCV has it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaussianBlur {
    /// The kernel's side, in pixels, odd.
    pub size: usize,
}

settings! {
    /// Settings of the Gaussian blur.
    pub struct GaussianBlurSettings {
        /// Range of the Gaussian kernel's side, in pixels; even ones are made odd.
        "gaussian_blur" size: [usize; 2] = [3, 7],
    }
}

impl GaussianBlur {
    pub(crate) fn check(settings: &GaussianBlurSettings) -> Result<(), Error> {
        let size = settings.size;
        let expected = "a rising range of sides from 3 to 255, the last odd";
        let holds = kernel_sides(size) && size[1] % 2 == 1;
        require("gaussian_blur", size, holds, expected)
    }

    pub(crate) fn draw(settings: &GaussianBlurSettings, random: &mut ChaCha8Rng) -> Self {
        let [low, high] = settings.size;
        let size: usize = random.random_range(low..=high);
        Self { size: size | 1 }
    }

    pub(crate) fn describe(&self) -> String {
        format!("blurred over {} px", self.size)
    }

    /// Blurs every layer, mirrored at the border, and gives it its `tone`.
    pub(crate) fn apply(&self, volume: &mut ArrayViewMut3<f32>, tone: &Tone, rows: &mut BlurRows) {
        let half = self.size / 2;
        let weights = kernel(self.size).into_iter().enumerate();
        let taps: Vec<_> = weights
            .map(|(index, weight)| (index as isize - half as isize, weight))
            .collect();
        let tap = |down, right, weight| Tap {
            down,
            right,
            weight,
        };
        let along: Vec<_> = taps
            .iter()
            .map(|&(right, weight)| tap(0, right, weight))
            .collect();
        let across: Vec<_> = taps
            .iter()
            .map(|&(down, weight)| tap(down, 0, weight))
            .collect();
        blur(volume, [&along, &across], half, tone, rows);
    }
}

/// Weights of OpenCV's `getGaussianKernel` of `size` (odd) pixels with the standard deviation that
/// follows from it. Up to nine pixels they stand in OpenCV's table.
fn kernel(size: usize) -> Vec<f32> {
    let fixed: Option<&[f32]> = match size {
        1 => Some(&[1.0]),
        3 => Some(&[0.25, 0.5, 0.25]),
        5 => Some(&[0.0625, 0.25, 0.375, 0.25, 0.0625]),
        7 => Some(&[
            0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125,
        ]),
        9 => Some(&[
            0.015625, 0.05078125, 0.1171875, 0.19921875, 0.234375, 0.19921875, 0.1171875,
            0.05078125, 0.015625,
        ]),
        _ => None,
    };
    if let Some(weights) = fixed {
        return weights.to_vec();
    }
    let half = (size as f64 - 1.0) / 2.0;
    let deviation = 0.3 * (half - 1.0) + 0.8;
    let weight = |index: usize| (-((index as f64 - half) / deviation).powi(2) / 2.0).exp();
    let sum: f64 = (0..size).map(weight).sum();
    (0..size)
        .map(|index| (weight(index) / sum) as f32)
        .collect()
}
