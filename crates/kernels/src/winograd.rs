//! Convolutions by 3 × 3 kernels, stride 1, padding 1, by Winograd's F(4 × 4, 3 × 3) (Lavin and Gray,
//! *Fast algorithms for convolutional neural networks*).
//!
//! An output tile of 4 × 4 pixels takes 36 products per pair of channels instead of 144. Tiles of 6 × 6
//! input pixels are transformed, multiplied by transformed kernels element by element — a matrix
//! product over channels for each of the 36 elements — and transformed back. The polynomials are
//! evaluated at 0, ±1/√2, ±√2 and ∞, whose transforms round less than those of 0, ±1, ±2 and ∞. Sums
//! over channels run in one order, so that bits depend neither on the number of threads nor on the
//! batch.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use pulp::bytemuck;
use rayon::prelude::*;

use crate::channel_affine::ChannelAffine;
use crate::computed::cleared;
use crate::conv3x3::Sizes;
use crate::matrix::{Dot, DotUnit, MulPrecision, WithDot};
use crate::simd::{SimdLevel, simd_level};
use crate::vectors::{MulAdd, vectorized_sums};

/// Side of an output tile.
const OUT: usize = 4;
/// Side of an input tile.
const IN: usize = OUT + 2;
/// Elements of a transformed tile.
const ELEMENTS: usize = IN * IN;
/// Tiles of a task, about: three panels of AVX2's vectors, one of AVX-512's.
const TILES: usize = 48;
/// Most output channels whose products stay in the L2 cache until they are transformed back.
const OUTPUTS: usize = 32;
/// With fewer groups of tiles than this, tasks are blocks of output channels too.
const FEW_GROUPS: usize = 16;
/// Fewest input and output channels that pay for the transforms.
const CHANNELS: usize = 16;
/// Fewest tiles of an image that pay for reading transformed kernels, which are four times as large as
/// the kernels: small maps, which have the most channels, wait for memory.
const FEWEST_TILES: usize = 17;
/// With vectors of 8, whose products take twice as long, fewer tiles pay, if not for kernels without end.
const FEWEST_TILES_OF_EIGHTS: usize = 8;
/// Most pairs of channels of such kernels: 72 MiB of them, transformed.
const PAIRS: usize = 1 << 19;

/// Whether these channels and this image make it faster than the direct convolution. Neither the batch
/// nor the number of threads counts, so that an image's result does not depend on its company.
pub fn pays(sizes: Sizes) -> bool {
    let tiles = sizes.height.div_ceil(OUT) * sizes.width.div_ceil(OUT);
    let is_wide = matches!(simd_level(), Ok(SimdLevel::Avx512));
    let fewest = match !is_wide && sizes.inputs * sizes.outputs <= PAIRS {
        true => FEWEST_TILES_OF_EIGHTS,
        false => FEWEST_TILES,
    };
    sizes.inputs >= CHANNELS && sizes.outputs >= CHANNELS && tiles >= fewest
}

/// Transformed kernels, `[ELEMENTS, outputs / rows, inputs, rows]` with the rows of a register tile;
/// zeros beyond the last output.
#[derive(Debug)]
pub struct Packed(Vec<u32>);

/// Transforms kernels for [`forward`], in f64.
///
/// # Shapes
/// - weights: `[outputs, inputs, 3, 3]`
pub fn pack(sizes: Sizes, weights: &[f32]) -> Packed {
    let [rows, _] = DotUnit::of(MulPrecision::F32).tile();
    let blocks = sizes.outputs.div_ceil(rows);
    let block = sizes.inputs * rows;
    let mut packed = vec![0; ELEMENTS * blocks * block];
    // The pieces of each block of outputs, one for each element.
    let mut pieces: Vec<Vec<&mut [u32]>> = Vec::new();
    pieces.resize_with(blocks, || Vec::with_capacity(ELEMENTS));
    for element in packed.chunks_mut(blocks * block) {
        for (pieces, piece) in pieces.iter_mut().zip(element.chunks_mut(block)) {
            pieces.push(piece);
        }
    }
    let tasks = pieces.into_par_iter().enumerate();
    tasks.for_each(|(block, mut pieces)| {
        for (row, output) in (block * rows..sizes.outputs).take(rows).enumerate() {
            for input in 0..sizes.inputs {
                let kernel = &weights[(output * sizes.inputs + input) * 9..][..9];
                for (piece, value) in pieces.iter_mut().zip(transform_kernel(kernel)) {
                    piece[input * rows + row] = value.to_bits();
                }
            }
        }
    });
    Packed(packed)
}

