//! Matrix products: the left factor's rows times panels of the right factor's columns.
//!
//! The inner loop holds several rows times three vectors of columns in registers, adds up along
//! the whole depth and writes each sum once. Sums run in the same order whatever the threads.

mod factors;
mod numbers;
mod tile;
mod transpose;
mod unit;

use rayon::prelude::*;

pub use factors::{Left, Panels};
pub use numbers::Numbers;
pub use tile::{Rows, Start, Strided, multiply_into};
#[cfg(test)]
pub use unit::Singles;
pub use unit::{Dot, MANY_ROWS, Unit, WithDot};

/// Who multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread alone.
    This,
    /// All threads share the product's rows.
    All,
}

/// Where a matrix lies in a slice.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The first element's index.
    pub start: usize,
    /// From one row to the next.
    pub row: usize,
    /// From one column to the next.
    pub column: usize,
}

impl Place {
    /// Rows one after another, `columns` values each.
    pub fn rows(columns: usize) -> Self {
        Self {
            start: 0,
            row: columns,
            column: 1,
        }
    }

    /// The same matrix from another first element on.
    pub fn at(self, start: usize) -> Self {
        Self { start, ..self }
    }

    /// The transposed matrix.
    pub fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }

    /// # Panics
    /// When a matrix of `[rows, columns]` here reaches beyond `values`, or has no values.
    fn check(self, [rows, columns]: [usize; 2], values: &[f32]) {
        assert!(rows > 0 && columns > 0, "an empty matrix");
        let last = self.start + (rows - 1) * self.row + (columns - 1) * self.column;
        assert!(last < values.len(), "the matrix reaches beyond its slice");
    }
}

/// Rows of one task where threads share a product.
const TASK_ROWS: usize = 4 * MANY_ROWS;

/// `c = left · right`, or `c += left · right` if `add`.
///
/// # Shapes
/// - left: `[m, k]`, right: `[k, n]`, each a slice and its place in it
/// - c: `[m, n]` from the slice's start, `pitch` from row to row
///
/// # Panics
/// When a matrix reaches beyond its slice, or nothing is to be summed.
pub fn multiply(
    numbers: Numbers,
    [m, k, n]: [usize; 3],
    left: (&[f32], Place),
    right: (&[f32], Place),
    (c, pitch): (&mut [f32], usize),
    add: bool,
    threads: Threads,
) {
    if m == 0 || n == 0 {
        return;
    }
    let right = Panels::new(numbers, [k, n], right, threads);
    let start = if add { Start::Present } else { Start::Nothing };
    let piece = |first: usize, c: &mut [f32]| {
        let rows = c.len().div_ceil(pitch);
        let place = left.1.at(left.1.start + first * left.1.row);
        let left = Left::new(numbers, [rows, k], (left.0, place));
        multiply_into(numbers, &left, &right, &mut Strided::new(c, pitch), start);
    };
    let c = &mut c[..(m - 1) * pitch + n];
    match threads {
        Threads::This => piece(0, c),
        Threads::All => {
            let tasks = c.par_chunks_mut(TASK_ROWS * pitch).enumerate();
            tasks.for_each(|(index, c)| piece(index * TASK_ROWS, c));
        }
    }
}
