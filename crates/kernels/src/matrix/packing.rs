//! A product's factors in the order in which the inner loop reads them.

use std::borrow::Cow;
use std::ops::Range;

use pulp::bytemuck;
use rayon::prelude::*;

use super::amx::TileRows;
use super::dot::DotUnit;
use super::layout::MatrixLayout;
use super::precision::MulPrecision;
use super::threading::Threading;
use super::transpose::{BLOCK, transpose};

/// The left factor `[rows, depth]` in words, contiguous along `depth`; borrowed where f32 values lie
/// so already.
#[derive(Debug)]
pub struct Lhs<'a> {
    words: Cow<'a, [u32]>,
    start: usize,
    pitch: usize,
    /// Rows of the factor.
    pub rows: usize,
    /// Words of a row.
    pub length: usize,
}

impl<'a> Lhs<'a> {
    /// From a matrix `[rows, depth]`; contiguous rows of f32 are not copied.
    ///
    /// # Panics
    /// When the matrix reaches beyond its slice.
    pub fn new(
        precision: MulPrecision,
        [rows, depth]: [usize; 2],
        (values, place): (&'a [f32], MatrixLayout),
    ) -> Self {
        place.check([rows, depth], values);
        let unit = DotUnit::of(precision);
        let length = unit.words(depth);
        if let (DotUnit::F32(_), 1) = (unit, place.column) {
            return Self {
                words: Cow::Borrowed(bytemuck::cast_slice(values)),
                start: place.start,
                pitch: place.row,
                rows,
                length,
            };
        }
        let mut words = vec![0; rows * length];
        match (unit, place.row) {
            (DotUnit::F32(_), 1) => transpose_columns([rows, depth], (values, place), &mut words),
            _ => {
                let mut line = Vec::new();
                for (row, words) in words.chunks_exact_mut(length).enumerate() {
                    let first = place.start + row * place.row;
                    unit.convert(gather(values, first, place.column, depth, &mut line), words);
                }
            }
        }
        Self {
            words: Cow::Owned(words),
            start: 0,
            pitch: length,
            rows,
            length,
        }
    }

    /// From rows of `length` words.
    pub fn from_words(words: Vec<u32>, length: usize) -> Self {
        Self {
            start: 0,
            pitch: length,
            rows: words.len() / length,
            length,
            words: Cow::Owned(words),
        }
    }

    /// The same, with words of its own.
    pub fn into_owned(self) -> Lhs<'static> {
        Lhs {
            words: Cow::Owned(self.words.into_owned()),
            start: self.start,
            pitch: self.pitch,
            rows: self.rows,
            length: self.length,
        }
    }

    /// Some of the rows, as a factor of its own.
    pub fn part(&self, rows: Range<usize>) -> Lhs<'_> {
        Lhs {
            words: Cow::Borrowed(&self.words),
            start: self.start + rows.start * self.pitch,
            rows: rows.len(),
            ..*self
        }
    }

    /// Words `[depth, length)` of the rows from `first` on.
    pub fn rows_from(&self, first: usize, depth: usize) -> TileRows<'_> {
        TileRows {
            words: &self.words[self.start + first * self.pitch + depth..],
            pitch: self.pitch,
        }
    }

    /// Words `[depth, depth + count)` of a row.
    #[inline(always)]
    pub fn row(&self, row: usize, depth: usize, count: usize) -> &[u32] {
        &self.words[self.start + row * self.pitch + depth..][..count]
    }
}

/// Words of a matrix `[rows, depth]` whose columns are contiguous, row by row.
fn transpose_columns(
    [rows, depth]: [usize; 2],
    (values, place): (&[f32], MatrixLayout),
    words: &mut [u32],
) {
    let mut columns = vec![0; BLOCK * rows];
    for first in (0..depth).step_by(BLOCK) {
        let count = BLOCK.min(depth - first);
        for (index, column) in columns.chunks_exact_mut(rows).take(count).enumerate() {
            let start = place.start + (first + index) * place.column;
            column.copy_from_slice(bytemuck::cast_slice(&values[start..][..rows]));
        }
        transpose(&columns, rows, count, &mut words[first..], depth);
    }
}

/// `count` values at a stride of `step`: borrowed if contiguous, else gathered in `line`.
fn gather<'a>(
    values: &'a [f32],
    first: usize,
    step: usize,
    count: usize,
    line: &'a mut Vec<f32>,
) -> &'a [f32] {
    if step == 1 {
        return &values[first..][..count];
    }
    line.clear();
    line.extend(values[first..].iter().step_by(step).take(count));
    line
}

/// The right factor `[depth, columns]` in panels as wide as a register tile, each panel contiguous:
/// `[columns / width, depth, width]` words. The last panel may have fewer vectors, and zeros beyond the
/// last column.
#[derive(Debug)]
pub struct RhsPanels {
    words: Vec<u32>,
    lanes: usize,
    /// Columns of a whole panel.
    width: usize,
    /// Columns of the factor.
    pub columns: usize,
    /// Words of a column.
    pub depth: usize,
}

/// One panel of the right factor.
#[derive(Clone, Copy, Debug)]
pub struct RhsPanel<'a> {
    /// `[depth, vectors, lanes]`.
    pub words: &'a [u32],
    /// Index of the first column among those of the part.
    pub first: usize,
    /// Columns, without the last vector's padding.
    pub columns: usize,
    /// Vectors of columns, 1 to those of a register tile.
    pub vectors: usize,
}

