//! The inner loop.

use pulp::bytemuck;

use super::factors::{Left, Panel, Panels, VECTORS};
use super::numbers::Numbers;
use super::unit::{Dot, MANY_ROWS, Unit, WithDot};

/// Words that are summed before sums are put down: what a panel may have to stay in the second
/// nearest cache.
const DEPTH: usize = 512;
/// Lanes of the widest vectors.
const WIDEST: usize = 16;

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// Nothing: the output's old values do not count.
    Nothing,
    /// The output's values.
    Present,
    /// One value for each column.
    Columns(&'a [f32]),
    /// One value for each row.
    Rows(&'a [f32]),
}

/// The rows of an output.
pub trait Rows {
    /// Row `index`, as long as the product has columns.
    fn row(&mut self, index: usize) -> &mut [f32];
}

/// Rows at equal distances in a slice.
#[derive(Debug)]
pub struct Strided<'a> {
    values: &'a mut [f32],
    pitch: usize,
}

impl<'a> Strided<'a> {
    /// Rows from the slice's start, `pitch` from one to the next.
    pub fn new(values: &'a mut [f32], pitch: usize) -> Self {
        Self { values, pitch }
    }
}

impl Rows for Strided<'_> {
    #[inline(always)]
    fn row(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.pitch..]
    }
}

impl Rows for Vec<&mut [f32]> {
    #[inline(always)]
    fn row(&mut self, index: usize) -> &mut [f32] {
        self[index]
    }
}

/// `output = start + left · right`, on this thread.
///
/// # Panics
/// When the factors do not fit each other or the output.
pub fn multiply_into(
    numbers: Numbers,
    left: &Left,
    right: &Panels,
    output: &mut impl Rows,
    start: Start,
) {
    assert_eq!(left.length, right.depth, "the factors' inner sizes differ");
    Unit::of(numbers).run(Product {
        left,
        right,
        output,
        start,
    });
}

struct Product<'a, R> {
    left: &'a Left<'a>,
    right: &'a Panels,
    output: &'a mut R,
    start: Start<'a>,
}

impl<R: Rows> WithDot for Product<'_, R> {
    #[inline(always)]
    fn with_dot<D: Dot, const HELD: usize>(mut self, dot: D) {
        for depth in (0..self.left.length).step_by(DEPTH) {
            let deep = DEPTH.min(self.left.length - depth);
            for panel in self.right.panels() {
                let size = panel.vectors * D::LANES;
                let words = &panel.words[depth * size..][..deep * size];
                let panel = Panel { words, ..panel };
                match panel.vectors {
                    3 => self.panel::<D, HELD, 3>(dot, panel, depth),
                    2 => self.panel::<D, HELD, 2>(dot, panel, depth),
                    _ => self.panel::<D, HELD, 1>(dot, panel, depth),
                }
            }
        }
    }
}

impl<R: Rows> Product<'_, R> {
    /// All rows times one panel.
    #[inline(always)]
    fn panel<D: Dot, const HELD: usize, const WIDE: usize>(
        &mut self,
        dot: D,
        panel: Panel,
        depth: usize,
    ) {
        let width = WIDE * D::LANES;
        let deep = panel.words.len() / width;
        let mut sums = [0.0; MANY_ROWS * VECTORS * WIDEST];
        for first in (0..self.left.rows).step_by(HELD) {
            let count = HELD.min(self.left.rows - first);
            // Rows that are missing repeat the last; nobody takes their sums.
            let rows: [&[u32]; HELD] =
                std::array::from_fn(|row| self.left.row(first + row.min(count - 1), depth, deep));
            accumulate::<D, HELD, WIDE>(dot, rows, panel.words, &mut sums[..HELD * width]);
            for (row, sums) in sums.chunks_exact(width).take(count).enumerate() {
                self.put(first + row, panel, depth > 0, sums);
            }
        }
    }

    /// Writes a row's sums of one panel.
    #[inline(always)]
    fn put(&mut self, row: usize, panel: Panel, again: bool, sums: &[f32]) {
        let sums = &sums[..panel.columns];
        let output = &mut self.output.row(row)[panel.first..][..panel.columns];
        match self.start {
            _ if again => add(output, sums),
            Start::Nothing => output.copy_from_slice(sums),
            Start::Present => add(output, sums),
            Start::Columns(bias) => {
                let bias = &bias[panel.first..][..panel.columns];
                for ((output, sum), bias) in output.iter_mut().zip(sums).zip(bias) {
                    *output = sum + bias;
                }
            }
            Start::Rows(bias) => {
                for (output, sum) in output.iter_mut().zip(sums) {
                    *output = sum + bias[row];
                }
            }
        }
    }
}

#[inline(always)]
fn add(output: &mut [f32], sums: &[f32]) {
    for (output, sum) in output.iter_mut().zip(sums) {
        *output += sum;
    }
}

/// Sums of `HELD` rows times `WIDE` vectors of columns.
#[inline(always)]
fn accumulate<D: Dot, const HELD: usize, const WIDE: usize>(
    dot: D,
    rows: [&[u32]; HELD],
    panel: &[u32],
    sums: &mut [f32],
) {
    let mut held = [[dot.zero(); WIDE]; HELD];
    let (panel, _) = D::vectors(panel).as_chunks::<WIDE>();
    for (step, words) in panel.iter().enumerate() {
        for (held, row) in held.iter_mut().zip(rows) {
            for (sum, &words) in held.iter_mut().zip(words) {
                *sum = dot.add(row[step], words, *sum);
            }
        }
    }
    sums.copy_from_slice(bytemuck::cast_slice(held.as_flattened()));
}
