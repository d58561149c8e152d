//! The inner loop of products: tiles of sums in registers.

use std::ops::Range;

use pulp::bytemuck;

use super::amx::{SIDE as TILE_ROWS, ShapedTiles, TileRows, Tiles, WIDEST};
use super::dot::{Dot, DotUnit, MAX_TILE, WithDot};
use super::int8_dot::Int8Dot;
use super::packing::{Lhs, RhsPanel, RhsPart};
use super::precision::MulPrecision;

/// What a product's sums are added to before they are written.
#[derive(Clone, Copy, Debug)]
pub enum Addend<'a> {
    /// Zero: the output's old values are overwritten.
    Zero,
    /// The output's present values.
    Output,
    /// A bias `[columns]`.
    PerColumn(&'a [f32]),
    /// A bias `[rows]`.
    PerRow(&'a [f32]),
}

/// Rows that a product writes.
pub trait OutputRows {
    /// Row `index`, at least as long as the product has columns.
    fn row(&mut self, index: usize) -> &mut [f32];
}

/// Rows at a constant stride in a slice.
#[derive(Debug)]
pub struct StridedRows<'a> {
    values: &'a mut [f32],
    pitch: usize,
}

impl<'a> StridedRows<'a> {
    /// Rows from the slice's start, `pitch` values from one to the next.
    pub fn new(values: &'a mut [f32], pitch: usize) -> Self {
        Self { values, pitch }
    }
}

impl OutputRows for StridedRows<'_> {
    #[inline(always)]
    fn row(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.pitch..]
    }
}

impl OutputRows for Vec<&mut [f32]> {
    #[inline(always)]
    fn row(&mut self, index: usize) -> &mut [f32] {
        self[index]
    }
}

/// `output = addend + left · right`, on this thread.
///
/// # Shapes
/// - left: `[rows, depth]`, right: `[depth, columns]`, packed for the same precision
/// - output: `rows` rows of `columns` values
///
/// # Panics
/// When the factors do not fit each other or the output.
pub fn multiply_into<'a>(
    precision: MulPrecision,
    left: &Lhs,
    right: impl Into<RhsPart<'a>>,
    output: &mut impl OutputRows,
    addend: Addend,
) {
    let right = right.into();
    assert_eq!(left.length, right.depth, "the factors' inner sizes differ");
    DotUnit::of(precision).run(Product {
        left,
        right,
        output,
        addend,
    });
}

/// `output = left · right` of whole numbers of 8 bits, on this thread: the bits of sums of 32 bits.
///
/// # Shapes
/// As of [`multiply_into`], four numbers in a word; those of the left factor without a sign.
///
/// # Panics
/// When the factors do not fit each other or the output.
pub fn multiply_bytes(unit: Int8Dot, left: &Lhs, right: RhsPart, output: &mut impl OutputRows) {
    assert_eq!(left.length, right.depth, "the factors' inner sizes differ");
    unit.run(Product {
        left,
        right,
        output,
        addend: Addend::Zero,
    });
}

struct Product<'a, R> {
    left: &'a Lhs<'a>,
    right: RhsPart<'a>,
    output: &'a mut R,
    addend: Addend<'a>,
}

impl<R: OutputRows> WithDot for Product<'_, R> {
    #[inline(always)]
    fn with_dot<D: Dot, const ROWS: usize, const VECTORS: usize>(mut self, dot: D) {
        if let Some(tiles) = dot.tiles() {
            return self.in_tiles(tiles, D::DEPTH);
        }
        for depth in (0..self.left.length).step_by(D::DEPTH) {
            let deep = D::DEPTH.min(self.left.length - depth);
            for panel in self.right.panels() {
                let size = panel.vectors * D::LANES;
                let words = &panel.words[depth * size..][..deep * size];
                let panel = RhsPanel { words, ..panel };
                match panel.vectors {
                    1 => self.panel::<D, ROWS, 1>(dot, panel, depth),
                    2 => self.panel::<D, ROWS, 2>(dot, panel, depth),
                    _ => self.panel::<D, ROWS, VECTORS>(dot, panel, depth),
                }
            }
        }
    }
}

