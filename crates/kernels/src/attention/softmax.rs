//! Softmax of rows, in two steps, and its gradient.

use crate::exponential::exp;
use crate::vectors::{MulAdd, reduce_lanes, sum, sum_pairs, vectorized, vectorized_sums};

/// Replaces rows by `exp(scale · row + bias − its maximum)`, of which `inverses · rows` is the softmax; `bias`
/// is `[rows, columns]`, or empty for none.
pub fn exponentials(
    rows: &mut [f32],
    columns: usize,
    scale: f32,
    bias: &[f32],
    inverses: &mut [f32],
) {
    vectorized_sums(
        #[inline(always)]
        |mul_add| {
            let lines = rows.chunks_exact_mut(columns).zip(&mut *inverses);
            for (index, (row, inverse)) in lines.enumerate() {
                let sum = match bias {
                    [] => {
                        row.iter_mut().for_each(|score| *score *= scale);
                        exponentials_of_row(mul_add, row)
                    }
                    _ => {
                        let bias = &bias[index * columns..][..columns];
                        for (score, &bias) in row.iter_mut().zip(bias) {
                            *score = mul_add.of(*score, scale, bias);
                        }
                        exponentials_of_row(mul_add, row)
                    }
                };
                *inverse = 1.0 / sum;
            }
        },
    );
}

/// Interleaved maxima and sums, so that they are taken as vectors.
const LANES: usize = 16;

/// Replaces a row by `exp(row − its maximum)` and sums it.
#[inline(always)]
fn exponentials_of_row(mul_add: MulAdd, row: &mut [f32]) -> f32 {
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    // What is left over goes into lanes too: single values could not be worked on as vectors.
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..rest.len()].copy_from_slice(rest);
    let mut highest = last;
    for chunk in &*whole {
        for (highest, &score) in highest.iter_mut().zip(chunk) {
            *highest = larger(*highest, score);
        }
    }
    let high = reduce_lanes(highest, larger);
    for chunk in &mut *whole {
        for score in chunk {
            *score = exp(mul_add, *score - high);
        }
    }
    if !rest.is_empty() {
        for score in &mut last {
            *score = exp(mul_add, *score - high);
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
    // In a loop of its own: beside the exponentials, sums are put into memory at every step.
    sum(row, |weight| weight)
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// Gradients of probabilities become those of scores: `probability · (gradient − Σ probability · gradient)`.
pub fn softmax_gradient(probabilities: &[f32], gradients: &mut [f32], columns: usize) {
    vectorized(
        #[inline(always)]
        || {
            let rows = gradients.chunks_exact_mut(columns);
            for (gradients, probabilities) in rows.zip(probabilities.chunks_exact(columns)) {
                let mean = sum_pairs(gradients, probabilities, |gradient, probability| {
                    gradient * probability
                });
                for (gradient, probability) in gradients.iter_mut().zip(probabilities) {
                    *gradient = probability * (*gradient - mean);
                }
            }
        },
    );
}