/// `G · kernel · Gᵀ`.
fn transform_kernel(kernel: &[f32]) -> [f32; ELEMENTS] {
    use std::f64::consts::SQRT_2;
    const G: [[f64; 3]; IN] = [
        [1.0, 0.0, 0.0],
        [-2.0 / 3.0, -SQRT_2 / 3.0, -1.0 / 3.0],
        [-2.0 / 3.0, SQRT_2 / 3.0, -1.0 / 3.0],
        [1.0 / 6.0, SQRT_2 / 6.0, 1.0 / 3.0],
        [1.0 / 6.0, -SQRT_2 / 6.0, 1.0 / 3.0],
        [0.0, 0.0, 1.0],
    ];
    let tap = |y: usize, x: usize| f64::from(kernel[y * 3 + x]);
    std::array::from_fn(|element| {
        let (left, right) = (G[element / IN], G[element % IN]);
        let mut sum = 0.0;
        for (y, left) in left.into_iter().enumerate() {
            for (x, right) in right.into_iter().enumerate() {
                sum += left * tap(y, x) * right;
            }
        }
        sum as f32
    })
}

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

/// Some rows of tiles of an image.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// The first row of tiles.
    first: usize,
    /// Rows of tiles.
    rows: usize,
    /// Tiles of a row.
    columns: usize,
    /// Lanes of the vectors.
    lanes: usize,
    /// Vectors of a whole panel.
    vectors: usize,
}

impl Group {
    fn tiles(self) -> usize {
        self.rows * self.columns
    }

    /// Tiles, filled up to whole vectors.
    fn padded(self) -> usize {
        self.tiles().next_multiple_of(self.lanes)
    }

    /// Rows of tiles of a whole group.
    fn whole(columns: usize) -> usize {
        TILES.div_ceil(columns)
    }
}

/// The convolution, in f32.
///
/// # Shapes
/// - images: `[batch, inputs, height, width]`
/// - weights: `[outputs, inputs, 3, 3]`, [packed](pack)
/// - bias: `[outputs]`
/// - output: `[batch, outputs, height, width]`, after `epilogue`
pub fn forward(
    sizes: Sizes,
    images: &[f32],
    Packed(weights): &Packed,
    bias: Option<&[f32]>,
    epilogue: Option<ChannelAffine>,
) -> Vec<f32> {
    let area = sizes.height * sizes.width;
    let columns = sizes.width.div_ceil(OUT);
    let (rows, whole) = (sizes.height.div_ceil(OUT), Group::whole(columns));
    let unit = DotUnit::of(MulPrecision::F32);
    let [tile_rows, vectors] = unit.tile();
    let group = |index: usize| Group {
        first: index * whole,
        rows: whole.min(rows - index * whole),
        columns,
        lanes: unit.lanes(),
        vectors,
    };
    let groups = rows.div_ceil(whole);
    let mut output = cleared(sizes.batch * sizes.outputs * area);
    let strips: Vec<_> = output
        .chunks_mut(sizes.outputs * area)
        .zip(images.chunks_exact(sizes.inputs * area))
        .flat_map(|(planes, image)| {
            let strips = strips(planes, area, whole * OUT * sizes.width, groups);
            let strips = strips.into_iter().enumerate();
            strips.map(move |(index, strip)| (image, group(index), strip))
        })
        .collect();
    let layer = Layer {
        sizes,
        block: OUTPUTS / tile_rows * tile_rows,
        weights,
        bias,
        epilogue,
    };
    if groups >= FEW_GROUPS {
        strips
            .into_par_iter()
            .for_each_init(Default::default, |own, (image, group, mut strip)| {
                let (elements, space): &mut (Vec<f32>, Space) = own;
                layer.transform_group(group, image, elements);
                layer.run(group, elements, 0, &mut strip, space);
            });
        return output;
    }
    let tasks: Vec<_> = strips
        .into_par_iter()
        .map(|(image, group, strip)| {
            let mut elements = Vec::new();
            layer.transform_group(group, image, &mut elements);
            (group, elements, strip)
        })
        .collect();
    tasks
        .into_par_iter()
        .for_each(|(group, elements, mut strip)| {
            let blocks = strip.par_chunks_mut(layer.block).enumerate();
            blocks.for_each_init(Space::default, |space, (index, strip)| {
                layer.run(group, &elements, index * layer.block, strip, space);
            });
        });
    output
}

