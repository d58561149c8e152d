//! Attention of many small groups: the scores and probabilities of one head's queries stay in the cache,
//! and queries, keys and values are read by their strides.

mod backward;
mod forward;
mod softmax;

use crate::matrix::{
    Addend, Lhs, MatrixLayout, MulPrecision, RhsPanels, StridedRows, Threading, multiply_into,
};

pub use backward::backward;
pub use forward::forward;
use softmax::exponentials;

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
