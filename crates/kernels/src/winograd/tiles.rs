//! Tiles of pixels, transformed and transformed back.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::groups::{Group, Run};
use super::{ELEMENTS, IN, OUT};
use crate::conv3x3::Sizes;
use crate::vectors::{MulAdd, vectorized_sums};

/// One line of `Bᵀ · d`: six input values become six elements.
#[inline(always)]
fn transform_input(mul_add: MulAdd, [a, b, c, d, e, f]: [f32; IN]) -> [f32; IN] {
    let even = mul_add.of(c, -2.0, e);
    let odd = mul_add.of(d, FRAC_1_SQRT_2, -SQRT_2 * b);
    let even2 = mul_add.of(c, -0.5, e);
    let odd2 = mul_add.of(d, SQRT_2, -FRAC_1_SQRT_2 * b);
    [
        mul_add.of(c, -2.5, a) + e,
        even + odd,
        even - odd,
        even2 + odd2,
        even2 - odd2,
        mul_add.of(d, -2.5, b) + f,
    ]
}

/// One line of `Aᵀ · m`: six elements become four output values.
#[inline(always)]
fn transform_output(mul_add: MulAdd, [a, b, c, d, e, f]: [f32; IN]) -> [f32; OUT] {
    let (sum, difference) = (b + c, b - c);
    let (sum2, difference2) = (d + e, d - e);
    [
        a + sum + sum2,
        mul_add.of(difference, FRAC_1_SQRT_2, SQRT_2 * difference2),
        mul_add.of(sum, 0.5, 2.0 * sum2),
        mul_add.of(
            difference,
            FRAC_1_SQRT_2 * 0.5,
            mul_add.of(difference2, SQRT_2 * 2.0, f),
        ),
    ]
}

/// Lines of one channel on their way to elements.
pub(super) struct Scratch {
    /// A padded row of pixels.
    row: Vec<f32>,
    /// `[rows · OUT + 2, OUT, columns + 1]`: padded rows, pixel `x` at `[x % OUT, x / OUT]`.
    pixels: Vec<f32>,
    /// `[IN, OUT, columns + 1]`: one row of tiles, transformed along columns.
    half: Vec<f32>,
    /// `[ELEMENTS, tiles]`.
    pub lines: Vec<f32>,
}

impl Scratch {
    pub fn new(group: Group, sizes: Sizes) -> Self {
        let pitch = OUT * (group.columns + 1);
        Self {
            row: vec![0.0; pitch.max(sizes.width + 1)],
            pixels: vec![0.0; (group.rows * OUT + 2) * pitch],
            half: vec![0.0; IN * pitch],
            lines: vec![0.0; ELEMENTS * group.tiles()],
        }
    }

    /// Transforms a channel's tiles.
    ///
    /// # Shapes
    /// - images: `[batch, inputs, height, width]`, of which the `input`th channel is read
    pub fn transform(&mut self, group: Group, sizes: Sizes, images: &[f32], input: usize) {
        let area = sizes.height * sizes.width;
        vectorized_sums(
            #[inline(always)]
            |mul_add| {
                for run in group.runs() {
                    let plane = &images[(run.image * sizes.inputs + input) * area..][..area];
                    self.pad(group, run, sizes, plane);
                    self.transform_run(mul_add, group, run);
                }
            },
        );
    }

    /// Fills `pixels` with a run's rows, padded by one row and column of zeros.
    #[inline(always)]
    fn pad(&mut self, group: Group, run: Run, sizes: Sizes, plane: &[f32]) {
        let phase = group.columns + 1;
        let lines = self.pixels.chunks_exact_mut(OUT * phase).enumerate();
        for (index, phases) in lines.take(run.rows * OUT + 2) {
            let y = (run.first * OUT + index).wrapping_sub(1);
            if y >= sizes.height {
                phases.fill(0.0);
                continue;
            }
            self.row[1..=sizes.width].copy_from_slice(&plane[y * sizes.width..][..sizes.width]);
            split_phases(&self.row, phase, phases);
        }
    }

    #[inline(always)]
    fn transform_run(&mut self, mul_add: MulAdd, group: Group, run: Run) {
        let phase = group.columns + 1;
        for row in 0..run.rows {
            let pixels = &self.pixels[row * OUT * OUT * phase..];
            along_columns(mul_add, pixels, OUT * phase, &mut self.half);
            for (y, line) in self.half.chunks_exact(OUT * phase).enumerate() {
                let first = y * IN * group.tiles() + (run.before + row) * group.columns;
                let lines = &mut self.lines[first..];
                along_rows(mul_add, line, group.columns, group.tiles(), lines);
            }
        }
    }
}

