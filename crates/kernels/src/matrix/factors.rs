//! A product's factors as the inner loop takes them.

use std::borrow::Cow;

use pulp::bytemuck;
use rayon::prelude::*;

use super::numbers::Numbers;
use super::transpose::{TURNED, transpose};
use super::unit::Unit;
use super::{Place, Threads};

/// The left factor: rows of words, neighbours along the axis that is summed.
#[derive(Debug)]
pub struct Left<'a> {
    words: Cow<'a, [u32]>,
    start: usize,
    pitch: usize,
    /// Rows.
    pub rows: usize,
    /// Words of a row.
    pub length: usize,
}

impl<'a> Left<'a> {
    /// Prepares `[rows, depth]`; what lies as it must is not copied.
    ///
    /// # Panics
    /// When the matrix reaches beyond its slice.
    pub fn new(
        numbers: Numbers,
        [rows, depth]: [usize; 2],
        (values, place): (&'a [f32], Place),
    ) -> Self {
        place.check([rows, depth], values);
        let unit = Unit::of(numbers);
        let length = unit.words(depth);
        if let (Unit::Singles(_), 1) = (unit, place.column) {
            return Self {
                words: Cow::Borrowed(bytemuck::cast_slice(values)),
                start: place.start,
                pitch: place.row,
                rows,
                length,
            };
        }
        let mut words = vec![0; rows * length];
        let mut line = Vec::new();
        for (row, words) in words.chunks_exact_mut(length).enumerate() {
            let first = place.start + row * place.row;
            unit.convert(along(values, first, place.column, depth, &mut line), words);
        }
        Self {
            words: Cow::Owned(words),
            start: 0,
            pitch: length,
            rows,
            length,
        }
    }

    /// Words `[depth, depth + count)` of a row.
    #[inline(always)]
    pub fn row(&self, row: usize, depth: usize, count: usize) -> &[u32] {
        &self.words[self.start + row * self.pitch + depth..][..count]
    }
}

/// `count` values, `step` apart: where they lie, or gathered in `line`.
fn along<'a>(
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

/// Vectors side by side in a panel.
pub const VECTORS: usize = 3;

/// The right factor: panels of as many columns as the inner loop takes at once; the last may be
/// narrower. `[columns / width, depth, width]` words.
#[derive(Debug)]
pub struct Panels {
    words: Vec<u32>,
    lanes: usize,
    /// Columns.
    pub columns: usize,
    /// Words of a column.
    pub depth: usize,
}

/// Some columns of the right factor.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// `[depth, vectors, lanes]`.
    pub words: &'a [u32],
    /// The first column.
    pub first: usize,
    /// Columns, the last vector's padding left out.
    pub columns: usize,
    /// Vectors side by side.
    pub vectors: usize,
}

impl Panels {
    /// Packs `[depth, columns]`.
    ///
    /// # Panics
    /// When the matrix reaches beyond its slice.
    pub fn new(
        numbers: Numbers,
        [depth, columns]: [usize; 2],
        right: (&[f32], Place),
        threads: Threads,
    ) -> Self {
        right.1.check([depth, columns], right.0);
        let unit = Unit::of(numbers);
        let lanes = unit.lanes();
        let length = unit.words(depth);
        let mut words = vec![0; columns.div_ceil(lanes) * lanes * length];
        let width = VECTORS * lanes;
        let pack = |(index, words): (usize, &mut [u32])| {
            let first = index * width;
            let columns = [first, columns.min(first + width)];
            match right.1.column {
                1 => lay_rows(unit, columns, depth, right, words),
                _ => turn_columns(unit, columns, depth, right, words),
            }
        };
        match threads {
            Threads::This => words.chunks_mut(width * length).enumerate().for_each(pack),
            Threads::All => {
                let panels = words.par_chunks_mut(width * length).enumerate();
                panels.for_each(pack);
            }
        }
        Self {
            words,
            lanes,
            columns,
            depth: length,
        }
    }

    /// All panels.
    #[inline(always)]
    pub fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let width = VECTORS * self.lanes;
        let panels = self.words.chunks(width * self.depth).enumerate();
        panels.map(move |(index, words)| Panel {
            words,
            first: index * width,
            columns: width.min(self.columns - index * width),
            vectors: words.len() / (self.depth * self.lanes),
        })
    }
}

/// A panel of a matrix whose rows lie in one piece.
fn lay_rows(
    unit: Unit,
    [first, end]: [usize; 2],
    depth: usize,
    (values, place): (&[f32], Place),
    words: &mut [u32],
) {
    let width = words.len() / unit.words(depth);
    let row = |index: usize| &values[place.start + index * place.row..][first..end];
    let step = unit.numbers_per_word();
    for (word, line) in words.chunks_exact_mut(width).enumerate() {
        let index = word * step;
        let line = &mut line[..end - first];
        match index + 1 < depth && step == 2 {
            true => unit.stack(&[row(index), row(index + 1)], line),
            false => unit.stack(&[row(index)], line),
        }
    }
}

/// A panel of a matrix whose columns lie in one piece, or anywhere.
fn turn_columns(
    unit: Unit,
    [first, end]: [usize; 2],
    depth: usize,
    (values, place): (&[f32], Place),
    words: &mut [u32],
) {
    let length = unit.words(depth);
    let width = words.len() / length;
    let mut line = Vec::new();
    let mut columns = vec![0; TURNED * length];
    for some in (first..end).step_by(TURNED) {
        let count = TURNED.min(end - some);
        for (index, column) in columns.chunks_exact_mut(length).take(count).enumerate() {
            let start = place.start + (some + index) * place.column;
            unit.convert(along(values, start, place.row, depth, &mut line), column);
        }
        transpose(&columns, length, count, &mut words[some - first..], width);
    }
}
