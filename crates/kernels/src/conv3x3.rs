//! Direct convolutions by 3 × 3 kernels, stride 1, padding 1.
//!
//! On padded planes every tap is the plane at an offset, so an output is a sum of shifted inputs. The
//! inner loop holds a tile of several output channels by three vectors of pixels in registers and adds
//! all taps of all input channels before it writes them.

use std::ops::Range;

use pulp::bytemuck;
use rayon::prelude::*;

use crate::channel_affine::ChannelAffine;
use crate::computed::cleared;
use crate::matrix::{
    Dot, DotUnit, MAX_TILE, MatrixLayout, MulPrecision, TILE_SIDE, Threading, TileRows, Tiles,
    WIDEST_TILES, WithDot, multiply,
};
use crate::padded::PaddedPlane;
use crate::winograd;

/// Side of the kernels.
const SIDE: usize = 3;
pub(crate) const TAPS: usize = SIDE * SIDE;
/// Fewest outputs of a task of the weights' gradient: each packs the images anew.
const FEWEST_ROWS: usize = 16;
/// Kernels whose gradients are put in order at once.
const TRANSPOSED: usize = 256;
/// Fewest tasks, if there are register tiles of outputs enough.
const TASKS: usize = 8;
/// Bytes of weights that a task reads for every tile: they stay in the L2 cache.
const CACHED_WEIGHTS: usize = 384 << 10;

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Images.
    pub batch: usize,
    /// Channels of the image.
    pub inputs: usize,
    /// Channels of the result.
    pub outputs: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Sizes {
    pub(crate) fn frame(self) -> PaddedPlane {
        PaddedPlane {
            height: self.height,
            width: self.width,
            padding: SIDE / 2,
        }
    }

    /// Sizes of the convolution that computes the images' gradient: inputs and outputs exchanged.
    fn reversed(self) -> Self {
        Self {
            inputs: self.outputs,
            outputs: self.inputs,
            ..self
        }
    }
}

/// Weights in the order of the inner loop: `[outputs / rows, words of inputs, taps, rows]` with the rows of a
/// register tile, or `[outputs / rows, taps, rows, words of inputs]` where registers hold whole tiles; zeros beyond the
/// last output.
#[derive(Debug)]
pub struct Packed(Vec<u32>);

/// Packs weights for [`forward`].
///
/// # Shapes
/// - weights: `[outputs, inputs, 3, 3]`
pub fn pack(precision: MulPrecision, sizes: Sizes, weights: &[f32]) -> Packed {
    let kernel = |output, input| Some(output * sizes.inputs + input);
    pack_kernels(
        DotUnit::of(precision),
        sizes,
        (weights, TapOrder::Forward),
        kernel,
    )
}

/// The convolution.
///
/// # Shapes
/// - images: `[batch, inputs, height, width]`
/// - weights: `[outputs, inputs, 3, 3]`, [packed](pack) for the same precision
/// - bias: `[outputs]`
/// - output: `[batch, outputs, height, width]`, after `epilogue`
pub fn forward(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    weights: &Packed,
    bias: Option<&[f32]>,
    epilogue: Option<ChannelAffine>,
) -> Vec<f32> {
    run(
        DotUnit::of(precision),
        sizes,
        images,
        weights,
        (bias, epilogue),
    )
}

/// The gradient of the images, given that of the output: a convolution with kernels rotated by 180° and
/// inputs and outputs exchanged, by Winograd's transforms where they pay.
///
/// # Shapes
/// - gradient: `[batch, outputs, height, width]`
/// - weights: `[outputs, inputs, 3, 3]`
/// - output: `[batch, inputs, height, width]`
pub fn image_gradient(
    precision: MulPrecision,
    sizes: Sizes,
    gradient: &[f32],
    weights: &[f32],
) -> Vec<f32> {
    let (unit, reversed) = (DotUnit::of(precision), sizes.reversed());
    if precision == MulPrecision::F32 && winograd::pays_in_training(reversed) {
        let packed = winograd::pack(reversed, weights, TapOrder::Turned);
        return winograd::forward(reversed, gradient, &packed, None, None);
    }
    let kernel = |input, output| Some(output * sizes.inputs + input);
    let packed = pack_kernels(unit, reversed, (weights, TapOrder::Turned), kernel);
    run(unit, reversed, gradient, &packed, (None, None))
}