/// Cuts planes at the same rows: each of the `count` strips has `size` pixels of every plane.
fn strips(planes: &mut [f32], area: usize, size: usize, count: usize) -> Vec<Vec<&mut [f32]>> {
    let mut strips: Vec<Vec<_>> = Vec::new();
    strips.resize_with(count, Vec::new);
    for plane in planes.chunks_mut(area) {
        for (strip, piece) in strips.iter_mut().zip(plane.chunks_mut(size)) {
            strip.push(piece);
        }
    }
    strips
}

#[derive(Clone, Copy)]
struct Layer<'a> {
    sizes: Sizes,
    /// Output channels whose products are made at once, in whole register tiles.
    block: usize,
    weights: &'a [u32],
    bias: Option<&'a [f32]>,
    epilogue: Option<ChannelAffine<'a>>,
}

impl Layer<'_> {
    /// Transforms a group's tiles of all channels of an image `[inputs, height, width]`:
    /// `[ELEMENTS, panels, inputs, tiles of a panel]`, a panel having a register tile's vectors of tiles,
    /// the last perhaps fewer.
    fn transform_group(&self, group: Group, image: &[f32], elements: &mut Vec<f32>) {
        let inputs = self.sizes.inputs;
        let area = self.sizes.height * self.sizes.width;
        // What another group has left in them is written over, or belongs to no tile.
        elements.resize(ELEMENTS * inputs * group.padded(), 0.0);
        let mut scratch = Scratch::new(group, self.sizes);
        for (input, plane) in image.chunks_exact(area).enumerate() {
            scratch.transform(group, self.sizes, plane);
            let (tiles, whole) = (group.tiles(), group.vectors * group.lanes);
            let lines = scratch.lines.chunks_exact(tiles);
            for (line, elements) in lines.zip(elements.chunks_exact_mut(inputs * group.padded())) {
                for first in (0..tiles).step_by(whole) {
                    let width = whole.min(group.padded() - first);
                    let line = &line[first..tiles.min(first + width)];
                    elements[first * inputs + input * width..][..line.len()].copy_from_slice(line);
                }
            }
        }
    }

    /// Some output channels of a group, from channel `first` on; `strip` has the group's pixels of each.
    fn run(
        &self,
        group: Group,
        elements: &[f32],
        first: usize,
        strip: &mut [&mut [f32]],
        Space { products, halves }: &mut Space,
    ) {
        products.resize(self.block.min(strip.len()) * ELEMENTS * group.padded(), 0.0);
        halves.resize((OUT * IN + OUT * OUT) * group.tiles(), 0.0);
        for (block, strip) in strip.chunks_mut(self.block).enumerate() {
            let first = first + block * self.block;
            DotUnit::of(MulPrecision::F32).run(Products {
                group,
                inputs: self.sizes.inputs,
                outputs: self.sizes.outputs,
                elements: bytemuck::cast_slice(elements),
                weights: self.weights,
                first,
                count: strip.len(),
                products,
            });
            let planes = products.chunks_exact(ELEMENTS * group.padded());
            for (index, (products, pixels)) in planes.zip(strip).enumerate() {
                let channel = first + index;
                let bias = self.bias.map_or(0.0, |bias| bias[channel]);
                back(group, products, halves, bias, self.sizes.width, pixels);
                if let Some(epilogue) = self.epilogue {
                    epilogue.apply(channel, pixels);
                }
            }
        }
    }
}

/// What a thread's tasks write over again and again.
#[derive(Default)]
struct Space {
    /// `[output channels, ELEMENTS, padded tiles]`.
    products: Vec<f32>,
    /// One channel on its way back to pixels.
    halves: Vec<f32>,
}

/// Lines of one channel on their way to elements.
struct Scratch {
    /// A padded row of pixels.
    row: Vec<f32>,
    /// `[rows · OUT + 2, OUT, columns + 1]`: padded rows, pixel `x` at `[x % OUT, x / OUT]`.
    pixels: Vec<f32>,
    /// `[IN, OUT, columns + 1]`: one row of tiles, transformed along columns.
    half: Vec<f32>,
    /// `[ELEMENTS, tiles]`.
    lines: Vec<f32>,
}

impl Scratch {
    fn new(group: Group, sizes: Sizes) -> Self {
        let pitch = OUT * (group.columns + 1);
        Self {
            row: vec![0.0; pitch.max(sizes.width + 1)],
            pixels: vec![0.0; (group.rows * OUT + 2) * pitch],
            half: vec![0.0; IN * pitch],
            lines: vec![0.0; ELEMENTS * group.tiles()],
        }
    }

