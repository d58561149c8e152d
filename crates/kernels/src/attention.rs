//! Attention of many small groups: the scores and probabilities of one head's queries stay in the cache,
//! and queries, keys and values are read by their strides.

use rayon::prelude::*;

use crate::computed::computed_with;
use crate::exponential::exp;
use crate::matrix::{
    Addend, Lhs, MatrixLayout, MulPrecision, RhsPanels, StridedRows, Threading, multiply,
    multiply_into,
};
use crate::vectors::{MulAdd, reduce_lanes, sum, sum_pairs, vectorized, vectorized_sums};

/// Sizes of the axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Groups; attention is within each.
    pub groups: usize,
    /// Heads.
    pub heads: usize,
    /// Positions of a group.
    pub positions: usize,
    /// Features of a head.
    pub width: usize,
    /// Biases: group `g` takes bias `g % biases`. 0: no bias.
    pub biases: usize,
}

impl Sizes {
    fn area(self) -> usize {
        self.positions * self.positions
    }

    /// Values of one of queries, keys, values or results.
    pub fn len(self) -> usize {
        self.groups * self.heads * self.positions * self.width
    }
}

/// A strided `[groups, heads, positions, width]` tensor.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The storage.
    pub values: &'a [f32],
    /// Index of the first value.
    pub start: usize,
    /// Strides of the four axes.
    pub strides: [usize; 4],
}

impl<'a> View<'a> {
    fn head(self, group: usize, head: usize) -> (&'a [f32], MatrixLayout) {
        let [groups, heads, row, column] = self.strides;
        let start = self.start + group * groups + head * heads;
        (self.values, MatrixLayout { start, row, column })
    }
}

/// Queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `[groups, heads, positions, width]`.
    pub query: View<'a>,
    /// `[groups, heads, positions, width]`.
    pub key: View<'a>,
    /// `[groups, heads, positions, width]`.
    pub value: View<'a>,
    /// `[biases, heads, positions, positions]`, or empty.
    pub bias: &'a [f32],
    /// Factor of `query · keyᵀ`.
    pub scale: f32,
    /// Precision of the factors of all products.
    pub precision: MulPrecision,
}

/// A head's keys `[width, positions]` and values `[positions, width]`, packed as right factors.
struct Packed {
    keys: RhsPanels,
    values: RhsPanels,
}

impl Inputs<'_> {
    fn packed(&self, sizes: Sizes, group: usize, head: usize) -> Packed {
        let Sizes {
            positions, width, ..
        } = sizes;
        let (key, place) = self.key.head(group, head);
        let keys = (key, place.transposed());
        let value = self.value.head(group, head);
        Packed {
            keys: RhsPanels::new(self.precision, [width, positions], keys, Threading::Caller),
            values: RhsPanels::new(self.precision, [positions, width], value, Threading::Caller),
        }
    }

    /// Writes the exponentials of one head's scores `[queries, positions]`, from query `first` on, of which
    /// `inverses · exponentials` are the probabilities.
    fn exponentials(
        &self,
        sizes: Sizes,
        [group, head, first]: [usize; 3],
        keys: &RhsPanels,
        scores: &mut [f32],
        inverses: &mut [f32],
    ) {
        let Sizes {
            positions, width, ..
        } = sizes;
        let queries = scores.len() / positions;
        let (query, place) = self.query.head(group, head);
        let place = place.at(place.start + first * place.row);
        let query = Lhs::new(self.precision, [queries, width], (query, place));
        let rows = &mut StridedRows::new(&mut *scores, positions);
        multiply_into(self.precision, &query, keys, rows, Addend::Zero);
        let bias = match group.checked_rem(sizes.biases) {
            Some(own) => {
                let start = (own * sizes.heads + head) * sizes.area() + first * positions;
                &self.bias[start..][..scores.len()]
            }
            None => &[],
        };
        exponentials(scores, positions, self.scale, bias, inverses);
    }

    /// Writes one head's results for some queries: its columns of `output`, `[queries, heads, width]`.
    fn weighted_values(
        &self,
        sizes: Sizes,
        place: [usize; 3],
        packed: &Packed,
        Scratch { scores, inverses }: &mut Scratch,
        output: &mut [f32],
    ) {
        let row = sizes.heads * sizes.width;
        let queries = output.len() / row;
        let scores = &mut scores[..queries * sizes.positions];
        self.exponentials(sizes, place, &packed.keys, scores, inverses);
        let rows = MatrixLayout::rows(sizes.positions);
        let weights = Lhs::new(self.precision, [queries, sizes.positions], (scores, rows));
        let output = &mut output[place[1] * sizes.width..];
        let sums = &mut StridedRows::new(&mut *output, row);
        multiply_into(self.precision, &weights, &packed.values, sums, Addend::Zero);
        // There are fewer results than weights to scale.
        for (output, inverse) in output.chunks_mut(row).zip(inverses) {
            for value in &mut output[..sizes.width] {
                *value *= *inverse;
            }
        }
    }
}

