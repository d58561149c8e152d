//! Products of two matrices in slices.

use rayon::prelude::*;

use super::blocks::{Block, blocks};
use super::dot::DotUnit;
use super::layout::MatrixLayout;
use super::packing::{Lhs, RhsPanels};
use super::precision::MulPrecision;
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
    let some_rows = |first: usize, rows: usize| {
        let place = left.1.at(left.1.start + first * left.1.row);
        Lhs::new(precision, [rows, k], (left.0, place))
    };
    let c = &mut c[..(m - 1) * pitch + n];
    if let Threading::Caller = threads {
        let rows = &mut StridedRows::new(c, pitch);
        return multiply_into(precision, &some_rows(0, m), &right, rows, start);
    }
    // Smaller pieces where threads would go without a task; sums do not depend on it.
    let [tile_rows, _] = DotUnit::of(precision).tile();
    let (tiles, pool) = (m.div_ceil(tile_rows), rayon::current_num_threads());
    let rows = tiles.div_ceil(pool).clamp(1, TASK_TILES) * tile_rows;
    let panels = right.len().div_ceil(pool.div_ceil(m.div_ceil(rows)));
    let tasks = blocks(c, pitch, n, [rows, panels * right.width()]).into_par_iter();
    tasks.for_each(
        |Block {
             row,
             column,
             mut rows,
         }| {
            let left = some_rows(row, rows.len());
            let right = right.part(column, rows[0].len());
            multiply_into(precision, &left, right, &mut rows, start);
        },
    );
}
