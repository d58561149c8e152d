//! Vectors scaled to a given L2 norm.

use rayon::prelude::*;

use crate::vectors::{sum, sum_pairs, vectorized};

/// Rows of one task; fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 64;
/// Lower bound of a vector's own norm, as in `torch.nn.functional.normalize`.
const SHORTEST: f32 = 1e-12;

/// Scales the leading vectors of every row to the norms `lengths`, in place.
///
/// # Shapes
/// - rows: `[rows, features]`, vectors of `width` values
/// - lengths: `[vectors]`, at most `features / width`
pub fn forward(rows: &mut [f32], features: usize, width: usize, lengths: &[f32]) {
    rows.par_chunks_mut(ROWS * features).for_each(|rows| {
        let mut factors = vec![0.0; lengths.len()];
        vectorized(
            #[inline(always)]
            || {
                for row in rows.chunks_exact_mut(features) {
                    let vectors = row.chunks_exact(width);
                    for (square, vector) in factors.iter_mut().zip(vectors) {
                        *square = sum(vector, |x| x * x);
                    }
                    // Roots and quotients of many vectors at once: one at a time would wait for each.
                    for (factor, length) in factors.iter_mut().zip(lengths) {
                        *factor = length / factor.sqrt().max(SHORTEST);
                    }
                    for (vector, factor) in row.chunks_exact_mut(width).zip(&factors) {
                        for x in vector {
                            *x *= factor;
                        }
                    }
                }
            },
        );
    });
}

/// Replaces the gradients of the output by those of the rows, and returns the gradient of the lengths.
///
/// # Shapes
/// - rows, gradients: `[rows, features]`
/// - output: `[vectors]`
pub fn backward(
    rows: &[f32],
    gradients: &mut [f32],
    features: usize,
    width: usize,
    lengths: &[f32],
) -> Vec<f32> {
    let pieces: Vec<Vec<f32>> = gradients
        .par_chunks_mut(ROWS * features)
        .zip(rows.par_chunks(ROWS * features))
        .map(|(gradients, rows)| {
            let mut sums = vec![0.0; lengths.len()];
            vectorized(
                #[inline(always)]
                || {
                    let pairs = gradients.chunks_exact_mut(features);
                    for (gradient, row) in pairs.zip(rows.chunks_exact(features)) {
                        row_backward(row, gradient, width, lengths, &mut sums);
                    }
                },
            );
            sums
        })
        .collect();
    let mut total = vec![0.0; lengths.len()];
    for piece in pieces {
        for (sum, term) in total.iter_mut().zip(piece) {
            *sum += term;
        }
    }
    total
}

#[inline(always)]
fn row_backward(
    row: &[f32],
    gradient: &mut [f32],
    width: usize,
    lengths: &[f32],
    sums: &mut [f32],
) {
    let vectors = gradient
        .chunks_exact_mut(width)
        .zip(row.chunks_exact(width));
    for ((gradient, vector), (length, sum)) in vectors.zip(lengths.iter().zip(sums)) {
        let own = length_of(vector);
        let along = sum_pairs(gradient, vector, |gradient, x| gradient * x) / own;
        *sum += along;
        let (factor, pull) = (length / own, length * along / (own * own));
        for (gradient, x) in gradient.iter_mut().zip(vector) {
            *gradient = *gradient * factor - x * pull;
        }
    }
}

#[inline(always)]
fn length_of(vector: &[f32]) -> f32 {
    sum(vector, |x| x * x).sqrt().max(SHORTEST)
}
