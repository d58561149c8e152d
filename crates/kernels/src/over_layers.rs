//! Volumes made images: the largest value over the layers, and the mean weighted by attention.

use burn::backend::Flex;
use burn::tensor::{Tensor, activation};
use rayon::prelude::*;

use crate::dispatch::{is_final, primitive};
use crate::exponential::exp;
use crate::flex_tensors::{contiguous, from_values, values};
use crate::max_pool::largest_of;
use crate::profile::timed;
use crate::vectors::{vectorized, vectorized_sums};

/// Pixels that are weighted at once.
const PIECE: usize = 1024;

/// The largest value over the layers of each volume, NaN if one is NaN.
///
/// # Shapes
/// - x: `[batch, layers, channels, height, width]`
/// - output: `[batch, channels, height, width]`
pub fn max_over_layers(x: Tensor<5>) -> Tensor<4> {
    let device = x.device();
    timed("over layers", &device, move || {
        if !is_final(&x) {
            return x.max_dim(1).squeeze_dim(1);
        }
        let [batch, layers, channels, height, width] = x.dims();
        let x = contiguous(primitive(x));
        let largest = max(values(&x), [layers, channels, height * width]);
        let output = from_values(largest, [batch, channels, height, width]);
        Tensor::from_primitive::<Flex>(output)
    })
}

/// The sum over the layers of each volume, weighted at each pixel by the softmax of their scores.
///
/// # Shapes
/// - x: `[batch, layers, channels, height, width]`
/// - scores: `[batch, layers, 1, height, width]`
/// - output: `[batch, channels, height, width]`
pub fn attend_over_layers(x: Tensor<5>, scores: Tensor<5>) -> Tensor<4> {
    let device = x.device();
    timed("over layers", &device, move || {
        if !is_final(&x) || !is_final(&scores) {
            let weights = activation::softmax(scores, 1);
            return (x * weights).sum_dim(1).squeeze_dim(1);
        }
        let [batch, layers, channels, height, width] = x.dims();
        let (x, scores) = (contiguous(primitive(x)), contiguous(primitive(scores)));
        let sizes = [layers, channels, height * width];
        let sum = attend(values(&x), values(&scores), sizes);
        let output = from_values(sum, [batch, channels, height, width]);
        Tensor::from_primitive::<Flex>(output)
    })
}

/// `[batch, layers, channels, area]` to `[batch, channels, area]`.
fn max(volumes: &[f32], [layers, channels, area]: [usize; 3]) -> Vec<f32> {
    let mut output = vec![0.0; volumes.len() / layers];
    let planes = output.par_chunks_mut(area).enumerate();
    planes.for_each(|(index, largest)| {
        let first = (index / channels * layers * channels + index % channels) * area;
        let plane = |layer| &volumes[first + layer * channels * area..][..area];
        vectorized(
            #[inline(always)]
            || largest_of((0..layers).map(plane), None, largest),
        );
    });
    output
}

/// `[batch, layers, channels, area]` and scores `[batch, layers, area]` to `[batch, channels, area]`.
fn attend(volumes: &[f32], scores: &[f32], [layers, channels, area]: [usize; 3]) -> Vec<f32> {
    let pieces = area.div_ceil(PIECE);
    // Of each piece of each volume its layers, one after another.
    let mut weights = vec![0.0; scores.len() / area * pieces * PIECE];
    let tasks = weights.par_chunks_mut(layers * PIECE).enumerate();
    tasks.for_each(|(task, weights)| {
        let (volume, start) = (task / pieces, task % pieces * PIECE);
        let count = PIECE.min(area - start);
        let scores = |layer| &scores[(volume * layers + layer) * area + start..][..count];
        softmax_of_layers(scores, weights);
    });
    let mut output = vec![0.0; volumes.len() / layers];
    let planes = output.par_chunks_mut(area).enumerate();
    planes.for_each(|(index, plane)| {
        let (volume, channel) = (index / channels, index % channels);
        for (piece, sums) in plane.chunks_mut(PIECE).enumerate() {
            let weights = &weights[(volume * pieces + piece) * layers * PIECE..];
            for (layer, weights) in weights.chunks_exact(PIECE).take(layers).enumerate() {
                let first = ((volume * layers + layer) * channels + channel) * area;
                let values = &volumes[first + piece * PIECE..][..sums.len()];
                vectorized(
                    #[inline(always)]
                    || {
                        for ((sum, x), weight) in sums.iter_mut().zip(values).zip(weights) {
                            *sum += x * weight;
                        }
                    },
                );
            }
        }
    });
    output
}

/// The softmax over layers at each of some pixels, `[layers, PIECE]`.
fn softmax_of_layers<'a>(scores: impl Fn(usize) -> &'a [f32], weights: &mut [f32]) {
    let mut largest = [f32::NEG_INFINITY; PIECE];
    let mut sums = [0.0; PIECE];
    let layers = weights.len() / PIECE;
    vectorized_sums(
        #[inline(always)]
        |mul_add| {
            for layer in 0..layers {
                for (largest, &score) in largest.iter_mut().zip(scores(layer)) {
                    *largest = largest.max(score);
                }
            }
            for (layer, weights) in weights.chunks_exact_mut(PIECE).enumerate() {
                let terms = weights.iter_mut().zip(&mut sums);
                for ((weight, sum), (score, largest)) in
                    terms.zip(scores(layer).iter().zip(&largest))
                {
                    *weight = exp(mul_add, score - largest);
                    *sum += *weight;
                }
            }
            for weights in weights.chunks_exact_mut(PIECE) {
                for (weight, sum) in weights.iter_mut().zip(&sums) {
                    *weight /= sum;
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn volume(shape: [usize; 5], scale: f32) -> Tensor<5> {
        let number = |index: usize| (((index * 7919 + 13) % 1013) as f32 / 1013.0 - 0.5) * scale;
        let numbers: Vec<f32> = (0..shape.iter().product()).map(number).collect();
        Tensor::from_data(TensorData::new(numbers, shape), &Device::flex())
    }

    fn numbers(x: Tensor<4>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    /// Areas of less than a piece, of pieces and of a piece and a rest.
    #[test]
    fn images_are_those_of_burn_s_operations() {
        for [batch, layers, channels, height, width] in
            [[2, 3, 4, 5, 7], [1, 17, 2, 32, 64], [2, 2, 3, 40, 41]]
        {
            let x = volume([batch, layers, channels, height, width], 6.0);
            let scores = volume([batch, layers, 1, height, width], 20.0);
            let expected = x.clone().max_dim(1).squeeze_dim(1);
            assert_eq!(numbers(max_over_layers(x.clone())), numbers(expected));
            let weights = activation::softmax(scores.clone(), 1);
            let expected = (x.clone() * weights).sum_dim(1).squeeze_dim(1);
            let pairs = numbers(attend_over_layers(x, scores)).into_iter();
            for (found, expected) in pairs.zip(numbers(expected)) {
                assert!((found - expected).abs() < 1e-5, "{found}, {expected}");
            }
        }
    }

    #[test]
    fn one_nan_makes_the_largest_nan() {
        for nan in 0..3 {
            let mut layers = [1.0, 3.0, 2.0];
            layers[nan] = f32::NAN;
            assert!(max(&layers, [3, 1, 1])[0].is_nan());
        }
    }
}
