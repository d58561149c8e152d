//! Attention of many small groups: scores, softmax and the mix of values of one head stay in the
//! nearest cache, and queries, keys and values are read where they lie.

use rayon::prelude::*;

use crate::exponential::exp;
use crate::matrix::{
    Left, Numbers, Panels, Place, Start, Strided, Threads, multiply, multiply_into,
};
use crate::vectors::{joined, sum, total, vectorized};

/// Sizes of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Groups of positions that see each other.
    pub groups: usize,
    /// Heads.
    pub heads: usize,
    /// Positions of a group.
    pub positions: usize,
    /// Channels of a head.
    pub width: usize,
    /// Groups that have a bias of their own: group `g` takes that of `g % biases`. 0: no bias.
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

/// Where `[groups, heads, positions, width]` values lie in a slice.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The slice.
    pub values: &'a [f32],
    /// The first value's index.
    pub start: usize,
    /// Steps along the four axes.
    pub strides: [usize; 4],
}

impl<'a> View<'a> {
    fn head(self, group: usize, head: usize) -> (&'a [f32], Place) {
        let [groups, heads, row, column] = self.strides;
        let start = self.start + group * groups + head * heads;
        (self.values, Place { start, row, column })
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
    /// What products of queries and keys are multiplied by.
    pub scale: f32,
    /// What the products multiply.
    pub numbers: Numbers,
}

/// A head's keys and values, ready to be multiplied by.
struct Packed {
    keys: Panels,
    values: Panels,
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
            keys: Panels::new(self.numbers, [width, positions], keys, Threads::This),
            values: Panels::new(self.numbers, [positions, width], value, Threads::This),
        }
    }

    /// The softmax of one head's scores, some queries by all keys, from query `first` on.
    fn shares(
        &self,
        sizes: Sizes,
        [group, head, first]: [usize; 3],
        keys: &Panels,
        shares: &mut [f32],
    ) {
        let Sizes {
            positions, width, ..
        } = sizes;
        let queries = shares.len() / positions;
        let (query, place) = self.query.head(group, head);
        let place = place.at(place.start + first * place.row);
        let query = Left::new(self.numbers, [queries, width], (query, place));
        let scores = &mut Strided::new(&mut *shares, positions);
        multiply_into(self.numbers, &query, keys, scores, Start::Nothing);
        let bias = match group.checked_rem(sizes.biases) {
            Some(own) => {
                let start = (own * sizes.heads + head) * sizes.area() + first * positions;
                &self.bias[start..][..shares.len()]
            }
            None => &[],
        };
        softmax(shares, positions, self.scale, bias);
    }

    /// One head's results for some queries: its columns of `output`, `[queries, heads, width]`.
    fn mix(
        &self,
        sizes: Sizes,
        [group, head, first]: [usize; 3],
        packed: &Packed,
        shares: &mut [f32],
        output: &mut [f32],
    ) {
        let row = sizes.heads * sizes.width;
        let queries = output.len() / row;
        let shares = &mut shares[..queries * sizes.positions];
        self.shares(sizes, [group, head, first], &packed.keys, shares);
        let place = Place::rows(sizes.positions);
        let shares = Left::new(self.numbers, [queries, sizes.positions], (shares, place));
        let output = &mut Strided::new(&mut output[head * sizes.width..], row);
        multiply_into(
            self.numbers,
            &shares,
            &packed.values,
            output,
            Start::Nothing,
        );
    }
}

/// Fewer groups than this are shared out by queries, or threads would idle.
const FEW_GROUPS: usize = 8;
/// Queries whose scores stay in the second nearest cache.
const QUERIES: usize = 64;

/// `softmax(scale · query · keyᵀ + bias) · value`.
///
/// # Shapes
/// - output: `[groups, positions, heads, width]`
pub fn forward(sizes: Sizes, inputs: Inputs) -> Vec<f32> {
    let mut output = vec![0.0; sizes.len()];
    let row = sizes.heads * sizes.width;
    let (piece, group_size) = ((QUERIES * row).max(1), (sizes.positions * row).max(1));
    let scratch = || vec![0.0; QUERIES.min(sizes.positions) * sizes.positions];
    if sizes.groups >= FEW_GROUPS {
        let groups = output.par_chunks_mut(group_size).enumerate();
        groups.for_each_init(scratch, |shares, (group, output)| {
            for head in 0..sizes.heads {
                let packed = inputs.packed(sizes, group, head);
                for (index, output) in output.chunks_mut(piece).enumerate() {
                    let place = [group, head, index * QUERIES];
                    inputs.mix(sizes, place, &packed, shares, output);
                }
            }
        });
        return output;
    }
    for (group, output) in output.chunks_mut(group_size).enumerate() {
        let heads = (0..sizes.heads).into_par_iter();
        let packed: Vec<_> = heads
            .map(|head| inputs.packed(sizes, group, head))
            .collect();
        let pieces = output.par_chunks_mut(piece).enumerate();
        pieces.for_each_init(scratch, |shares, (index, output)| {
            for (head, packed) in packed.iter().enumerate() {
                inputs.mix(
                    sizes,
                    [group, head, index * QUERIES],
                    packed,
                    shares,
                    output,
                );
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

/// The gradients, given that of the output. Shares are computed anew instead of kept.
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
                OneHead {
                    query,
                    key,
                    value,
                    bias,
                },
            )
        })
        .collect();
    tasks.into_par_iter().for_each(|(head, mut task)| {
        let mut scratch = [vec![0.0; sizes.area()], vec![0.0; sizes.area()]];
        for group in 0..sizes.groups {
            task.group(sizes, inputs, gradient, [group, head], &mut scratch);
        }
    });
    gradients
}

/// One head's part of the gradients: over groups.
struct OneHead<'a> {
    query: &'a mut [f32],
    key: &'a mut [f32],
    value: &'a mut [f32],
    bias: &'a mut [f32],
}