impl<R: OutputRows> Product<'_, R> {
    /// The product in tile registers: whole tiles of rows, then the rows that are left.
    #[inline(always)]
    fn in_tiles(&mut self, tiles: Tiles, most: usize) {
        let (length, rows) = (self.left.length, self.left.rows);
        let whole = rows - rows % TILE_ROWS;
        for depth in (0..length).step_by(most) {
            let deep = most.min(length - depth);
            for rows in [0..whole, whole..rows]
                .into_iter()
                .filter(|rows| !rows.is_empty())
            {
                let shaped = tiles.shaped(rows.len().min(TILE_ROWS), deep);
                for panel in self.right.panels() {
                    for first in rows.clone().step_by(TILE_ROWS) {
                        let count = TILE_ROWS.min(rows.len());
                        self.put_tiles(&shaped, panel, first..first + count, depth);
                    }
                }
            }
        }
    }

    /// Some rows times one panel, from the word `depth` on.
    #[inline(always)]
    fn put_tiles(
        &mut self,
        shaped: &ShapedTiles,
        panel: RhsPanel,
        rows: Range<usize>,
        depth: usize,
    ) {
        let width = panel.vectors * TILE_ROWS;
        let left = self.left.rows_from(rows.start, depth);
        let right = TileRows {
            words: &panel.words[depth * width..],
            pitch: width,
        };
        let mut sums = [0.0; TILE_ROWS * WIDEST * TILE_ROWS];
        let sums = &mut sums[..rows.len() * width];
        shaped.multiply(left, right, &[[0, 0]], panel.vectors, sums);
        for (row, sums) in rows.zip(sums.chunks_exact(width)) {
            self.put(row, panel, depth > 0, sums);
        }
    }

    /// All rows times one panel.
    #[inline(always)]
    fn panel<D: Dot, const ROWS: usize, const WIDE: usize>(
        &mut self,
        dot: D,
        panel: RhsPanel,
        depth: usize,
    ) {
        let width = WIDE * D::LANES;
        let deep = panel.words.len() / width;
        let mut sums = [0.0; MAX_TILE];
        for first in (0..self.left.rows).step_by(ROWS) {
            let count = ROWS.min(self.left.rows - first);
            // Rows that are missing repeat the last; nobody takes their sums.
            let rows: [&[u32]; ROWS] =
                std::array::from_fn(|row| self.left.row(first + row.min(count - 1), depth, deep));
            let held = accumulate::<D, ROWS, WIDE>(dot, rows, panel.words);
            if count == ROWS && panel.columns == width {
                self.put_tile(dot, [first, panel.first], depth > 0, held);
                continue;
            }
            sums[..ROWS * width].copy_from_slice(bytemuck::cast_slice(held.as_flattened()));
            for (row, sums) in sums.chunks_exact(width).take(count).enumerate() {
                self.put(first + row, panel, depth > 0, sums);
            }
        }
    }

    /// Writes a whole tile from registers, from row `first[0]` and column `first[1]` on.
    #[inline(always)]
    fn put_tile<D: Dot, const ROWS: usize, const WIDE: usize>(
        &mut self,
        dot: D,
        first: [usize; 2],
        again: bool,
        held: [[D::Sums; WIDE]; ROWS],
    ) {
        let width = WIDE * D::LANES;
        for (row, held) in held.into_iter().enumerate() {
            let row = first[0] + row;
            let output = &mut self.output.row(row)[first[1]..][..width];
            let output: &mut [D::Sums] = bytemuck::cast_slice_mut(output);
            let pairs = output.iter_mut().zip(held);
            match self.addend {
                _ if again => pairs.for_each(|(output, sum)| *output = dot.plus(*output, sum)),
                Addend::Zero => pairs.for_each(|(output, sum)| *output = sum),
                Addend::Output => pairs.for_each(|(output, sum)| *output = dot.plus(*output, sum)),
                Addend::PerColumn(bias) => {
                    let bias: &[D::Sums] = bytemuck::cast_slice(&bias[first[1]..][..width]);
                    for ((output, sum), &bias) in pairs.zip(bias) {
                        *output = dot.plus(sum, bias);
                    }
                }
                Addend::PerRow(bias) => {
                    let bias = dot.splat(bias[row]);
                    pairs.for_each(|(output, sum)| *output = dot.plus(sum, bias));
                }
            }
        }
    }

    /// Writes a row's sums of one panel.
    #[inline(always)]
    fn put(&mut self, row: usize, panel: RhsPanel, again: bool, sums: &[f32]) {
        let sums = &sums[..panel.columns];
        let output = &mut self.output.row(row)[panel.first..][..panel.columns];
        match self.addend {
            _ if again => add(output, sums),
            Addend::Zero => output.copy_from_slice(sums),
            Addend::Output => add(output, sums),
            Addend::PerColumn(bias) => {
                let bias = &bias[panel.first..][..panel.columns];
                for ((output, sum), bias) in output.iter_mut().zip(sums).zip(bias) {
                    *output = sum + bias;
                }
            }
            Addend::PerRow(bias) => {
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

/// Sums of `ROWS` rows times `WIDE` vectors of columns.
#[inline(always)]
fn accumulate<D: Dot, const ROWS: usize, const WIDE: usize>(
    dot: D,
    rows: [&[u32]; ROWS],
    panel: &[u32],
) -> [[D::Sums; WIDE]; ROWS] {
    let mut held = [[dot.splat(0.0); WIDE]; ROWS];
    let (panel, _) = D::vectors(panel).as_chunks::<WIDE>();
    for (step, words) in panel.iter().enumerate() {
        for (held, row) in held.iter_mut().zip(rows) {
            for (sum, &words) in held.iter_mut().zip(words) {
                *sum = dot.add(row[step], words, *sum);
            }
        }
    }
    held
}
