//! Linear layers: products of rows with weights, bias and activation applied while rows are in the cache.

use rayon::prelude::*;

use crate::activation::{Activation, apply_serial};
use crate::computed::{cleared, computed};
use crate::matrix::{
    Addend, Block, DotUnit, Lhs, MatrixLayout, MulPrecision, RhsPanels, StridedRows, Threading,
    blocks, multiply, multiply_into,
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
        let rows = Lhs::new(
            precision,
            [count, inputs],
            (rows, MatrixLayout::rows(inputs)),
        );
        return by_columns(precision, &rows, weight, bias, activation);
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
    rows: &Lhs,
    weight: &RhsPanels,
    bias: Option<&[f32]>,
    activation: Option<Activation>,
) -> Vec<f32> {
    let (count, outputs) = (rows.rows, weight.columns);
    let threads = rayon::current_num_threads();
    let panels = weight.len().div_ceil(TASKS * threads);
    // With more threads than groups of panels, the rows are shared out too.
    let [tile_rows, _] = DotUnit::of(precision).tile();
    let parts = threads.div_ceil(weight.len().div_ceil(panels));
    let height = count.div_ceil(parts).next_multiple_of(tile_rows);
    let mut output = cleared(count * outputs);
    let size = [height, panels * weight.width()];
    let tasks = blocks(&mut output, outputs, outputs, size).into_par_iter();
    tasks.for_each(|block| {
        let Block {
            row,
            column,
            rows: mut sums,
        } = block;
        let rows = rows.part(row..row + sums.len());
        let weight = weight.part(column, sums[0].len());
        let start = bias.map_or(Addend::Zero, |bias| Addend::PerColumn(&bias[column..]));
        multiply_into(precision, &rows, weight, &mut sums, start);
        if let Some(activation) = activation {
            for sums in sums {
                apply_serial(sums, activation);
            }
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