/// Space for some queries of one head.
struct Scratch {
    /// `[queries, positions]`.
    scores: Vec<f32>,
    /// Of the sums of exponentials, `[queries]`.
    inverses: Vec<f32>,
}

impl Scratch {
    fn new(queries: usize, positions: usize) -> Self {
        Self {
            scores: vec![0.0; queries * positions],
            inverses: vec![0.0; queries],
        }
    }
}

/// With fewer groups than this, tasks are pieces of queries instead of groups.
const FEW_GROUPS: usize = 8;
/// Queries of a task, whose scores stay in the L2 cache.
const QUERIES: usize = 48;

/// `softmax(scale · query · keyᵀ + bias) · value`.
///
/// # Shapes
/// - output: `[groups, positions, heads, width]`
pub fn forward(sizes: Sizes, inputs: Inputs) -> Vec<f32> {
    let row = sizes.heads * sizes.width;
    let (piece, group_size) = ((QUERIES * row).max(1), (sizes.positions * row).max(1));
    let scratch = || Scratch::new(QUERIES.min(sizes.positions), sizes.positions);
    if sizes.groups >= FEW_GROUPS {
        return computed_with(
            sizes.len(),
            group_size,
            scratch,
            |scratch, group, output| {
                for head in 0..sizes.heads {
                    let packed = inputs.packed(sizes, group, head);
                    for (index, output) in output.chunks_mut(piece).enumerate() {
                        let place = [group, head, index * QUERIES];
                        inputs.weighted_values(sizes, place, &packed, scratch, output);
                    }
                }
            },
        );
    }
    let mut output = vec![0.0; sizes.len()];
    for (group, output) in output.chunks_mut(group_size).enumerate() {
        let heads = (0..sizes.heads).into_par_iter();
        let packed: Vec<_> = heads
            .map(|head| inputs.packed(sizes, group, head))
            .collect();
        let pieces = output.par_chunks_mut(piece).enumerate();
        pieces.for_each_init(scratch, |scratch, (index, output)| {
            for (head, packed) in packed.iter().enumerate() {
                let place = [group, head, index * QUERIES];
                inputs.weighted_values(sizes, place, packed, scratch, output);
            }
        });
    }
    output
}

/// Gradients of an attention's inputs.
pub struct Gradients {
    /// `[heads, groups, positions, width]`.
    pub query: Vec<f32>,
    /// `[heads, groups, positions, width]`.
    pub key: Vec<f32>,
    /// `[heads, groups, positions, width]`.
    pub value: Vec<f32>,
    /// `[heads, biases, positions, positions]`.
    pub bias: Vec<f32>,
}

