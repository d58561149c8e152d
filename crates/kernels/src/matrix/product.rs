//! Products of two matrices in slices.

use rayon::prelude::*;

use super::dot::DotUnit;
use super::layout::MatrixLayout;
use super::packing::{Lhs, RhsPanels};
use super::precision::MulPrecision;
use super::strips::strips;
use super::threading::Threading;
use super::tile::{Addend, StridedRows, multiply_into};

/// Most register tiles of one task where threads share a product.
const TASK_TILES: usize = 4;

/// `c = left · right`, or `c += left · right` if `add`.
///
/// # Shapes
/// - left: `[m, k]`, right: `[k, n]`, each a slice and its place in it
/// - c: `[m, n]` from the slice's start, `pitch` from row to row
///
/// # Panics
/// When a matrix reaches beyond its slice, or nothing is to be summed.
pub fn multiply(
    precision: MulPrecision,
    [m, k, n]: [usize; 3],
    left: (&[f32], MatrixLayout),
    right: (&[f32], MatrixLayout),
    (c, pitch): (&mut [f32], usize),
    add: bool,
    threads: Threading,
) {
    if m == 0 || n == 0 {
        return;
    }
    let right = RhsPanels::new(precision, [k, n], right, threads);
    let start = if add { Addend::Output } else { Addend::Zero };
    let some_rows = |first: usize, c: &[f32]| {
        let place = left.1.at(left.1.start + first * left.1.row);
        Lhs::new(precision, [c.len().div_ceil(pitch), k], (left.0, place))
    };
    let all_columns = |first: usize, c: &mut [f32]| {
        let left = some_rows(first, c);
        let rows = &mut StridedRows::new(c, pitch);
        multiply_into(precision, &left, &right, rows, start);
    };
    let c = &mut c[..(m - 1) * pitch + n];
    if let Threading::Caller = threads {
        return all_columns(0, c);
    }
    // Smaller pieces where threads would go without a task; sums do not depend on it.
    let [tile_rows, _] = DotUnit::of(precision).tile();
    let (tiles, pool) = (m.div_ceil(tile_rows), rayon::current_num_threads());
    let rows = tiles.div_ceil(pool).clamp(1, TASK_TILES) * tile_rows;
    let parts = pool.div_ceil(m.div_ceil(rows));
    let panels = right.len().div_ceil(parts);
    let tasks = c.par_chunks_mut(rows * pitch).enumerate();
    tasks.for_each(|(index, c)| {
        if parts == 1 {
            return all_columns(index * rows, c);
        }
        let left = some_rows(index * rows, c);
        let strips = strips(c, pitch, n, panels * right.width()).into_par_iter();
        strips.enumerate().for_each(|(part, mut strip)| {
            let first = part * panels;
            let right = right.part(first..right.len().min(first + panels));
            multiply_into(precision, &left, right, &mut strip, start);
        });
    });
}