/// `[x]` to `[x % OUT, x / OUT]`.
#[inline(always)]
fn split_phases(row: &[f32], phase: usize, phases: &mut [f32]) {
    let (a, rest) = phases.split_at_mut(phase);
    let (b, rest) = rest.split_at_mut(phase);
    let (c, d) = rest.split_at_mut(phase);
    let (row, _) = row.as_chunks::<OUT>();
    let targets = a.iter_mut().zip(b).zip(c).zip(d);
    for ((((a, b), c), d), row) in targets.zip(row) {
        (*a, *b, *c, *d) = (row[0], row[1], row[2], row[3]);
    }
}

/// `Bᵀ · d` over [`IN`] lines of `length` values.
#[inline(always)]
fn along_columns(mul_add: MulAdd, lines: &[f32], length: usize, half: &mut [f32]) {
    let lines: [&[f32]; IN] = std::array::from_fn(|line| &lines[line * length..][..length]);
    let mut rest = half;
    let half: [&mut [f32]; IN] = std::array::from_fn(|_| {
        let (line, others) = std::mem::take(&mut rest).split_at_mut(length);
        rest = others;
        line
    });
    let [a, b, c, d, e, f] = half;
    for x in 0..length {
        let element = transform_input(mul_add, std::array::from_fn(|line| lines[line][x]));
        (a[x], b[x], c[x]) = (element[0], element[1], element[2]);
        (d[x], e[x], f[x]) = (element[3], element[4], element[5]);
    }
}

/// `d · B` of one line of tiles in phases; element `x` of each goes to `lines[x · pitch..]`.
#[inline(always)]
fn along_rows(mul_add: MulAdd, line: &[f32], columns: usize, pitch: usize, lines: &mut [f32]) {
    let phase = columns + 1;
    let pixels: [&[f32]; IN] =
        std::array::from_fn(|x| &line[x % OUT * phase + x / OUT..][..columns]);
    let mut rest = lines;
    let lines: [&mut [f32]; IN] = std::array::from_fn(|_| {
        let length = pitch.min(rest.len());
        let (line, others) = std::mem::take(&mut rest).split_at_mut(length);
        rest = others;
        &mut line[..columns]
    });
    let [a, b, c, d, e, f] = lines;
    for tile in 0..columns {
        let element = transform_input(mul_add, std::array::from_fn(|x| pixels[x][tile]));
        (a[tile], b[tile], c[tile]) = (element[0], element[1], element[2]);
        (d[tile], e[tile], f[tile]) = (element[3], element[4], element[5]);
    }
}

/// Transforms one channel's products `[ELEMENTS, padded tiles]` to the pixels of the group's runs, plus `bias`.
pub(super) fn back(
    group: Group,
    products: &[f32],
    scratch: &mut [f32],
    bias: f32,
    width: usize,
    pixels: &mut [&mut [f32]],
) {
    let (tiles, padded) = (group.tiles(), group.padded());
    let (half, rows) = scratch.split_at_mut(OUT * IN * tiles);
    vectorized_sums(
        #[inline(always)]
        |mul_add| {
            // Along columns: `[OUT, IN, tiles]`.
            for x in 0..IN {
                let lines: [&[f32]; IN] =
                    std::array::from_fn(|y| &products[(y * IN + x) * padded..][..tiles]);
                let [a, b, c, d] = quarters(half, x * tiles, IN * tiles, tiles);
                for tile in 0..tiles {
                    let value = transform_output(mul_add, std::array::from_fn(|y| lines[y][tile]));
                    (a[tile], b[tile], c[tile], d[tile]) = (value[0], value[1], value[2], value[3]);
                }
            }
            // Along rows: `[OUT, tiles, OUT]`.
            let halves = half.chunks_exact(IN * tiles);
            for (row, half) in rows.chunks_exact_mut(OUT * tiles).zip(halves) {
                let lines: [&[f32]; IN] = std::array::from_fn(|x| &half[x * tiles..][..tiles]);
                let (row, _) = row.as_chunks_mut::<OUT>();
                for (tile, pixels) in row.iter_mut().enumerate() {
                    let value = transform_output(mul_add, std::array::from_fn(|x| lines[x][tile]));
                    *pixels = value.map(|value| value + bias);
                }
            }
        },
    );
    for (run, pixels) in group.runs().zip(pixels) {
        for (y, pixels) in pixels.chunks_exact_mut(width).enumerate() {
            let first = (y % OUT * tiles + (run.before + y / OUT) * group.columns) * OUT;
            pixels.copy_from_slice(&rows[first..][..width]);
        }
    }
}

/// Four lines of `length` values at `first`, `pitch` apart.
#[inline(always)]
fn quarters(values: &mut [f32], first: usize, pitch: usize, length: usize) -> [&mut [f32]; OUT] {
    let mut rest = &mut values[first..];
    std::array::from_fn(|_| {
        let end = pitch.min(rest.len());
        let (line, others) = std::mem::take(&mut rest).split_at_mut(end);
        rest = others;
        &mut line[..length]
    })
}