impl RhsPanels {
    /// Packs `[depth, columns]`.
    ///
    /// # Panics
    /// When the matrix reaches beyond its slice.
    pub fn new(
        precision: MulPrecision,
        [depth, columns]: [usize; 2],
        right: (&[f32], MatrixLayout),
        threads: Threading,
    ) -> Self {
        right.1.check([depth, columns], right.0);
        let unit = DotUnit::of(precision);
        let lanes = unit.lanes();
        let length = unit.words(depth);
        let mut words = vec![0; columns.div_ceil(lanes) * lanes * length];
        let [_, vectors] = unit.tile();
        let width = vectors * lanes;
        let pack = |(index, words): (usize, &mut [u32])| {
            let first = index * width;
            let columns = [first, columns.min(first + width)];
            match right.1.column {
                1 => pack_rows(unit, columns, depth, right, words),
                _ => pack_columns(unit, columns, depth, right, words),
            }
        };
        match threads {
            Threading::Caller => words.chunks_mut(width * length).enumerate().for_each(pack),
            Threading::Pool => {
                let panels = words.par_chunks_mut(width * length).enumerate();
                panels.for_each(pack);
            }
        }
        Self {
            words,
            lanes,
            width,
            columns,
            depth: length,
        }
    }

    /// From columns of `length` words, which `fill` writes, for tiles of `vectors` vectors of `lanes` words.
    pub fn from_columns(
        lanes: usize,
        vectors: usize,
        [length, columns]: [usize; 2],
        fill: impl Fn(usize, &mut [u32]) + Sync,
    ) -> Self {
        let width = vectors * lanes;
        let mut words = vec![0; columns.div_ceil(lanes) * lanes * length];
        let panels = words.par_chunks_mut(width * length).enumerate();
        panels.for_each(|(index, words)| {
            let first = index * width;
            put_columns([first, columns.min(first + width)], length, &fill, words);
        });
        Self {
            words,
            lanes,
            width,
            columns,
            depth: length,
        }
    }

    /// Number of panels.
    pub fn len(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    /// Columns of a whole panel.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `columns` columns from `first` on, as a factor of its own: whole panels, or up to the last column.
    ///
    /// # Panics
    /// When no panel begins with `first`, or there are fewer columns.
    pub fn part(&self, first: usize, columns: usize) -> RhsPart<'_> {
        assert!(first.is_multiple_of(self.width), "a panel's first column");
        let size = columns.next_multiple_of(self.lanes) * self.depth;
        RhsPart {
            words: &self.words[first * self.depth..][..size],
            lanes: self.lanes,
            width: self.width,
            columns,
            depth: self.depth,
        }
    }
}

/// Neighbouring panels of a right factor.
#[derive(Clone, Copy, Debug)]
pub struct RhsPart<'a> {
    words: &'a [u32],
    lanes: usize,
    width: usize,
    columns: usize,
    /// Words of a column.
    pub depth: usize,
}

impl<'a> From<&'a RhsPanels> for RhsPart<'a> {
    fn from(all: &'a RhsPanels) -> Self {
        all.part(0, all.columns)
    }
}

impl<'a> RhsPart<'a> {
    /// All panels.
    #[inline(always)]
    pub fn panels(self) -> impl Iterator<Item = RhsPanel<'a>> {
        let panels = self.words.chunks(self.width * self.depth).enumerate();
        panels.map(move |(index, words)| RhsPanel {
            words,
            first: index * self.width,
            columns: self.width.min(self.columns - index * self.width),
            vectors: words.len() / (self.depth * self.lanes),
        })
    }
}

/// Packs columns `[first, end)` of a matrix with contiguous rows.
fn pack_rows(
    unit: DotUnit,
    [first, end]: [usize; 2],
    depth: usize,
    (values, place): (&[f32], MatrixLayout),
    words: &mut [u32],
) {
    let width = words.len() / unit.words(depth);
    let row = |index: usize| &values[place.start + index * place.row..][first..end];
    let step = unit.values_per_word();
    for (word, line) in words.chunks_exact_mut(width).enumerate() {
        let index = word * step;
        let line = &mut line[..end - first];
        match index + 1 < depth && step == 2 {
            true => unit.stack(&[row(index), row(index + 1)], line),
            false => unit.stack(&[row(index)], line),
        }
    }
}

/// Packs columns `[first, end)` of a matrix with any strides, by transposing blocks of columns.
fn pack_columns(
    unit: DotUnit,
    [first, end]: [usize; 2],
    depth: usize,
    (values, place): (&[f32], MatrixLayout),
    words: &mut [u32],
) {
    let length = unit.words(depth);
    let fill = |index: usize, column: &mut [u32]| {
        let start = place.start + index * place.column;
        let mut line = Vec::new();
        unit.convert(gather(values, start, place.row, depth, &mut line), column);
    };
    put_columns([first, end], length, &fill, words);
}

/// Puts columns `[first, end)` of `length` words, which `fill` writes, side by side, by transposing blocks of them.
fn put_columns(
    [first, end]: [usize; 2],
    length: usize,
    fill: &impl Fn(usize, &mut [u32]),
    words: &mut [u32],
) {
    let width = words.len() / length;
    let mut columns = vec![0; BLOCK * length];
    for some in (first..end).step_by(BLOCK) {
        let count = BLOCK.min(end - some);
        for (index, column) in columns.chunks_exact_mut(length).take(count).enumerate() {
            fill(some + index, column);
        }
        transpose(&columns, length, count, &mut words[some - first..], width);
    }
}