/// The gradients of the inputs, given that of the output `[groups, heads, positions, width]`.
/// Probabilities are computed again instead of kept.
pub fn backward(sizes: Sizes, inputs: Inputs, gradient: View) -> Gradients {
    let head = sizes.groups * sizes.positions * sizes.width;
    let mut gradients = Gradients {
        query: vec![0.0; sizes.len()],
        key: vec![0.0; sizes.len()],
        value: vec![0.0; sizes.len()],
        bias: vec![0.0; sizes.heads * sizes.biases * sizes.area()],
    };
    let biases = (sizes.biases * sizes.area()).max(1);
    let mut bias = gradients.bias.chunks_mut(biases);
    let tasks: Vec<_> = gradients
        .query
        .chunks_mut(head.max(1))
        .zip(gradients.key.chunks_mut(head.max(1)))
        .zip(gradients.value.chunks_mut(head.max(1)))
        .enumerate()
        .map(|(head, ((query, key), value))| {
            let bias = bias.next().unwrap_or_default();
            (
                head,
                HeadGradients {
                    query,
                    key,
                    value,
                    bias,
                },
            )
        })
        .collect();
    tasks.into_par_iter().for_each(|(head, mut task)| {
        let mut probabilities = Scratch::new(sizes.positions, sizes.positions);
        let mut scores = vec![0.0; sizes.area()];
        for group in 0..sizes.groups {
            let scratch = (&mut probabilities, &mut *scores);
            task.group(sizes, inputs, gradient, [group, head], scratch);
        }
    });
    gradients
}

/// One head's part of the gradients, over all groups.
struct HeadGradients<'a> {
    query: &'a mut [f32],
    key: &'a mut [f32],
    value: &'a mut [f32],
    bias: &'a mut [f32],
}

impl HeadGradients<'_> {
    fn group(
        &mut self,
        sizes: Sizes,
        inputs: Inputs,
        gradient: View,
        [group, head]: [usize; 2],
        (exponentials, scores): (&mut Scratch, &mut [f32]),
    ) {
        let Sizes {
            positions, width, ..
        } = sizes;
        let packed = inputs.packed(sizes, group, head);
        let place = [group, head, 0];
        let Scratch {
            scores: probabilities,
            inverses,
        } = exponentials;
        inputs.exponentials(sizes, place, &packed.keys, probabilities, inverses);
        for (row, inverse) in probabilities.chunks_exact_mut(positions).zip(inverses) {
            row.iter_mut().for_each(|weight| *weight *= *inverse);
        }
        let square = MatrixLayout::rows(positions);
        let own = group * positions * width;
        let precision = inputs.precision;
        let outer = gradient.head(group, head);
        let narrow = [positions, positions, width];
        multiply(
            precision,
            narrow,
            (probabilities, square.transposed()),
            outer,
            (&mut self.value[own..], width),
            false,
            Threading::Caller,
        );
        let (value, place) = inputs.value.head(group, head);
        let wide = [positions, width, positions];
        multiply(
            precision,
            wide,
            outer,
            (value, place.transposed()),
            (scores, positions),
            false,
            Threading::Caller,
        );
        softmax_gradient(probabilities, scores, positions);
        if let Some(bias) = group.checked_rem(sizes.biases) {
            let sums = &mut self.bias[bias * sizes.area()..][..sizes.area()];
            for (sum, score) in sums.iter_mut().zip(&*scores) {
                *sum += score;
            }
        }
        for score in scores.iter_mut() {
            *score *= inputs.scale;
        }
        let key = inputs.key.head(group, head);
        multiply(
            precision,
            narrow,
            (scores, square),
            key,
            (&mut self.query[own..], width),
            false,
            Threading::Caller,
        );
        let query = inputs.query.head(group, head);
        multiply(
            precision,
            narrow,
            (scores, square.transposed()),
            query,
            (&mut self.key[own..], width),
            false,
            Threading::Caller,
        );
    }
}

/// Replaces rows by `exp(scale · row + bias − its maximum)`, of which `inverses · rows` is the softmax; `bias`
/// is `[rows, columns]`, or empty for none.
fn exponentials(rows: &mut [f32], columns: usize, scale: f32, bias: &[f32], inverses: &mut [f32]) {
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
fn softmax_gradient(probabilities: &[f32], gradients: &mut [f32], columns: usize) {
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
