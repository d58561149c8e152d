//! Factors rounded to whole numbers of 8 bits, with a scale for each row of the left factor and each column
//! of the right one: dynamic quantisation, as of `torch.ao.quantization.quantize_dynamic`, but with a scale for every row
//! of the activations.
//!
//! A value is `number × scale`, where the largest value of a row or column is 127 times its scale. Sums of
//! products are exact in 32 bits, so that they are the same on every processor with instructions for them;
//! others multiply the same numbers as f32.

use std::borrow::Cow;
use std::ops::Range;

use pulp::bytemuck;
use rayon::prelude::*;

use super::dot::DotUnit;
use super::int8_dot::{Int8Dot, VALUES};
use super::packing::{Lhs, RhsPanels};
use super::precision::MulPrecision;
use super::tile::{Addend, OutputRows, multiply_bytes, multiply_into};

use crate::vectors::vectorized;

/// The largest number.
const MOST: f32 = 127.0;
/// 1.5 × 2²³: added to a value of up to 2²², it leaves the nearest whole number, ties to even, in the lowest bits.
const TO_NEAREST: f32 = 12_582_912.0;
/// The longest sums that cannot overflow: 255 × 127 of them stay below 2³¹.
pub const DEEPEST: usize = 65_536;

/// The left factor `[rows, depth]`.
#[derive(Debug)]
pub struct Int8Rows<'a> {
    numbers: Lhs<'a>,
    scales: Cow<'a, [f32]>,
}

/// The right factor `[depth, columns]`, packed.
#[derive(Debug)]
pub struct Int8Panels {
    unit: Option<Int8Dot>,
    panels: RhsPanels,
    scales: Vec<f32>,
    /// What [`Int8Dot::OFFSET`] adds to a column's sums.
    offsets: Vec<i32>,
}

impl Int8Rows<'_> {
    /// Some of the rows, as a factor of its own.
    pub fn part(&self, rows: Range<usize>) -> Int8Rows<'_> {
        Int8Rows {
            numbers: self.numbers.part(rows.clone()),
            scales: Cow::Borrowed(&self.scales[rows]),
        }
    }
}

impl Int8Panels {
    /// Rounds and packs the columns of a right factor, each `depth` values that lie side by side: the rows of a linear
    /// layer's weights.
    ///
    /// # Panics
    /// When a column has more than [`DEEPEST`] values.
    pub fn new(columns: &[f32], depth: usize) -> Self {
        assert!(depth <= DEEPEST, "sums of {depth} products could overflow");
        let unit = Int8Dot::allowed();
        let (lanes, [_, vectors]) = lanes_and_tile(unit);
        let length = words_of(unit, depth);
        let columns = columns.par_chunks_exact(depth);
        let mut words = vec![0; columns.len() * length];
        let rounded = columns.zip(words.par_chunks_exact_mut(length));
        let (scales, offsets): (Vec<f32>, Vec<i32>) = rounded
            .map(|(column, words)| {
                let scale = scale_of(column);
                round(unit, column, scale, 0, words);
                (scale, unit.map_or(0, |_| offset_of(words)))
            })
            .unzip();
        let fill = |index: usize, column: &mut [u32]| {
            column.copy_from_slice(&words[index * length..][..length]);
        };
        let panels = RhsPanels::from_columns(lanes, vectors, [length, scales.len()], fill);
        Self {
            unit,
            panels,
            scales,
            offsets,
        }
    }

    /// Rounds the rows of a left factor, each `depth` values that lie side by side.
    pub fn round_rows<'a>(&self, rows: &[f32], depth: usize) -> Int8Rows<'a> {
        let length = words_of(self.unit, depth);
        let mut words = vec![0; rows.len() / depth * length];
        let lines = rows.chunks_exact(depth).zip(words.chunks_exact_mut(length));
        let scales = lines.map(|(row, words)| {
            let scale = scale_of(row);
            round(self.unit, row, scale, Int8Dot::OFFSET, words);
            scale
        });
        Int8Rows {
            scales: scales.collect(),
            numbers: Lhs::from_words(words, length),
        }
    }

    /// Rows of a register tile.
    pub fn tile_rows(&self) -> usize {
        let (_, [rows, _]) = lanes_and_tile(self.unit);
        rows
    }

    /// Number of panels.
    pub fn len(&self) -> usize {
        self.panels.len()
    }

    /// Columns of a whole panel.
    pub fn width(&self) -> usize {
        self.panels.width()
    }

    /// Columns of the factor.
    pub fn columns(&self) -> usize {
        self.panels.columns
    }