/// The gradient of the weights, given that of the output: for each tap the product of the gradient and
/// the images at the tap's offset, summed over pixels.
///
/// # Shapes
/// - images: `[batch, inputs, height, width]`
/// - gradient: `[batch, outputs, height, width]`
/// - output: `[outputs, inputs, 3, 3]`
pub fn weight_gradient(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let images = sizes.frame().pad_channels_last(images, sizes.inputs);
    weight_gradient_padded(precision, sizes, (&images, 1, |image, _| image), gradient)
}

/// [`weight_gradient`] of kernels of `deep` layers, `[outputs, inputs, deep, 3, 3]`, given padded images,
/// `[n, plane, inputs]`, and which of them an image of the gradient sees by a layer of the kernels.
pub(crate) fn weight_gradient_padded(
    precision: MulPrecision,
    sizes: Sizes,
    (images, deep, seen): (&[f32], usize, impl Fn(usize, usize) -> usize + Sync),
    gradient: &[f32],
) -> Vec<f32> {
    let (frame, pairs) = (sizes.frame(), sizes.inputs * sizes.outputs);
    let singles = DotUnit::of(MulPrecision::F32);
    let planes = frame.pad(singles, gradient, sizes.outputs);
    let gradient: &[f32] = bytemuck::cast_slice(&planes);
    let (plane, places) = (frame.plane(), frame.places());
    // The gradient's first pixel. What follows each of its rows is padding: zeros, which add nothing.
    let corner = frame.pitch() + 1;
    let (taps, count) = (frame.taps(SIDE), deep * TAPS);
    let mut by_tap = vec![0.0; count * pairs];
    // Each tap's outputs are shared out where there are more threads than taps; sums do not depend on it.
    let parts = rayon::current_num_threads().div_ceil(count);
    let rows = sizes.outputs.div_ceil(parts).max(FEWEST_ROWS);
    let tasks: Vec<_> = by_tap
        .chunks_mut(pairs)
        .enumerate()
        .flat_map(|(tap, sums)| {
            let parts = sums.chunks_mut(rows * sizes.inputs).enumerate();
            parts.map(move |(part, sums)| (tap, part * rows, sums))
        })
        .collect();
    tasks.into_par_iter().for_each(|(tap, first, sums)| {
        let (layer, shift) = (tap / TAPS, taps[tap % TAPS]);
        for image in 0..sizes.batch {
            let row = image * sizes.outputs + first;
            let left = MatrixLayout::rows(plane).at(row * plane + corner);
            let right = (seen(image, layer) * plane + shift) * sizes.inputs;
            multiply(
                precision,
                [sums.len() / sizes.inputs, places, sizes.inputs],
                (gradient, left),
                (images, MatrixLayout::rows(sizes.inputs).at(right)),
                (&mut *sums, sizes.inputs),
                image > 0,
                Threading::Caller,
            );
        }
    });
    let mut weights = vec![0.0; pairs * count];
    let tasks = weights.par_chunks_mut(count * TRANSPOSED).enumerate();
    tasks.for_each(|(task, weights)| {
        let first = task * TRANSPOSED;
        for (tap, sums) in by_tap.chunks_exact(pairs).enumerate() {
            let kernels = weights.chunks_exact_mut(count);
            for (kernel, &sum) in kernels.zip(&sums[first..]) {
                kernel[tap] = sum;
            }
        }
    });
    weights
}

/// How a kernel's taps are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TapOrder {
    Forward,
    /// Turned by 180°.
    Turned,
}

impl TapOrder {
    /// Where a tap is read.
    #[inline(always)]
    pub(crate) fn tap(self, tap: usize) -> usize {
        match self {
            Self::Forward => tap,
            Self::Turned => TAPS - 1 - tap,
        }
    }
}

/// Output channels whose weights lie in one block.
fn block_rows(unit: DotUnit, outputs: usize) -> usize {
    let [rows, _] = unit.tile();
    match unit.tiles() {
        Some(_) => rows.min(outputs),
        None => rows,
    }
}