impl OneHead<'_> {
    fn group(
        &mut self,
        sizes: Sizes,
        inputs: Inputs,
        gradient: View,
        [group, head]: [usize; 2],
        [shares, scores]: &mut [Vec<f32>; 2],
    ) {
        let Sizes {
            positions, width, ..
        } = sizes;
        let packed = inputs.packed(sizes, group, head);
        inputs.shares(sizes, [group, head, 0], &packed.keys, shares);
        let square = Place::rows(positions);
        let own = group * positions * width;
        let numbers = inputs.numbers;
        let outer = gradient.head(group, head);
        let narrow = [positions, positions, width];
        multiply(
            numbers,
            narrow,
            (shares, square.transposed()),
            outer,
            (&mut self.value[own..], width),
            false,
            Threads::This,
        );
        let (value, place) = inputs.value.head(group, head);
        let wide = [positions, width, positions];
        multiply(
            numbers,
            wide,
            outer,
            (value, place.transposed()),
            (scores, positions),
            false,
            Threads::This,
        );
        softmax_gradient(shares, scores, positions);
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
            numbers,
            narrow,
            (scores, square),
            key,
            (&mut self.query[own..], width),
            false,
            Threads::This,
        );
        let query = inputs.query.head(group, head);
        multiply(
            numbers,
            narrow,
            (scores, square.transposed()),
            query,
            (&mut self.key[own..], width),
            false,
            Threads::This,
        );
    }
}

/// Rows become `softmax(scale · row + bias)`; an empty bias is none.
fn softmax(rows: &mut [f32], columns: usize, scale: f32, bias: &[f32]) {
    vectorized(
        #[inline(always)]
        || {
            for (index, row) in rows.chunks_exact_mut(columns).enumerate() {
                match bias {
                    [] => row.iter_mut().for_each(|score| *score *= scale),
                    _ => {
                        let bias = &bias[index * columns..][..columns];
                        for (score, bias) in row.iter_mut().zip(bias) {
                            *score = *score * scale + bias;
                        }
                    }
                }
                softmax_row(row);
            }
        },
    );
}

/// Independent sums, so that they are added as vectors.
const SUMS: usize = 32;

#[inline(always)]
fn softmax_row(row: &mut [f32]) {
    let mut highest = [f32::NEG_INFINITY; SUMS];
    let (whole, rest) = row.as_chunks::<SUMS>();
    for chunk in whole {
        for (highest, &score) in highest.iter_mut().zip(chunk) {
            *highest = larger(*highest, score);
        }
    }
    // What is left over goes into lanes too: a single one could not be worked on as vectors.
    for (highest, &score) in highest.iter_mut().zip(rest) {
        *highest = larger(*highest, score);
    }
    let high = joined(highest, larger);
    let mut sums = [0.0; SUMS];
    for chunk in row.chunks_mut(SUMS) {
        for (sum, score) in sums.iter_mut().zip(chunk) {
            *score = exp(*score - high);
            *sum += *score;
        }
    }
    let inverse = 1.0 / total(sums);
    for score in row {
        *score *= inverse;
    }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// Gradients of shares become those of scores: `share · (gradient − Σ share · gradient)`.
fn softmax_gradient(shares: &[f32], gradients: &mut [f32], columns: usize) {
    vectorized(
        #[inline(always)]
        || {
            let rows = gradients.chunks_exact_mut(columns);
            for (gradients, shares) in rows.zip(shares.chunks_exact(columns)) {
                let mean = sum(columns, |column| gradients[column] * shares[column]);
                for (gradient, share) in gradients.iter_mut().zip(shares) {
                    *gradient = share * (*gradient - mean);
                }
            }
        },
    );
}
