//! Layer normalisation: every row by its own mean and variance.

use rayon::prelude::*;

use crate::vectors::{sum, sum_pairs, vectorized};

/// Most rows of one task, and values of those of fewer.
const ROWS: usize = 64;
const VALUES: usize = 16_384;

/// Rows of one task; by their length alone, so that sums do not depend on the number of threads.
fn rows_at_once(features: usize) -> usize {
    (VALUES / features).clamp(1, ROWS)
}

/// `(x − mean) / sqrt(variance + epsilon) · weight + bias` of every row, in place.
///
/// # Shapes
/// - rows: `[n, features]`
/// - weight, bias: `[features]`
pub fn forward(rows: &mut [f32], weight: &[f32], bias: Option<&[f32]>, epsilon: f32) {
    let features = weight.len();
    let piece = rows_at_once(features) * features;
    rows.par_chunks_mut(piece).for_each(|rows| {
        vectorized(
            #[inline(always)]
            || {
                for row in rows.chunks_exact_mut(features) {
                    let (mean, inverse) = moments(row, epsilon);
                    match bias {
                        Some(bias) => {
                            for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
                                *x = (*x - mean) * inverse * weight + bias;
                            }
                        }
                        None => {
                            for (x, weight) in row.iter_mut().zip(weight) {
                                *x = (*x - mean) * inverse * weight;
                            }
                        }
                    }
                }
            },
        );
    });
}

/// Gradients of weight and bias.
pub struct Gradients {
    /// `[features]`.
    pub weight: Vec<f32>,
    /// `[features]`.
    pub bias: Vec<f32>,
}

/// Replaces the gradients of the output by those of the rows.
///
/// # Shapes
/// - rows, gradients: `[n, features]`
pub fn backward(rows: &[f32], weight: &[f32], gradients: &mut [f32], epsilon: f32) -> Gradients {
    let features = weight.len();
    let piece = rows_at_once(features) * features;
    let pieces: Vec<Gradients> = gradients
        .par_chunks_mut(piece)
        .zip(rows.par_chunks(piece))
        .map(|(gradients, rows)| piece_backward(rows, weight, gradients, epsilon))
        .collect();
    let mut total = Gradients {
        weight: vec![0.0; features],
        bias: vec![0.0; features],
    };
    for piece in pieces {
        add(&mut total.weight, &piece.weight);
        add(&mut total.bias, &piece.bias);
    }
    total
}

fn add(sums: &mut [f32], terms: &[f32]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum += term;
    }
}

fn piece_backward(rows: &[f32], weight: &[f32], gradients: &mut [f32], epsilon: f32) -> Gradients {
    let features = weight.len();
    let mut sums = Gradients {
        weight: vec![0.0; features],
        bias: vec![0.0; features],
    };
    vectorized(
        #[inline(always)]
        || {
            let pairs = gradients
                .chunks_exact_mut(features)
                .zip(rows.chunks_exact(features));
            for (gradient, row) in pairs {
                let (mean, inverse) = moments(row, epsilon);
                for lane in 0..features {
                    sums.weight[lane] += gradient[lane] * (row[lane] - mean) * inverse;
                    sums.bias[lane] += gradient[lane];
                    gradient[lane] *= weight[lane];
                }
                let level = sum(gradient, |gradient| gradient) / features as f32;
                let tilt = sum_pairs(gradient, row, |gradient, x| gradient * (x - mean))
                    * inverse
                    * inverse
                    / features as f32;
                for (gradient, x) in gradient.iter_mut().zip(row) {
                    *gradient = (*gradient - level - (x - mean) * tilt) * inverse;
                }
            }
        },
    );
    sums
}

/// Mean and inverse root of variance plus epsilon.
#[inline(always)]
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row, |x| x) / count;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}