/// Packs weights, `[n, 3, 3]`; `kernel` says which of the `n` an output takes for an input, if any.
pub(crate) fn pack_kernels(
    unit: DotUnit,
    sizes: Sizes,
    (weights, order): (&[f32], TapOrder),
    kernel: impl Fn(usize, usize) -> Option<usize> + Sync,
) -> Packed {
    let rows = block_rows(unit, sizes.outputs);
    let blocks = sizes.outputs.div_ceil(rows);
    let (words, per_word) = (unit.words(sizes.inputs), unit.values_per_word());
    let taps = |output, input| match kernel(output, input).filter(|_| input < sizes.inputs) {
        Some(kernel) => &weights[kernel * TAPS..][..TAPS],
        None => &[0.0; TAPS],
    };
    let in_tiles = unit.tiles().is_some();
    let place = |word: usize, tap: usize, lane: usize| match in_tiles {
        true => (tap * rows + lane) * words + word,
        false => (word * TAPS + tap) * rows + lane,
    };
    let mut packed = vec![0; blocks * words * TAPS * rows];
    let tasks = packed.par_chunks_mut(words * TAPS * rows).enumerate();
    tasks.for_each(|(block, packed)| {
        let first = block * rows;
        let outputs = rows.min(sizes.outputs - first);
        for word in 0..words {
            let input = word * per_word;
            for lane in 0..outputs {
                let one = taps(first + lane, input);
                let other = match per_word {
                    1 => &[0.0; TAPS],
                    _ => taps(first + lane, input + 1),
                };
                for tap in 0..TAPS {
                    let read = order.tap(tap);
                    packed[place(word, tap, lane)] = unit.word(one[read], other[read]);
                }
            }
        }
    });
    Packed(packed)
}

fn run(
    unit: DotUnit,
    sizes: Sizes,
    images: &[f32],
    packed: &Packed,
    after: (Option<&[f32]>, Option<ChannelAffine>),
) -> Vec<f32> {
    let frame = sizes.frame();
    let padded = frame.pad(unit, images, sizes.inputs);
    let inputs = unit.words(sizes.inputs);
    let image = |index: usize| PaddedImage {
        start: index * inputs,
        inputs: 0..inputs,
    };
    let mut output = cleared(sizes.batch * sizes.outputs * frame.area());
    convolve_padded(unit, sizes, (&padded, image), packed, after, &mut output);
    output
}

/// An image among padded planes.
pub(crate) struct PaddedImage {
    /// The plane of its first word of inputs.
    pub start: usize,
    /// The words of inputs that are not zeros throughout.
    pub inputs: Range<usize>,
}

/// The convolution of padded images, which may overlap: `image` says where each lies. Writes `[batch, outputs,
/// height, width]`. A task has one image and as many output channels as keep their weights in the cache.
pub(crate) fn convolve_padded(
    unit: DotUnit,
    sizes: Sizes,
    (padded, image): (&[u32], impl Fn(usize) -> PaddedImage + Sync),
    Packed(packed): &Packed,
    (bias, epilogue): (Option<&[f32]>, Option<ChannelAffine>),
    output: &mut [f32],
) {
    let frame = sizes.frame();
    let inputs = unit.words(sizes.inputs);
    let rows = block_rows(unit, sizes.outputs);
    let block = inputs * TAPS * rows;
    let blocks = sizes.outputs.div_ceil(rows);
    let fitting = (CACHED_WEIGHTS / (4 * block)).clamp(1, blocks);
    // Fewer images than threads: finer tasks, or some threads idle.
    let tasks = TASKS.max(2 * rayon::current_num_threads());
    let per_task = fitting.min(blocks.div_ceil(tasks.div_ceil(sizes.batch)));
    let tasks: Vec<_> = output
        .chunks_mut(sizes.outputs * frame.area())
        .enumerate()
        .flat_map(|(image, planes)| {
            let pieces = planes
                .chunks_mut(per_task * rows * frame.area())
                .enumerate();
            pieces.map(move |(piece, planes)| (image, piece * per_task, planes))
        })
        .collect();
    tasks.into_par_iter().for_each(|(index, first, planes)| {
        let PaddedImage {
            start,
            inputs: seen,
        } = image(index);
        let seen_planes = (start + seen.start) * frame.plane()..(start + seen.end) * frame.plane();
        unit.run(Task {
            frame,
            rows,
            inputs,
            padded: &padded[seen_planes],
            seen,
            packed: &packed[first * block..],
            bias: bias.map(|bias| &bias[first * rows..]),
            planes: &mut *planes,
        });
        if let Some(epilogue) = epilogue {
            // While the planes are in the cache.
            for (index, plane) in planes.chunks_exact_mut(frame.area()).enumerate() {
                epilogue.apply(first * rows + index, plane);
            }
        }
    });
}

