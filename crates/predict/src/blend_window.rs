//! How much a tile's pixels count where tiles overlap.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::spline_weights;

/// The weights of a tile's pixels where tiles overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BlendWindow {
    /// A second-order spline, 0 at the edges, as the reference solution has it.
    Spline,
    /// A symmetric Hann window (a raised cosine), at least 0.001 of its highest weight.
    Hann,
    /// A Gaussian whose standard deviation is an eighth of the side.
    Gaussian,
    /// All pixels alike.
    Constant,
}

impl BlendWindow {
    /// All windows, by the names that settings have for them.
    pub const ALL: [(&str, Self); 4] = [
        ("spline", Self::Spline),
        ("hann", Self::Hann),
        ("gaussian", Self::Gaussian),
        ("constant", Self::Constant),
    ];

    /// The weights of a tile of `side`² px, (y, x).
    pub fn weights(self, side: usize) -> Array2<f32> {
        match self {
            Self::Spline => outer(&spline_weights(side).to_vec()),
            Self::Hann => outer(&hann(side)).mapv(|weight| weight.max(HANN_FLOOR)),
            Self::Gaussian => outer(&gaussian(side)).mapv(|weight| weight.max(f32::EPSILON)),
            Self::Constant => Array2::ones((side, side)),
        }
    }
}

/// Hann windows are 0 at their ends: so much is left there that a single tile can be divided by it.
const HANN_FLOOR: f32 = 1e-3;

/// A Hann window without a floor, brought to a sum of 1: `weights` of the canonical inference.
pub(crate) fn hann_of_sum_one(side: usize) -> Array2<f32> {
    let line = hann(side);
    let sum: f64 = line.iter().sum();
    outer(&line).mapv(|weight| weight / (sum * sum) as f32)
}

/// NumPy's `hanning`, with a highest weight of 1.
fn hann(side: usize) -> Vec<f64> {
    if side == 1 {
        return vec![1.0];
    }
    let step = std::f64::consts::TAU / (side - 1) as f64;
    highest_one(side, |i| 0.5 - 0.5 * (step * i).cos())
}

fn gaussian(side: usize) -> Vec<f64> {
    let deviation = side as f64 / 8.0;
    let middle = (side as f64 - 1.0) / 2.0;
    highest_one(side, |i| (-0.5 * ((i - middle) / deviation).powi(2)).exp())
}

/// The weights of `side` pixels, brought to a highest of 1.
fn highest_one(side: usize, weight: impl Fn(f64) -> f64) -> Vec<f64> {
    let line: Vec<f64> = (0..side).map(|i| weight(i as f64)).collect();
    let highest = line.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    line.into_iter().map(|weight| weight / highest).collect()
}

fn outer(line: &[f64]) -> Array2<f32> {
    Array2::from_shape_fn((line.len(), line.len()), |(y, x)| {
        (line[y] * line[x]) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `torch.hann_window(6, periodic=False)`, and of its outer product over its highest.
    #[test]
    fn hann_windows_are_torchs() {
        let line = hann(6);
        let expected = [0.0, 0.381_966, 1.0, 1.0, 0.381_966, 0.0];
        for (found, expected) in line.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{line:?}");
        }
        let weights = BlendWindow::Hann.weights(6);
        assert_eq!(weights[(0, 3)], 1e-3);
        assert!((weights[(1, 1)] - 0.381_966_f32.powi(2)).abs() < 1e-6);
        let whole = hann_of_sum_one(64);
        assert!((whole.sum() - 1.0).abs() < 1e-5 && whole[(0, 5)] == 0.0);
    }

    #[test]
    fn every_window_is_symmetric_and_highest_in_the_middle() {
        for (name, window) in BlendWindow::ALL {
            for side in [1, 2, 7, 32] {
                let weights = window.weights(side);
                let (last, middle) = (side - 1, side / 2);
                for ((y, x), &weight) in weights.indexed_iter() {
                    assert!(weight.is_finite() && weight >= 0.0, "{name} {side}");
                    assert!((weight - weights[(last - y, x)]).abs() < 1e-6);
                    assert!((weight - weights[(x, y)]).abs() < 1e-6);
                    assert!(weight <= weights[(middle, middle)] + 1e-6);
                }
            }
        }
        // An eighth of the side from the middle a Gaussian has fallen to exp(-1/2).
        let weights = BlendWindow::Gaussian.weights(33);
        let fallen = weights[(16, 16 + 4)] / weights[(16, 16)];
        assert!((fallen - (-0.5 * (4.0 / 4.125_f32).powi(2)).exp()).abs() < 1e-5);
    }
}