    /// `output = rows · columns + bias`, on this thread, for `columns` of the columns, which begin with a panel.
    ///
    /// # Shapes
    /// - output: as many rows of as many values
    /// - bias: `[columns]` of the whole factor
    ///
    /// # Panics
    /// When the factors do not fit each other or the output.
    pub fn multiply_into(
        &self,
        rows: &Int8Rows,
        columns: Range<usize>,
        output: &mut impl OutputRows,
        bias: Option<&[f32]>,
    ) {
        let part = self.panels.part(columns.start, columns.len());
        match self.unit {
            Some(unit) => multiply_bytes(unit, &rows.numbers, part, output),
            None => multiply_into(MulPrecision::F32, &rows.numbers, part, output, Addend::Zero),
        }
        let scales = &self.scales[columns.clone()];
        for (row, &row_scale) in rows.scales.iter().enumerate() {
            let output = &mut output.row(row)[..columns.len()];
            match self.unit {
                Some(_) => scale_sums(output, row_scale, scales, &self.offsets[columns.clone()]),
                None => scale_numbers(output, row_scale, scales),
            }
            if let Some(bias) = bias {
                add(output, &bias[columns.clone()]);
            }
        }
    }
}

/// Words of a vector, and rows and vectors of a register tile.
fn lanes_and_tile(unit: Option<Int8Dot>) -> (usize, [usize; 2]) {
    match unit {
        Some(unit) => (unit.lanes(), unit.tile()),
        None => {
            let plain = DotUnit::of(MulPrecision::F32);
            (plain.lanes(), plain.tile())
        }
    }
}

/// What [`Int8Dot::OFFSET`] adds to the sums of a column of bytes.
fn offset_of(column: &[u32]) -> i32 {
    let numbers: &[i8] = bytemuck::cast_slice(column);
    let sum: i32 = numbers.iter().map(|&number| i32::from(number)).sum();
    sum * i32::from(Int8Dot::OFFSET)
}

/// Words of `depth` numbers.
fn words_of(unit: Option<Int8Dot>, depth: usize) -> usize {
    match unit {
        Some(_) => depth.div_ceil(VALUES),
        None => depth,
    }
}

/// The scale of some values; not a number where one of them is not finite.
fn scale_of(values: &[f32]) -> f32 {
    let most = vectorized(
        #[inline(always)]
        || {
            // Without its sign, a float is the larger the larger its bits are.
            let sizes = values.iter().map(|value| value.to_bits() & 0x7fff_ffff);
            sizes.fold(0, u32::max)
        },
    );
    match f32::from_bits(most) {
        most if most.is_finite() => most / MOST,
        _ => f32::NAN,
    }
}

/// The numbers of some values: bytes, four in a word, zeros beyond the last value, or the bits of f32.
fn round(unit: Option<Int8Dot>, values: &[f32], scale: f32, offset: u8, words: &mut [u32]) {
    // Zeros, and values too small for their scale's inverse, are zero.
    let inverse = 1.0 / scale;
    let inverse = if inverse.is_finite() { inverse } else { 0.0 };
    if unit.is_some() {
        let bytes: &mut [u8] = &mut bytemuck::cast_slice_mut(words)[..values.len()];
        to_bytes(values, inverse, offset, bytes);
    } else {
        for (word, &value) in words.iter_mut().zip(values) {
            *word = (near(value, inverse) - TO_NEAREST).to_bits();
        }
    }
}

/// The nearest whole number, in the lowest bits.
#[inline(always)]
fn near(value: f32, inverse: f32) -> f32 {
    value * inverse + TO_NEAREST
}

fn to_bytes(values: &[f32], inverse: f32, offset: u8, bytes: &mut [u8]) {
    vectorized(
        #[inline(always)]
        move || {
            for (byte, &value) in bytes.iter_mut().zip(values) {
                *byte = (near(value, inverse).to_bits() as u8).wrapping_add(offset);
            }
        },
    );
}

/// Turns sums of 32 bits into what they stand for.
fn scale_sums(sums: &mut [f32], row_scale: f32, scales: &[f32], offsets: &[i32]) {
    vectorized(
        #[inline(always)]
        || {
            for ((sum, &scale), &offset) in sums.iter_mut().zip(scales).zip(offsets) {
                let number = sum.to_bits().cast_signed().wrapping_sub(offset);
                *sum = number as f32 * (row_scale * scale);
            }
        },
    );
}

/// Turns sums of f32 into what they stand for.
fn scale_numbers(sums: &mut [f32], row_scale: f32, scales: &[f32]) {
    vectorized(
        #[inline(always)]
        || {
            for (sum, &scale) in sums.iter_mut().zip(scales) {
                *sum *= row_scale * scale;
            }
        },
    );
}

fn add(output: &mut [f32], bias: &[f32]) {
    vectorized(
        #[inline(always)]
        || {
            for (output, bias) in output.iter_mut().zip(bias) {
                *output += bias;
            }
        },
    );
}
