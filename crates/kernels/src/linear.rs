//! Products of rows with a layer's weights, bias and activation added while the rows are at hand.

use rayon::prelude::*;

use crate::activation::{Activation, apply, apply_here};
use crate::matrix::{Place, Threads, multiply};

/// Rows of one task.
const ROWS: usize = 192;
/// Fewer rows than this make too few tasks: threads share one product instead.
const FEW: usize = 8 * ROWS;

/// `activation(rows · weightᵀ + bias)`.
///
/// # Shapes
/// - rows: `[n, inputs]`
/// - weight: `[outputs, inputs]`
/// - bias: `[outputs]`
/// - output: `[n, outputs]`
pub fn forward(
    rows: &[f32],
    weight: &[f32],
    [inputs, outputs]: [usize; 2],
    bias: Option<&[f32]>,
    activation: Option<Activation>,
) -> Vec<f32> {
    let count = rows.len() / inputs;
    let mut output = vec![0.0; count * outputs];
    let piece = |rows: &[f32], output: &mut [f32], threads| {
        if let Some(bias) = bias {
            for row in output.chunks_exact_mut(outputs) {
                row.copy_from_slice(bias);
            }
        }
        multiply(
            [rows.len() / inputs, inputs, outputs],
            (rows, Place::rows(inputs)),
            (weight, Place::rows(inputs).transposed()),
            (output, Place::rows(outputs)),
            bias.is_some(),
            threads,
        );
    };
    if count < FEW {
        piece(rows, &mut output, Threads::All);
        if let Some(activation) = activation {
            apply(&mut output, activation);
        }
        return output;
    }
    output
        .par_chunks_mut(ROWS * outputs)
        .zip(rows.par_chunks(ROWS * inputs))
        .for_each(|(output, rows)| {
            piece(rows, output, Threads::This);
            if let Some(activation) = activation {
                apply_here(output, activation);
            }
        });
    output
}
