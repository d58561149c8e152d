//! Linear layers: products of rows with weights, bias and activation applied while rows are in the cache.

use std::ops::Range;

use rayon::prelude::*;

use crate::activation::{Activation, apply_serial};
use crate::computed::{cleared, computed};
use crate::matrix::{
    Addend, Block, DEEPEST, DotUnit, Int8Panels, Int8Rows, Lhs, MatrixLayout, MulPrecision,
    OutputRows, RhsPanels, StridedRows, Threading, blocks, multiply, multiply_into,
};

/// Most rows of one task: whole register tiles of any kind.
const ROWS: usize = 192;
/// Fewest tasks, if there are rows enough; most of each thread, if there are few.
const TASKS: usize = 16;

/// Weights of a linear layer, packed.
#[derive(Debug)]
pub enum Weights {
    /// f32 or bf16.
    Float(MulPrecision, RhsPanels),
    /// Whole numbers of 8 bits.
    Int8(Int8Panels),
}

/// Rows of activations, for weights of the same kind.
enum Rows<'a> {
    Float(Lhs<'a>),
    Int8(Int8Rows<'a>),
}

impl Rows<'_> {
    fn part(&self, rows: Range<usize>) -> Rows<'_> {
        match self {
            Self::Float(all) => Rows::Float(all.part(rows)),
            Self::Int8(all) => Rows::Int8(all.part(rows)),
        }
    }
}

impl Weights {
    /// Rounds and packs weights.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs]`
    pub fn pack(precision: MulPrecision, weight: &[f32], [inputs, outputs]: [usize; 2]) -> Self {
        if precision == MulPrecision::Int8 && inputs <= DEEPEST {
            return Self::Int8(Int8Panels::new(weight, inputs));
        }
        let transposed = MatrixLayout::rows(inputs).transposed();
        let size = [inputs, outputs];
        let panels = RhsPanels::new(precision, size, (weight, transposed), Threading::Pool);
        Self::Float(precision, panels)
    }

    /// Rows of a register tile.
    fn tile_rows(&self) -> usize {
        match self {
            Self::Float(precision, _) => DotUnit::of(*precision).tile()[0],
            Self::Int8(panels) => panels.tile_rows(),
        }
    }

    /// Number of panels, columns of a panel, and outputs.
    fn panels(&self) -> [usize; 3] {
        match self {
            Self::Float(_, panels) => [panels.len(), panels.width(), panels.columns],
            Self::Int8(panels) => [panels.len(), panels.width(), panels.columns()],
        }
    }

    /// Rounds rows of `inputs` values.
    fn rows<'a>(&self, rows: &'a [f32], inputs: usize) -> Rows<'a> {
        match self {
            Self::Float(precision, _) => {
                let size = [rows.len() / inputs, inputs];
                let all = (rows, MatrixLayout::rows(inputs));
                Rows::Float(Lhs::new(*precision, size, all))
            }
            Self::Int8(panels) => Rows::Int8(panels.round_rows(rows, inputs)),
        }
    }

    /// `rows · weightᵀ + bias` for some of the outputs, which begin with a panel.
    fn multiply_into(
        &self,
        rows: &Rows,
        outputs: Range<usize>,
        output: &mut impl OutputRows,
        bias: Option<&[f32]>,
    ) {
        match (self, rows) {
            (Self::Float(precision, panels), Rows::Float(rows)) => {
                let start = bias.map_or(Addend::Zero, |bias| {
                    Addend::PerColumn(&bias[outputs.clone()])
                });
                let panels = panels.part(outputs.start, outputs.len());
                multiply_into(*precision, rows, panels, output, start);
            }
            (Self::Int8(panels), Rows::Int8(rows)) => {
                panels.multiply_into(rows, outputs, output, bias);
            }
            _ => unreachable!("rows are made for their weights"),
        }
    }
}

/// `activation(rows · weightᵀ + bias)`.
///
/// # Shapes
/// - rows: `[n, inputs]`
/// - weight: `[outputs, inputs]`
/// - bias: `[outputs]`
/// - output: `[n, outputs]`
pub fn forward(
    rows: &[f32],
    weight: &Weights,
    [inputs, outputs]: [usize; 2],
    bias: Option<&[f32]>,
    activation: Option<Activation>,
) -> Vec<f32> {
    let count = rows.len() / inputs;
    if (1..outputs).contains(&count) {
        return by_columns(
            (&weight.rows(rows, inputs), count),
            weight,
            bias,
            activation,
        );
    }
    let tile_rows = weight.tile_rows();
    let tasks = TASKS.max(4 * rayon::current_num_threads());
    let per_task = (count / tasks)
        .next_multiple_of(tile_rows)
        .clamp(tile_rows, ROWS);
    computed(count * outputs, per_task * outputs, |task, output| {
        let size = output.len() / outputs * inputs;
        let rows = weight.rows(&rows[task * per_task * inputs..][..size], inputs);
        let sums = &mut StridedRows::new(&mut *output, outputs);
        weight.multiply_into(&rows, 0..outputs, sums, bias);
        if let Some(activation) = activation {
            apply_serial(output, activation);
        }
    })
}

/// [`forward`] of fewer rows than outputs, whose weights take longer to read than the rows: a task reads some of
/// them, once.
fn by_columns(
    (rows, count): (&Rows, usize),
    weight: &Weights,
    bias: Option<&[f32]>,
    activation: Option<Activation>,
) -> Vec<f32> {
    let [panels, width, outputs] = weight.panels();
    let threads = rayon::current_num_threads();
    let per_task = panels.div_ceil(TASKS * threads);
    // With more threads than groups of panels, the rows are shared out too.
    let parts = threads.div_ceil(panels.div_ceil(per_task));
    let height = count.div_ceil(parts).next_multiple_of(weight.tile_rows());
    let mut output = cleared(count * outputs);
    let size = [height, per_task * width];
    let tasks = blocks(&mut output, outputs, outputs, size).into_par_iter();
    tasks.for_each(|block| {
        let Block {
            row,
            column,
            rows: mut sums,
        } = block;
        let rows = rows.part(row..row + sums.len());
        let outputs = column..column + sums[0].len();
        weight.multiply_into(&rows, outputs, &mut sums, bias);
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
