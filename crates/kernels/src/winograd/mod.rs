//! Convolutions by 3 × 3 kernels, stride 1, padding 1, by Winograd's F(4 × 4, 3 × 3) (Lavin and Gray,
//! *Fast algorithms for convolutional neural networks*).
//!
//! An output tile of 4 × 4 pixels takes 36 products per pair of channels instead of 144. Tiles of 6 × 6
//! input pixels are transformed, multiplied by transformed kernels element by element — a matrix
//! product over channels for each of the 36 elements — and transformed back. The polynomials are
//! evaluated at 0, ±1/√2, ±√2 and ∞, whose transforms round less than those of 0, ±1, ±2 and ∞. Sums
//! over channels run in one order, so that bits depend neither on the number of threads nor on the
//! batch.

mod groups;
mod kernels;
mod products;
mod tiles;

use std::ops::Range;

use pulp::bytemuck;
use rayon::prelude::*;

use crate::channel_affine::ChannelAffine;
use crate::computed::cleared;
use crate::conv3x3::Sizes;
use crate::matrix::{DotUnit, MulPrecision};
use crate::simd::{SimdLevel, level};
use groups::{Group, strips};
use products::Products;
use tiles::{Scratch, back};

pub use kernels::{Packed, pack};

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
/// Fewest tiles of a batch that pay for transforming kernels for it alone, with vectors of 8.
const FEWEST_TILES_OF_A_BATCH: usize = 48;

/// Whether the transforms make inference faster for these channels and this image. Neither the batch nor the number
/// of threads counts, so that an image's result does not depend on its company.
pub fn pays(sizes: Sizes) -> bool {
    let fewest = match !is_wide() && sizes.inputs * sizes.outputs <= PAIRS {
        true => FEWEST_TILES_OF_EIGHTS,
        false => FEWEST_TILES,
    };
    has_channels(sizes) && tiles(sizes) >= fewest
}

/// Whether they make training faster, where kernels are transformed for every batch.
pub fn pays_in_training(sizes: Sizes) -> bool {
    let fewest = match is_wide() {
        true => 2 * FEWEST_TILES_OF_A_BATCH,
        false => FEWEST_TILES_OF_A_BATCH,
    };
    has_channels(sizes) && sizes.batch * tiles(sizes) >= fewest
}

fn is_wide() -> bool {
    matches!(level(), SimdLevel::Avx512 | SimdLevel::Amx)
}

fn has_channels(sizes: Sizes) -> bool {
    sizes.inputs >= CHANNELS && sizes.outputs >= CHANNELS
}

/// Tiles of an image.
fn tiles(sizes: Sizes) -> usize {
    sizes.height.div_ceil(OUT) * sizes.width.div_ceil(OUT)
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
    let groups = Group::all(sizes);
    let mut output = cleared(sizes.batch * sizes.outputs * sizes.height * sizes.width);
    let strips = strips(sizes, &groups, &mut output);
    let few = groups.len() < FEW_GROUPS;
    let layer = Layer {
        sizes,
        block: outputs_at_once(sizes, few.then_some(groups.len())),
        weights,
        bias,
        epilogue,
    };
    let tasks: Vec<_> = groups.into_iter().zip(strips).collect();
    match few {
        true => layer.by_blocks(images, tasks),
        false => layer.by_groups(images, tasks),
    }
    output
}

/// Whole register tiles of output channels: as many as [`OUTPUTS`] has, or fewer where groups are few, so that no
/// thread goes without a task.
fn outputs_at_once(sizes: Sizes, few_groups: Option<usize>) -> usize {
    let [tile_rows, _] = DotUnit::of(MulPrecision::F32).tile();
    let most = OUTPUTS / tile_rows * tile_rows;
    let Some(groups) = few_groups else {
        return most;
    };
    let tasks = (2 * rayon::current_num_threads()).div_ceil(groups);
    let share = sizes.outputs.div_ceil(tasks);
    share.next_multiple_of(tile_rows).min(most)
}

