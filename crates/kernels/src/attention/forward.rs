//! The forward pass.

use rayon::prelude::*;

use super::{Inputs, Packed, Scratch, Sizes};
use crate::computed::computed_with;
use crate::matrix::{Addend, DotUnit, Lhs, MatrixLayout, StridedRows, multiply_into};

/// Queries of a task, whose scores stay in the L1 or L2 cache.
const QUERIES: usize = 48;
/// Tasks for each thread, if there are queries enough: threads that are done first wait for less.
const TASKS: usize = 4;

/// `softmax(scale · query · keyᵀ + bias) · value`.
///
/// # Shapes
/// - output: `[groups, positions, heads, width]`
pub fn forward(sizes: Sizes, inputs: Inputs) -> Vec<f32> {
    match sizes.groups >= 2 * rayon::current_num_threads() {
        true => by_groups(sizes, inputs),
        false => by_queries(sizes, inputs),
    }
}

/// Each task has a group.
fn by_groups(sizes: Sizes, inputs: Inputs) -> Vec<f32> {
    let row = sizes.heads * sizes.width;
    let piece = (QUERIES * row).max(1);
    let scratch = || Scratch::new(QUERIES.min(sizes.positions), sizes.positions);
    let group_size = sizes.positions * row;
    computed_with(
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
    )
}

/// Each task has some queries of all heads of a group.
fn by_queries(sizes: Sizes, inputs: Inputs) -> Vec<f32> {
    let row = sizes.heads * sizes.width;
    let queries = queries_of_a_task(sizes, inputs);
    let scratch = || Scratch::new(queries, sizes.positions);
    let mut output = vec![0.0; sizes.len()];
    let groups = output.par_chunks_mut((sizes.positions * row).max(1));
    groups.enumerate().for_each(|(group, output)| {
        let heads = (0..sizes.heads).into_par_iter();
        let packed: Vec<_> = heads
            .map(|head| inputs.packed(sizes, group, head))
            .collect();
        let pieces = output.par_chunks_mut((queries * row).max(1)).enumerate();
        pieces.for_each_init(scratch, |scratch, (index, output)| {
            for (head, packed) in packed.iter().enumerate() {
                let place = [group, head, index * queries];
                inputs.weighted_values(sizes, place, packed, scratch, output);
            }
        });
    });
    output
}

/// Whole register tiles of queries. Results do not depend on how many: every query is for itself.
fn queries_of_a_task(sizes: Sizes, inputs: Inputs) -> usize {
    let [tile_rows, _] = DotUnit::of(inputs.precision).tile();
    let share = sizes.positions / (TASKS * rayon::current_num_threads());
    share.next_multiple_of(tile_rows).clamp(tile_rows, QUERIES)
}

impl Inputs<'_> {
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