    fn transform(&mut self, group: Group, sizes: Sizes, plane: &[f32]) {
        let phase = group.columns + 1;
        vectorized_sums(
            #[inline(always)]
            |mul_add| {
                for (index, phases) in self.pixels.chunks_exact_mut(OUT * phase).enumerate() {
                    // Padded by one row and column of zeros.
                    let y = (group.first * OUT + index).wrapping_sub(1);
                    if y >= sizes.height {
                        phases.fill(0.0);
                        continue;
                    }
                    self.row[1..=sizes.width]
                        .copy_from_slice(&plane[y * sizes.width..][..sizes.width]);
                    split_phases(&self.row, phase, phases);
                }
                for row in 0..group.rows {
                    let pixels = &self.pixels[row * OUT * OUT * phase..];
                    along_columns(mul_add, pixels, OUT * phase, &mut self.half);
                    for (y, line) in self.half.chunks_exact(OUT * phase).enumerate() {
                        let first = y * IN * group.tiles() + row * group.columns;
                        let lines = &mut self.lines[first..];
                        along_rows(mul_add, line, group.columns, group.tiles(), lines);
                    }
                }
            },
        );
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

/// Transforms one channel's products `[ELEMENTS, padded tiles]` to the group's pixels, plus `bias`.
fn back(
    group: Group,
    products: &[f32],
    scratch: &mut [f32],
    bias: f32,
    width: usize,
    pixels: &mut [f32],
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
    for (y, pixels) in pixels.chunks_exact_mut(width).enumerate() {
        let first = (y % OUT * tiles + y / OUT * group.columns) * OUT;
        pixels.copy_from_slice(&rows[first..][..width]);
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

/// Products of some output channels' kernels and a group's tiles, for every element.
struct Products<'a> {
    group: Group,
    inputs: usize,
    outputs: usize,
    /// `[ELEMENTS, panels, inputs, tiles of a panel]`.
    elements: &'a [u32],
    weights: &'a [u32],
    first: usize,
    count: usize,
    /// `[count, ELEMENTS, padded tiles]`.
    products: &'a mut [f32],
}

impl WithDot for Products<'_> {
    #[inline(always)]
    fn with_dot<D: Dot, const ROWS: usize, const VECTORS: usize>(self, dot: D) {
        let mut work = self;
        let (padded, whole) = (work.group.padded(), VECTORS * D::LANES);
        for element in 0..ELEMENTS {
            for first in (0..padded).step_by(whole) {
                match (padded - first).div_ceil(D::LANES) {
                    1 => work.panel::<D, ROWS, 1>(dot, element, first),
                    2 => work.panel::<D, ROWS, 2>(dot, element, first),
                    _ => work.panel::<D, ROWS, VECTORS>(dot, element, first),
                }
            }
        }
    }
}

impl Products<'_> {
    /// One element of `WIDE` vectors of tiles, from tile `first` on.
    #[inline(always)]
    fn panel<D: Dot, const ROWS: usize, const WIDE: usize>(
        &mut self,
        dot: D,
        element: usize,
        first: usize,
    ) {
        let (inputs, padded, width) = (self.inputs, self.group.padded(), WIDE * D::LANES);
        let panel = &self.elements[(element * padded + first) * inputs..][..inputs * width];
        let (panel, _) = D::vectors(panel).as_chunks::<WIDE>();
        let blocks = self.outputs.div_ceil(ROWS);
        for start in (0..self.count).step_by(ROWS) {
            let block = element * blocks + (self.first + start) / ROWS;
            let weights = &self.weights[block * inputs * ROWS..][..inputs * ROWS];
            let (weights, _) = weights.as_chunks::<ROWS>();
            let mut held = [[dot.zero(); WIDE]; ROWS];
            for (words, weights) in panel.iter().zip(weights) {
                for (held, &weight) in held.iter_mut().zip(weights) {
                    for (sum, &words) in held.iter_mut().zip(words) {
                        *sum = dot.add(weight, words, *sum);
                    }
                }
            }
            for (lane, sums) in held.iter().enumerate().take(self.count - start) {
                let place = ((start + lane) * ELEMENTS + element) * padded + first;
                self.products[place..][..width].copy_from_slice(bytemuck::cast_slice(sums));
            }
        }
    }
}