/// Some output channels of one image.
struct Task<'a> {
    frame: PaddedPlane,
    /// Output channels of a block of weights.
    rows: usize,
    /// Words of the input channels.
    inputs: usize,
    /// Those of them that `padded` holds, the others being zeros.
    seen: Range<usize>,
    padded: &'a [u32],
    packed: &'a [u32],
    bias: Option<&'a [f32]>,
    planes: &'a mut [f32],
}

impl WithDot for Task<'_> {
    #[inline(always)]
    fn with_dot<D: Dot, const ROWS: usize, const VECTORS: usize>(self, dot: D) {
        let (places, lanes) = (self.frame.places(), D::LANES);
        let mut task = self;
        if let Some(tiles) = dot.tiles() {
            return task.in_tiles(tiles);
        }
        let mut first = 0;
        while first < places {
            // The last tile is no wider than it must be.
            first += match (places - first).div_ceil(lanes) {
                1 => task.tile::<D, ROWS, 1>(dot, first),
                2 => task.tile::<D, ROWS, 2>(dot, first),
                _ => task.tile::<D, ROWS, VECTORS>(dot, first),
            };
        }
    }
}

impl Task<'_> {
    /// Computes all outputs in registers that hold whole tiles: weights of some outputs times pixels, tap by tap.
    #[inline(always)]
    fn in_tiles(&mut self, tiles: Tiles) {
        let (frame, area, inputs, rows) = (self.frame, self.frame.area(), self.inputs, self.rows);
        let taps = frame.taps(SIDE);
        let shaped = tiles.shaped(rows, self.seen.len());
        let weights = TileRows {
            words: self.packed,
            pitch: inputs,
        };
        let pixels = TileRows {
            words: self.padded,
            pitch: frame.plane(),
        };
        let mut sums = [0.0; TILE_SIDE * WIDEST_TILES * TILE_SIDE];
        for first in (0..frame.places()).step_by(WIDEST_TILES * TILE_SIDE) {
            let wide = (frame.places() - first).div_ceil(TILE_SIDE);
            let wide = wide.min(WIDEST_TILES);
            for (index, planes) in self.planes.chunks_mut(rows * area).enumerate() {
                let places: [_; TAPS] = std::array::from_fn(|tap| {
                    let kernels = (index * TAPS + tap) * rows * inputs;
                    [kernels + self.seen.start, taps[tap] + first]
                });
                shaped.multiply(weights, pixels, &places, wide, &mut sums);
                let sums = sums.chunks_exact(wide * TILE_SIDE);
                let lanes = planes.chunks_exact_mut(area).zip(sums).enumerate();
                for (lane, (plane, sums)) in lanes {
                    let bias = self.bias.map_or(0.0, |bias| bias[index * rows + lane]);
                    frame.unpad(sums, first, bias, plane);
                }
            }
        }
    }

    /// Computes all outputs at `WIDE` vectors of places from `first` on, and returns the number of places.
    #[inline(always)]
    fn tile<D: Dot, const ROWS: usize, const WIDE: usize>(
        &mut self,
        dot: D,
        first: usize,
    ) -> usize {
        let (frame, area, tile) = (self.frame, self.frame.area(), WIDE * D::LANES);
        let taps = frame.taps(SIDE);
        let (block, word) = (self.inputs * TAPS * ROWS, TAPS * ROWS);
        let mut sums = [0.0; MAX_TILE];
        for (index, planes) in self.planes.chunks_mut(ROWS * area).enumerate() {
            let packed = &self.packed[index * block..][..block];
            let packed = &packed[self.seen.start * word..self.seen.end * word];
            let inputs = (self.padded, frame.plane(), first);
            let sums = &mut sums[..ROWS * tile];
            accumulate::<D, ROWS, WIDE>(dot, inputs, &taps, packed, sums);
            for (lane, plane) in planes.chunks_exact_mut(area).enumerate() {
                let bias = self.bias.map_or(0.0, |bias| bias[index * ROWS + lane]);
                frame.unpad(&sums[lane * tile..][..tile], first, bias, plane);
            }
        }
        tile
    }
}

