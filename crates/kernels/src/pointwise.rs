//! Convolutions by 1 × 1 kernels: products of the weights and each image `[inputs, area]`.

use rayon::prelude::*;

use crate::channel_affine::ChannelAffine;
use crate::computed::cleared;
use crate::matrix::{
    Addend, Block, DotUnit, Lhs, MatrixLayout, MulPrecision, RhsPanels, StridedRows, Threading,
    blocks, multiply, multiply_into,
};

/// Sizes of a pointwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Images.
    pub batch: usize,
    /// Channels of the image.
    pub inputs: usize,
    /// Channels of the result.
    pub outputs: usize,
    /// Pixels of a plane.
    pub area: usize,
}

/// Pixels of one task: a few panels of the product's right factor.
const PIXELS: usize = 192;

/// Weights `[outputs, inputs]` in words; those of f32 are not copied.
pub fn pack(precision: MulPrecision, sizes: Sizes, weights: &[f32]) -> Lhs<'_> {
    let size = [sizes.outputs, sizes.inputs];
    Lhs::new(precision, size, (weights, MatrixLayout::rows(sizes.inputs)))
}

/// The convolution.
///
/// # Shapes
/// - images: `[batch, inputs, area]`
/// - weights: `[outputs, inputs]`, [packed](pack) for the same precision
/// - bias: `[outputs]`
/// - output: `[batch, outputs, area]`, after `epilogue`
pub fn forward(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    weights: &Lhs,
    bias: &[f32],
    epilogue: Option<ChannelAffine>,
) -> Vec<f32> {
    run(precision, sizes, images, weights, (Some(bias), epilogue))
}

/// The convolution, scaled and added to `output`, then activated: the end of a residual block, in place.
///
/// # Shapes
/// - images: `[batch, inputs, area]`
/// - weights: `[outputs, inputs]`, [packed](pack) for the same precision
/// - bias: `[outputs]`
/// - output: `[batch, outputs, area]`
pub fn forward_onto(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    weights: &Lhs,
    bias: &[f32],
    (output, epilogue): (&mut [f32], ChannelAffine),
) {
    for_blocks(
        precision,
        sizes,
        images,
        output,
        |products, pixels, block| {
            let Block {
                row: first, rows, ..
            } = block;
            let (channels, width) = (rows.len(), rows[0].len());
            products.resize(channels * width, 0.0);
            let weights = weights.part(first..first + channels);
            let sums = &mut StridedRows::new(products, width);
            multiply_into(
                precision,
                &weights,
                pixels,
                sums,
                Addend::PerRow(&bias[first..]),
            );
            let channels = products.chunks_exact(width).zip(rows).enumerate();
            for (channel, (products, sum)) in channels {
                epilogue.apply_onto(first + channel, products, sum);
            }
        },
    );
}

/// The gradient of the images, given that of the output.
///
/// # Shapes
/// - gradient: `[batch, outputs, area]`
/// - weights: `[outputs, inputs]`
/// - output: `[batch, inputs, area]`
pub fn image_gradient(
    precision: MulPrecision,
    sizes: Sizes,
    gradient: &[f32],
    weights: &[f32],
) -> Vec<f32> {
    let reversed = Sizes {
        inputs: sizes.outputs,
        outputs: sizes.inputs,
        ..sizes
    };
    let transposed = MatrixLayout::rows(sizes.inputs).transposed();
    let size = [reversed.outputs, reversed.inputs];
    let weights = Lhs::new(precision, size, (weights, transposed));
    run(precision, reversed, gradient, &weights, (None, None))
}

fn run(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    weights: &Lhs,
    (bias, epilogue): (Option<&[f32]>, Option<ChannelAffine>),
) -> Vec<f32> {
    let mut output = cleared(sizes.batch * sizes.outputs * sizes.area);
    for_blocks(precision, sizes, images, &mut output, |_, pixels, block| {
        let Block {
            row: first,
            mut rows,
            ..
        } = block;
        let weights = weights.part(first..first + rows.len());
        let start = bias.map_or(Addend::Zero, |bias| Addend::PerRow(&bias[first..]));
        multiply_into(precision, &weights, pixels, &mut rows, start);
        if let Some(epilogue) = epilogue {
            // While the block is in the cache.
            for (channel, pixels) in rows.into_iter().enumerate() {
                epilogue.apply(first + channel, pixels);
            }
        }
    });
    output
}

/// Output channels and pixels of a task: all, and [`PIXELS`]; or whole panels of fewer pixels, then whole register
/// tiles of fewer channels where threads would go without a task. Sums do not depend on it.
fn task_size(precision: MulPrecision, sizes: Sizes) -> [usize; 2] {
    let (unit, threads) = (DotUnit::of(precision), rayon::current_num_threads());
    let [tile_rows, vectors] = unit.tile();
    let panel = vectors * unit.lanes();
    let share = sizes.batch * sizes.area / (2 * threads);
    let pixels = share.next_multiple_of(panel).clamp(panel, PIXELS);
    let strips = sizes.batch * sizes.area.div_ceil(pixels);
    let parts = threads.div_ceil(strips.max(1));
    let channels = sizes.outputs.div_ceil(parts);
    [channels.next_multiple_of(tile_rows), pixels]
}

/// Calls `each`, on all threads, with space that a thread's tasks share, some pixels of an image as a right factor
/// `[inputs, pixels]`, and a block of the image's output `[outputs, area]` at these pixels.
fn for_blocks(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    output: &mut [f32],
    each: impl Fn(&mut Vec<f32>, &RhsPanels, Block) + Sync,
) {
    let Sizes {
        inputs,
        outputs,
        area,
        ..
    } = sizes;
    let size = task_size(precision, sizes);
    let tasks: Vec<_> = output
        .chunks_mut(outputs * area)
        .zip(images.chunks(inputs * area))
        .flat_map(|(planes, image)| {
            let blocks = blocks(planes, area, area, size).into_iter();
            blocks.map(move |block| (image, block))
        })
        .collect();
    let tasks = tasks.into_par_iter();
    tasks.for_each_init(Vec::new, |space, (image, block)| {
        let size = [inputs, block.rows[0].len()];
        let pixels = (image, MatrixLayout::rows(area).at(block.column));
        let pixels = RhsPanels::new(precision, size, pixels, Threading::Caller);
        each(space, &pixels, block);
    });
}

/// The gradient of the weights, given that of the output.
///
/// # Shapes
/// - images: `[batch, inputs, area]`
/// - gradient: `[batch, outputs, area]`
/// - output: `[outputs, inputs]`
pub fn weight_gradient(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let rows = MatrixLayout::rows(sizes.area);
    let mut weights = vec![0.0; sizes.outputs * sizes.inputs];
    for image in 0..sizes.batch {
        let pixels = rows.at(image * sizes.inputs * sizes.area);
        multiply(
            precision,
            [sizes.outputs, sizes.area, sizes.inputs],
            (gradient, rows.at(image * sizes.outputs * sizes.area)),
            (images, pixels.transposed()),
            (&mut weights, sizes.inputs),
            image > 0,
            Threading::Pool,
        );
    }
    weights
}
