//! Normalisation of every channel over a batch, while a network trains.

use rayon::prelude::*;

use crate::planes::by_channel;
use crate::vectors::{sum, vectorized};

/// A channel's mean and variance over a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// `[channels]`.
    pub means: Vec<f32>,
    /// `[channels]`, of the batch itself, not an estimate.
    pub variances: Vec<f32>,
}

impl Moments {
    /// Of planes `[batch, channels, area]`.
    pub fn new(planes: &[f32], channels: usize, area: usize) -> Self {
        let count = (planes.len() / channels) as f32;
        let mean_of = |terms: Vec<f32>| -> Vec<f32> {
            let sums = by_channel(&terms, channels);
            sums.into_iter().map(|sum| sum / count).collect()
        };
        let means = mean_of(crate::planes::sums(planes, area));
        let squares = planes.par_chunks(area).enumerate().map(|(index, plane)| {
            let mean = means[index % channels];
            vectorized(
                #[inline(always)]
                || sum(area, |i| (plane[i] - mean) * (plane[i] - mean)),
            )
        });
        let variances = mean_of(squares.collect());
        Self { means, variances }
    }

    /// One by the deviation of each channel.
    pub fn inverses(&self, epsilon: f32) -> Vec<f32> {
        let variances = self.variances.iter();
        variances.map(|v| 1.0 / (v + epsilon).sqrt()).collect()
    }
}

/// What normalises each channel.
#[derive(Clone, Debug)]
pub struct Scales {
    /// `[channels]`.
    pub means: Vec<f32>,
    /// `[channels]`, one by the deviation.
    pub inverses: Vec<f32>,
}

/// `(x − mean) · inverse · weight + bias`, in place.
///
/// # Shapes
/// - planes: `[batch, channels, area]`
/// - weight, bias: `[channels]`
pub fn forward(planes: &mut [f32], area: usize, scales: &Scales, weight: &[f32], bias: &[f32]) {
    let tasks = planes.par_chunks_mut(area).enumerate();
    tasks.for_each(|(index, plane)| {
        let channel = index % weight.len();
        let factor = scales.inverses[channel] * weight[channel];
        let (mean, bias) = (scales.means[channel], bias[channel]);
        vectorized(
            #[inline(always)]
            || {
                for x in plane.iter_mut() {
                    *x = (*x - mean) * factor + bias;
                }
            },
        );
    });
}

/// Gradients of weight and bias, `[channels]` each.
pub struct Gradients {
    /// By weight.
    pub weight: Vec<f32>,
    /// By bias.
    pub bias: Vec<f32>,
}

/// Replaces the gradients of the output by those of the planes, which moved mean and deviation too.
///
/// # Shapes
/// - planes, gradients: `[batch, channels, area]`
pub fn backward(
    planes: &[f32],
    gradients: &mut [f32],
    area: usize,
    scales: &Scales,
    weight: &[f32],
) -> Gradients {
    let channels = weight.len();
    let count = (planes.len() / channels) as f32;
    let bias = by_channel(&crate::planes::sums(gradients, area), channels);
    let pairs = gradients.par_chunks(area).zip(planes.par_chunks(area));
    let along = pairs.enumerate().map(|(index, (gradient, plane))| {
        let channel = index % channels;
        let (mean, inverse) = (scales.means[channel], scales.inverses[channel]);
        vectorized(
            #[inline(always)]
            || sum(area, |i| gradient[i] * (plane[i] - mean)) * inverse,
        )
    });
    let by_weight = by_channel(&along.collect::<Vec<f32>>(), channels);
    let pairs = gradients.par_chunks_mut(area).zip(planes.par_chunks(area));
    pairs.enumerate().for_each(|(index, (gradient, plane))| {
        let channel = index % channels;
        let (mean, inverse) = (scales.means[channel], scales.inverses[channel]);
        let level = bias[channel] / count;
        let tilt = by_weight[channel] / count * inverse;
        let factor = inverse * weight[channel];
        vectorized(
            #[inline(always)]
            || {
                for (gradient, x) in gradient.iter_mut().zip(plane) {
                    *gradient = (*gradient - level - (x - mean) * tilt) * factor;
                }
            },
        );
    });
    Gradients {
        weight: by_weight,
        bias,
    }
}