/// Sums over all taps and input channels: `ROWS` outputs at `WIDE` vectors of places from `first` on.
#[inline(always)]
fn accumulate<D: Dot, const ROWS: usize, const WIDE: usize>(
    dot: D,
    (padded, plane, first): (&[u32], usize, usize),
    taps: &[usize],
    packed: &[u32],
    sums: &mut [f32],
) {
    let lanes = D::LANES;
    let mut held = [[dot.splat(0.0); WIDE]; ROWS];
    let reach = taps[TAPS - 1] + WIDE * lanes;
    let weights = packed.chunks(TAPS * ROWS);
    for (input, weights) in padded.chunks_exact(plane).zip(weights) {
        let input = &input[first..][..reach];
        for (tap, &shift) in taps.iter().enumerate() {
            let pixels = D::vectors(&input[shift..][..WIDE * lanes]);
            let pixels: [D::Words; WIDE] = std::array::from_fn(|vector| pixels[vector]);
            let weights = &weights[tap * ROWS..][..ROWS];
            for (held, &weight) in held.iter_mut().zip(weights) {
                for (sum, &pixel) in held.iter_mut().zip(&pixels) {
                    *sum = dot.add(weight, pixel, *sum);
                }
            }
        }
    }
    sums.copy_from_slice(bytemuck::cast_slice(held.as_flattened()));
}

#[cfg(test)]
mod tests {
    use pulp::Arch;

    use super::*;

    fn outputs(unit: DotUnit) -> Vec<f32> {
        let sizes = Sizes {
            batch: 1,
            inputs: 5,
            outputs: 11,
            height: 9,
            width: 13,
        };
        let number = |index: usize| ((index * 37 + 11) % 101) as f32 / 50.0 - 1.0;
        let images: Vec<f32> = (0..5 * 9 * 13).map(number).collect();
        let weights: Vec<f32> = (0..11 * 5 * TAPS).map(number).collect();
        let kernel = |output, input| Some(output * sizes.inputs + input);
        let packed = pack_kernels(unit, sizes, (&weights, TapOrder::Forward), kernel);
        run(unit, sizes, &images, &packed, (None, None))
    }

    #[test]
    fn gradients_do_not_depend_on_how_many_share_the_work() {
        let sizes = Sizes {
            batch: 2,
            inputs: 5,
            outputs: 40,
            height: 6,
            width: 7,
        };
        let number = |index: usize| ((index * 37 + 11) % 101) as f32 / 50.0 - 1.0;
        let values = |channels: usize| -> Vec<f32> { (0..2 * channels * 42).map(number).collect() };
        let (images, gradient) = (values(sizes.inputs), values(sizes.outputs));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let work = || weight_gradient(MulPrecision::F32, sizes, &images, &gradient);
            pool.unwrap().install(work)
        };
        assert_eq!(with(1), with(24));
    }

    #[test]
    fn narrow_vectors_give_what_wide_ones_give() {
        let best = outputs(DotUnit::of(MulPrecision::F32));
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(close(&best, &outputs(DotUnit::F32(Arch::Scalar))));
        #[cfg(target_arch = "x86_64")]
        if let Some(narrow) = pulp::x86::V3::try_new() {
            assert!(close(&best, &outputs(DotUnit::F32(Arch::V3(narrow)))));
        }
    }
}