/// A group and its pixels, as [`strips`] cuts them.
type GroupStrip<'a> = (Group, Vec<&'a mut [f32]>);

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
    /// A task has all output channels of a group.
    fn by_groups(&self, images: &[f32], tasks: Vec<GroupStrip>) {
        let tasks = tasks.into_par_iter();
        tasks.for_each_init(Default::default, |own, (group, mut strip)| {
            let (elements, space): &mut (Vec<f32>, Space) = own;
            self.transform_group(group, images, elements, 1);
            self.run(group, elements, 0, &mut strip, space);
        });
    }

    /// A task has some output channels of a group, whose tiles are transformed before.
    fn by_blocks(&self, images: &[f32], tasks: Vec<GroupStrip>) {
        let shares = (2 * rayon::current_num_threads()).div_ceil(tasks.len());
        let tasks = tasks.into_par_iter().map(|(group, strip)| {
            let mut elements = Vec::new();
            self.transform_group(group, images, &mut elements, shares);
            (group, elements, strip)
        });
        let tasks: Vec<_> = tasks.collect();
        let tasks = tasks.into_par_iter();
        tasks.for_each(|(group, elements, mut strip)| {
            let pieces = self.block * group.runs().count();
            let blocks = strip.par_chunks_mut(pieces).enumerate();
            blocks.for_each_init(Space::default, |space, (index, strip)| {
                self.run(group, &elements, index * self.block, strip, space);
            });
        });
    }

    /// Transforms a group's tiles of all channels of images `[batch, inputs, height, width]`:
    /// `[ELEMENTS, panels, inputs, tiles of a panel]`, a panel having a register tile's vectors of tiles,
    /// the last perhaps fewer. Channels are shared out between `tasks`.
    fn transform_group(&self, group: Group, images: &[f32], elements: &mut Vec<f32>, tasks: usize) {
        let inputs = self.sizes.inputs;
        // What another group has left in them is written over, or belongs to no tile.
        elements.resize(ELEMENTS * inputs * group.padded(), 0.0);
        let channels = inputs.div_ceil(tasks);
        let mut shares: Vec<Vec<&mut [f32]>> = Vec::new();
        shares.resize_with(inputs.div_ceil(channels), Vec::new);
        for panels in elements.chunks_exact_mut(inputs * group.padded()) {
            let mut rest = panels;
            for width in group.panels() {
                let (panel, others) = std::mem::take(&mut rest).split_at_mut(inputs * width);
                rest = others;
                for (share, piece) in shares.iter_mut().zip(panel.chunks_mut(channels * width)) {
                    share.push(piece);
                }
            }
        }
        let shares = shares.into_par_iter().enumerate();
        shares.for_each(|(index, mut share)| {
            let first = index * channels;
            let end = inputs.min(first + channels);
            self.transform_channels(group, images, first..end, &mut share);
        });
    }

    /// Some channels of a group; `pieces` has theirs of each element, panel by panel.
    fn transform_channels(
        &self,
        group: Group,
        images: &[f32],
        channels: Range<usize>,
        pieces: &mut [&mut [f32]],
    ) {
        let mut scratch = Scratch::new(group, self.sizes);
        let panels = group.panels().count();
        for (index, input) in channels.enumerate() {
            scratch.transform(group, self.sizes, images, input);
            let lines = scratch.lines.chunks_exact(group.tiles());
            for (line, pieces) in lines.zip(pieces.chunks_mut(panels)) {
                let mut rest = line;
                for (piece, width) in pieces.iter_mut().zip(group.panels()) {
                    let (line, others) = rest.split_at(width.min(rest.len()));
                    rest = others;
                    piece[index * width..][..line.len()].copy_from_slice(line);
                }
            }
        }
    }

    /// Some output channels of a group, from channel `first` on; `strip` has the pixels of each, run by run.
    fn run(
        &self,
        group: Group,
        elements: &[f32],
        first: usize,
        strip: &mut [&mut [f32]],
        Space { products, halves }: &mut Space,
    ) {
        let runs = group.runs().count();
        let block = self.block.min(strip.len() / runs);
        products.resize(block * ELEMENTS * group.padded(), 0.0);
        halves.resize((OUT * IN + OUT * OUT) * group.tiles(), 0.0);
        for (index, strip) in strip.chunks_mut(block * runs).enumerate() {
            let first = first + index * block;
            DotUnit::of(MulPrecision::F32).run(Products {
                group,
                inputs: self.sizes.inputs,
                outputs: self.sizes.outputs,
                elements: bytemuck::cast_slice(elements),
                weights: self.weights,
                first,
                count: strip.len() / runs,
                products,
            });
            let planes = products.chunks_exact(ELEMENTS * group.padded());
            let channels = planes.zip(strip.chunks_exact_mut(runs));
            for (index, (products, pixels)) in channels.enumerate() {
                let channel = first + index;
                let bias = self.bias.map_or(0.0, |bias| bias[channel]);
                back(group, products, halves, bias, self.sizes.width, pixels);
                if let Some(epilogue) = self.epilogue {
                    for pixels in pixels {
                        epilogue.apply(channel, pixels);
                    }
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
