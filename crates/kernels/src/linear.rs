//! Products of rows with a layer's weights, bias and activation added while the rows are at hand.

use rayon::prelude::*;

use crate::activation::{Activation, apply_here};
use crate::matrix::{
    Left, MANY_ROWS, Numbers, Panels, Place, Start, Strided, Threads, multiply, multiply_into,
};

/// Rows of one task, at most.
const ROWS: usize = 192;
/// Tasks, at least, if there are rows enough.
const TASKS: usize = 16;

/// Weights as [`forward`] takes them.
///
/// # Shapes
/// - weight: `[outputs, inputs]`
pub fn pack(numbers: Numbers, weight: &[f32], [inputs, outputs]: [usize; 2]) -> Panels {
    let transposed = Place::rows(inputs).transposed();
    Panels::new(
        numbers,
        [inputs, outputs],
        (weight, transposed),
        Threads::All,
    )
}

/// `activation(rows · weightᵀ + bias)`.
///
/// # Shapes
/// - rows: `[n, inputs]`
/// - weight: `[outputs, inputs]`, [packed](pack) for the same numbers
/// - bias: `[outputs]`
/// - output: `[n, outputs]`
pub fn forward(
    numbers: Numbers,
    rows: &[f32],
    weight: &Panels,
    [inputs, outputs]: [usize; 2],
    bias: Option<&[f32]>,
    activation: Option<Activation>,
) -> Vec<f32> {
    let count = rows.len() / inputs;
    let mut output = vec![0.0; count * outputs];
    let start = bias.map_or(Start::Nothing, Start::Columns);
    let per_task = (count / TASKS)
        .next_multiple_of(MANY_ROWS)
        .clamp(MANY_ROWS, ROWS);
    output
        .par_chunks_mut(per_task * outputs)
        .zip(rows.par_chunks(per_task * inputs))
        .for_each(|(output, rows)| {
            let size = [rows.len() / inputs, inputs];
            let rows = Left::new(numbers, size, (rows, Place::rows(inputs)));
            multiply_into(
                numbers,
                &rows,
                weight,
                &mut Strided::new(output, outputs),
                start,
            );
            if let Some(activation) = activation {
                apply_here(output, activation);
            }
        });
    output
}

/// The gradient of the rows, given that of the output.
///
/// # Shapes
/// - gradient: `[n, outputs]`
/// - weight: `[outputs, inputs]`
/// - output: `[n, inputs]`
pub fn row_gradient(
    numbers: Numbers,
    gradient: &[f32],
    weight: &[f32],
    [inputs, outputs]: [usize; 2],
) -> Vec<f32> {
    let count = gradient.len() / outputs;
    let mut slope = vec![0.0; count * inputs];
    multiply(
        numbers,
        [count, outputs, inputs],
        (gradient, Place::rows(outputs)),
        (weight, Place::rows(inputs)),
        (&mut slope, inputs),
        false,
        Threads::All,
    );
    slope
}

/// The gradient of the weights, given that of the output.
///
/// # Shapes
/// - rows: `[n, inputs]`
/// - gradient: `[n, outputs]`
/// - output: `[outputs, inputs]`
pub fn weight_gradient(
    numbers: Numbers,
    rows: &[f32],
    gradient: &[f32],
    [inputs, outputs]: [usize; 2],
) -> Vec<f32> {
    let mut slope = vec![0.0; outputs * inputs];
    multiply(
        numbers,
        [outputs, rows.len() / inputs, inputs],
        (gradient, Place::rows(outputs).transposed()),
        (rows, Place::rows(inputs)),
        (&mut slope, inputs),
        false,
        Threads::All,
    );
    slope
}
