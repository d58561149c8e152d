//! Rows `[rows, features]`: sums over rows, and one factor and summand per feature.

use rayon::prelude::*;

use crate::vectors::vectorized;

/// Rows of one task; fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 128;

/// `Σ left · right` over all rows, feature by feature.
///
/// # Shapes
/// - left, right: `[rows, features]`
/// - output: `[features]`
pub fn sum_products(left: &[f32], right: &[f32], features: usize) -> Vec<f32> {
    let size = ROWS * features;
    let tasks = left.par_chunks(size).zip(right.par_chunks(size));
    let pieces: Vec<Vec<f32>> = tasks
        .map(|(left, right)| {
            let mut sums = vec![0.0; features];
            vectorized(
                #[inline(always)]
                || {
                    let rows = left.chunks_exact(features);
                    for (left, right) in rows.zip(right.chunks_exact(features)) {
                        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
                            *sum += left * right;
                        }
                    }
                },
            );
            sums
        })
        .collect();
    sum_pieces(&pieces, features)
}

/// `Σ` over all rows, feature by feature.
///
/// # Shapes
/// - rows: `[rows, features]`
/// - output: `[features]`
pub fn sum_rows(rows: &[f32], features: usize) -> Vec<f32> {
    let tasks = rows.par_chunks(ROWS * features);
    let pieces: Vec<Vec<f32>> = tasks
        .map(|rows| {
            let mut sums = vec![0.0; features];
            vectorized(
                #[inline(always)]
                || {
                    for row in rows.chunks_exact(features) {
                        for (sum, x) in sums.iter_mut().zip(row) {
                            *sum += x;
                        }
                    }
                },
            );
            sums
        })
        .collect();
    sum_pieces(&pieces, features)
}

fn sum_pieces(pieces: &[Vec<f32>], features: usize) -> Vec<f32> {
    let mut total = vec![0.0; features];
    for piece in pieces {
        for (sum, term) in total.iter_mut().zip(piece) {
            *sum += term;
        }
    }
    total
}

/// `x = factor · x + summand`, in place.
///
/// # Shapes
/// - rows: `[rows, features]`
/// - factors, summands: `[features]`
pub fn scale_and_shift(rows: &mut [f32], factors: &[f32], summands: &[f32]) {
    let features = factors.len();
    rows.par_chunks_mut(ROWS * features).for_each(|rows| {
        vectorized(
            #[inline(always)]
            || {
                for row in rows.chunks_exact_mut(features) {
                    for ((x, factor), summand) in row.iter_mut().zip(factors).zip(summands) {
                        *x = *x * factor + summand;
                    }
                }
            },
        );
    });
}

/// `x = factor · x + weight · y`, in place.
///
/// # Shapes
/// - rows, others: `[rows, features]`
/// - factors, weights: `[features]`
pub fn blend(rows: &mut [f32], others: &[f32], factors: &[f32], weights: &[f32]) {
    let features = factors.len();
    rows.par_chunks_mut(ROWS * features)
        .zip(others.par_chunks(ROWS * features))
        .for_each(|(rows, others)| {
            vectorized(
                #[inline(always)]
                || {
                    let rows = rows.chunks_exact_mut(features);
                    for (row, other) in rows.zip(others.chunks_exact(features)) {
                        let terms = factors.iter().zip(weights);
                        for ((x, y), (factor, weight)) in row.iter_mut().zip(other).zip(terms) {
                            *x = *x * factor + weight * y;
                        }
                    }
                },
            );
        });
}
