//! Convolutions by 1 × 1 kernels: products of the weights and each image `[inputs, area]`.

use rayon::prelude::*;

use crate::channel_affine::ChannelAffine;
use crate::computed::cleared;
use crate::matrix::{
    Addend, DotUnit, Lhs, MatrixLayout, MulPrecision, RhsPanels, StridedRows, Threading, multiply,
    multiply_into, strips,
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

/// The convolution.
///
/// # Shapes
/// - images: `[batch, inputs, area]`
/// - weights: `[outputs, inputs]`
/// - bias: `[outputs]`
/// - output: `[batch, outputs, area]`, after `epilogue`
pub fn forward(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    weights: &[f32],
    bias: &[f32],
    epilogue: Option<ChannelAffine>,
) -> Vec<f32> {
    let weights = (weights, MatrixLayout::rows(sizes.inputs));
    run(precision, sizes, images, weights, (Some(bias), epilogue))
}

/// The convolution, scaled and added to `output`, then activated: the end of a residual block, in place.
///
/// # Shapes
/// - images: `[batch, inputs, area]`
/// - weights: `[outputs, inputs]`
/// - bias: `[outputs]`
/// - output: `[batch, outputs, area]`
pub fn forward_onto(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    weights: &[f32],
    bias: &[f32],
    (output, epilogue): (&mut [f32], ChannelAffine),
) {
    let Sizes {
        inputs, outputs, ..
    } = sizes;
    let weights = (weights, MatrixLayout::rows(inputs));
    let weights = Lhs::new(precision, [outputs, inputs], weights);
    for_strips(
        precision,
        sizes,
        images,
        output,
        |products, pixels, strip| {
            let width = strip[0].len();
            products.resize(outputs * width, 0.0);
            let mut rows = StridedRows::new(products, width);
            let start = Addend::PerRow(bias);
            multiply_into(precision, &weights, pixels, &mut rows, start);
            let channels = products.chunks_exact(width).zip(strip).enumerate();
            for (channel, (products, sum)) in channels {
                epilogue.apply_onto(channel, products, sum);
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
    run(
        precision,
        reversed,
        gradient,
        (weights, transposed),
        (None, None),
    )
}

fn run(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    weights: (&[f32], MatrixLayout),
    (bias, epilogue): (Option<&[f32]>, Option<ChannelAffine>),
) -> Vec<f32> {
    let mut output = cleared(sizes.batch * sizes.outputs * sizes.area);
    let weights = Lhs::new(precision, [sizes.outputs, sizes.inputs], weights);
    let channels = channels_of_a_task(precision, sizes);
    for_strips(
        precision,
        sizes,
        images,
        &mut output,
        |_, pixels, mut strip| {
            let pieces = strip.par_chunks_mut(channels).enumerate();
            pieces.for_each(|(piece, mut strip)| {
                let first = piece * channels;
                let weights = weights.part(first..first + strip.len());
                let start = bias.map_or(Addend::Zero, |bias| Addend::PerRow(&bias[first..]));
                multiply_into(precision, &weights, pixels, &mut strip, start);
                if let Some(epilogue) = epilogue {
                    // While the strip is in the cache.
                    for (channel, pixels) in strip.iter_mut().enumerate() {
                        epilogue.apply(first + channel, pixels);
                    }
                }
            });
        },
    );
    output
}

/// [`PIXELS`], or whole panels of fewer where threads would go without a task; sums do not depend on it.
fn pixels_of_a_task(precision: MulPrecision, sizes: Sizes) -> usize {
    let unit = DotUnit::of(precision);
    let [_, vectors] = unit.tile();
    let share = sizes.batch * sizes.area / (2 * rayon::current_num_threads());
    let panel = vectors * unit.lanes();
    share.next_multiple_of(panel).clamp(panel, PIXELS)
}

/// All output channels, or whole register tiles of fewer where threads would still go without a task.
fn channels_of_a_task(precision: MulPrecision, sizes: Sizes) -> usize {
    let [tile_rows, _] = DotUnit::of(precision).tile();
    let strips = sizes.batch * sizes.area.div_ceil(pixels_of_a_task(precision, sizes));
    let parts = rayon::current_num_threads().div_ceil(strips.max(1));
    sizes.outputs.div_ceil(parts).next_multiple_of(tile_rows)
}

/// Calls `each`, on all threads, with space that a thread's strips share, every strip of an image's pixels as a right
/// factor `[inputs, pixels]`, and the strip of the output's planes that it belongs to.
fn for_strips(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    output: &mut [f32],
    each: impl Fn(&mut Vec<f32>, &RhsPanels, Vec<&mut [f32]>) + Sync,
) {
    let Sizes {
        inputs,
        outputs,
        area,
        ..
    } = sizes;
    let pixels = pixels_of_a_task(precision, sizes);
    let tasks: Vec<_> = output
        .chunks_mut(outputs * area)
        .zip(images.chunks(inputs * area))
        .flat_map(|(planes, image)| {
            let strips = strips(planes, area, area, pixels).into_iter().enumerate();
            strips.map(move |(index, strip)| (image, index * pixels, strip))
        })
        .collect();
    let tasks = tasks.into_par_iter();
    tasks.for_each_init(Vec::new, |space, (image, first, strip)| {
        let size = [inputs, pixels.min(area - first)];
        let pixels = (image, MatrixLayout::rows(area).at(first));
        let pixels = RhsPanels::new(precision, size, pixels, Threading::Caller);
        each(space, &pixels, strip);
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
