//! Normalisation of channels, or groups of them, by the batch's own statistics.

use rayon::prelude::*;

use crate::activation::{Activation, apply_serial};
use crate::channels_first::by_channel;
use crate::vectors::{sum, sum_pairs, vectorized};

/// A channel's mean and variance over a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// `[channels]`.
    pub means: Vec<f32>,
    /// `[channels]`, biased: divided by the number of values.
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
        let means = mean_of(crate::channels_first::sums(planes, area));
        let squares = planes.par_chunks(area).enumerate().map(|(index, plane)| {
            let mean = means[index % channels];
            vectorized(
                #[inline(always)]
                || sum(plane, |x| (x - mean) * (x - mean)),
            )
        });
        let variances = mean_of(squares.collect());
        Self { means, variances }
    }

    /// What normalises by them.
    pub fn stats(&self, epsilon: f32) -> BatchNormStats {
        let variances = self.variances.iter();
        let inverse_deviations = variances.map(|v| 1.0 / (v + epsilon).sqrt());
        BatchNormStats {
            means: self.means.clone(),
            inverse_deviations: inverse_deviations.collect(),
        }
    }
}

/// The statistics that normalise each channel.
#[derive(Clone, Debug)]
pub struct BatchNormStats {
    /// `[channels]`.
    pub means: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`, `[channels]`.
    pub inverse_deviations: Vec<f32>,
}

/// Values that stay in the L1 cache between the norm and the activation.
const PIECE: usize = 4096;

/// `activation((x − mean) · inverse deviation · weight + bias)`, in place. Where there are fewer statistics than
/// channels, neighbouring channels share them.
///
/// # Shapes
/// - planes: `[batch, channels, area]`
/// - weight, bias: `[channels]`
pub fn forward(
    planes: &mut [f32],
    area: usize,
    stats: &BatchNormStats,
    (weight, bias): (&[f32], &[f32]),
    activation: Option<Activation>,
) {
    let sharing = weight.len() / stats.means.len();
    let tasks = planes.par_chunks_mut(area).enumerate();
    tasks.for_each(|(index, plane)| {
        let channel = index % weight.len();
        let group = channel / sharing;
        let factor = stats.inverse_deviations[group] * weight[channel];
        let (mean, bias) = (stats.means[group], bias[channel]);
        for piece in plane.chunks_mut(PIECE) {
            vectorized(
                #[inline(always)]
                || {
                    for x in piece.iter_mut() {
                        *x = (*x - mean) * factor + bias;
                    }
                },
            );
            if let Some(activation) = activation {
                apply_serial(piece, activation);
            }
        }
    });
}

/// Gradients of weight and bias, `[channels]` each.
pub struct Gradients {
    /// Of the weight.
    pub weight: Vec<f32>,
    /// Of the bias.
    pub bias: Vec<f32>,
}

/// Replaces the gradients of the output by those of the input, mean and variance being functions of it.
///
/// # Shapes
/// - planes, gradients: `[batch, channels, area]`
pub fn backward(
    planes: &[f32],
    gradients: &mut [f32],
    area: usize,
    stats: &BatchNormStats,
    weight: &[f32],
) -> Gradients {
    let channels = weight.len();
    let count = (planes.len() / channels) as f32;
    let bias = by_channel(&crate::channels_first::sums(gradients, area), channels);
    let pairs = gradients.par_chunks(area).zip(planes.par_chunks(area));
    let along = pairs.enumerate().map(|(index, (gradient, plane))| {
        let channel = index % channels;
        let (mean, inverse) = (stats.means[channel], stats.inverse_deviations[channel]);
        vectorized(
            #[inline(always)]
            || sum_pairs(gradient, plane, |gradient, x| gradient * (x - mean)) * inverse,
        )
    });
    let by_weight = by_channel(&along.collect::<Vec<f32>>(), channels);
    let pairs = gradients.par_chunks_mut(area).zip(planes.par_chunks(area));
    pairs.enumerate().for_each(|(index, (gradient, plane))| {
        let channel = index % channels;
        let (mean, inverse) = (stats.means[channel], stats.inverse_deviations[channel]);
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
