//! Linear layers: products of rows with weights, bias and activation applied while rows are in the cache.

use rayon::prelude::*;

use crate::activation::{Activation, apply_serial};
use crate::computed::{cleared, computed};
use crate::matrix::{
    Addend, DotUnit, Lhs, MatrixLayout, MulPrecision, RhsPanels, StridedRows, Threading, multiply,
    multiply_into, strips,
};

/// Most rows of one task: whole register tiles of any kind.
const ROWS: usize = 192;
/// Fewest tasks, if there are rows enough; most of each thread, if there are few.
const TASKS: usize = 16;

/// Packs weights for [`forward`].
///
/// # Shapes
/// - weight: `[outputs, inputs]`
pub fn pack(precision: MulPrecision, weight: &[f32], [inputs, outputs]: [usize; 2]) -> RhsPanels {
    let transposed = MatrixLayout::rows(inputs).transposed();
    RhsPanels::new(
        precision,
        [inputs, outputs],
        (weight, transposed),
        Threading::Pool,
    )
}

/// `activation(rows · weightᵀ + bias)`.
///
/// # Shapes
/// - rows: `[n, inputs]`
/// - weight: `[outputs, inputs]`, [packed](pack) for the same precision
/// - bias: `[outputs]`
/// - output: `[n, outputs]`
pub fn forward(
    precision: MulPrecision,
    rows: &[f32],
    weight: &RhsPanels,
    [inputs, outputs]: [usize; 2],
    bias: Option<&[f32]>,
    activation: Option<Activation>,
) -> Vec<f32> {
    let count = rows.len() / inputs;
    if (1..outputs).contains(&count) {
        return by_columns(precision, rows, weight, [inputs, outputs], bias, activation);
    }
    let start = bias.map_or(Addend::Zero, Addend::PerColumn);
    let [tile_rows, _] = DotUnit::of(precision).tile();
    let tasks = TASKS.max(4 * rayon::current_num_threads());
    let per_task = (count / tasks)
        .next_multiple_of(tile_rows)
        .clamp(tile_rows, ROWS);
    computed(count * outputs, per_task * outputs, |task, output| {
        let size = [output.len() / outputs, inputs];
        let place = MatrixLayout::rows(inputs).at(task * per_task * inputs);
        let rows = Lhs::new(precision, size, (rows, place));
        let sums = &mut StridedRows::new(&mut *output, outputs);
        multiply_into(precision, &rows, weight, sums, start);
        if let Some(activation) = activation {
            apply_serial(output, activation);
        }
    })
}

/// [`forward`] of fewer rows than outputs, whose weights take longer to read than the rows: a task reads some of
/// them, once.
fn by_columns(
    precision: MulPrecision,
    rows: &[f32],
    weight: &RhsPanels,
    [inputs, outputs]: [usize; 2],
    bias: Option<&[f32]>,
    activation: Option<Activation>,
) -> Vec<f32> {
    let count = rows.len() / inputs;
    let place = MatrixLayout::rows(inputs);
    let rows = Lhs::new(precision, [count, inputs], (rows, place));
    let panels = weight.len().div_ceil(TASKS * rayon::current_num_threads());
    let mut output = cleared(count * outputs);
    let strips = strips(&mut output, outputs, outputs, panels * weight.width());
    // With more threads than strips, the rows are shared out too.
    let [tile_rows, _] = DotUnit::of(precision).tile();
    let parts = rayon::current_num_threads().div_ceil(strips.len());
    let some_rows = count.div_ceil(parts).next_multiple_of(tile_rows);
    let tasks = strips.into_par_iter().enumerate();
    tasks.for_each(|(task, mut strip)| {
        let first = task * panels;
        let part = weight.part(first..(first + panels).min(weight.len()));
        let start = bias.map_or(Addend::Zero, |bias| {
            Addend::PerColumn(&bias[first * weight.width()..])
        });
        let pieces = strip.par_chunks_mut(some_rows).enumerate();
        pieces.for_each(|(piece, mut strip)| {
            let first = piece * some_rows;
            let rows = rows.part(first..first + strip.len());
            multiply_into(precision, &rows, part, &mut strip, start);
            if let Some(activation) = activation {
                for piece in strip {
                    apply_serial(piece, activation);
                }
            }
        });
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
    precision: MulPrecision,
    gradient: &[f32],
    weight: &[f32],
    [inputs, outputs]: [usize; 2],
) -> Vec<f32> {
    let count = gradient.len() / outputs;
    let mut grad = vec![0.0; count * inputs];
    multiply(
        precision,
        [count, outputs, inputs],
        (gradient, MatrixLayout::rows(outputs)),
        (weight, MatrixLayout::rows(inputs)),
        (&mut grad, inputs),
        false,
        Threading::Pool,
    );
    grad
}

/// The gradient of the weights, given that of the output.
///
/// # Shapes
/// - rows: `[n, inputs]`
/// - gradient: `[n, outputs]`
/// - output: `[outputs, inputs]`
pub fn weight_gradient(
    precision: MulPrecision,
    rows: &[f32],
    gradient: &[f32],
    [inputs, outputs]: [usize; 2],
) -> Vec<f32> {
    let mut grad = vec![0.0; outputs * inputs];
    multiply(
        precision,
        [outputs, rows.len() / inputs, inputs],
        (gradient, MatrixLayout::rows(outputs).transposed()),
        (rows, MatrixLayout::rows(inputs)),
        (&mut grad, inputs),
        false,
        Threading::Pool,
    );
    grad
}
