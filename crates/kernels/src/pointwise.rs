//! Convolutions by 1 × 1 kernels: products of the weights and each image `[inputs, area]`.

use rayon::prelude::*;

use crate::channel_affine::ChannelAffine;
use crate::computed::cleared;
use crate::matrix::{
    Addend, Lhs, MatrixLayout, MulPrecision, RhsPanels, StridedRows, Threading, multiply,
    multiply_into,
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
    for_strips(precision, sizes, images, output, |pixels, strip| {
        let width = strip[0].len();
        let mut products = vec![0.0; outputs * width];
        let mut rows = StridedRows::new(&mut products, width);
        let start = Addend::PerRow(bias);
        multiply_into(precision, &weights, pixels, &mut rows, start);
        let channels = products.chunks_exact(width).zip(strip).enumerate();
        for (channel, (products, sum)) in channels {
            epilogue.apply_onto(channel, products, sum);
        }
    });
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
    let start = bias.map_or(Addend::Zero, Addend::PerRow);
    for_strips(
        precision,
        sizes,
        images,
        &mut output,
        |pixels, mut strip| {
            multiply_into(precision, &weights, pixels, &mut strip, start);
            if let Some(epilogue) = epilogue {
                // While the strip is in the cache.
                for (channel, pixels) in strip.into_iter().enumerate() {
                    epilogue.apply(channel, pixels);
                }
            }
        },
    );
    output
}

/// Calls `each`, on all threads, with every strip of an image's pixels as a right factor `[inputs, pixels]`
/// and the strip of the output's planes that it belongs to.
fn for_strips(
    precision: MulPrecision,
    sizes: Sizes,
    images: &[f32],
    output: &mut [f32],
    each: impl Fn(&RhsPanels, Vec<&mut [f32]>) + Sync,
) {
    let Sizes {
        inputs,
        outputs,
        area,
        ..
    } = sizes;
    let tasks: Vec<_> = output
        .chunks_mut(outputs * area)
        .zip(images.chunks(inputs * area))
        .flat_map(|(planes, image)| {
            let strips = strips(planes, area).into_iter().enumerate();
            strips.map(move |(index, strip)| (image, index * PIXELS, strip))
        })
        .collect();
    tasks.into_par_iter().for_each(|(image, first, strip)| {
        let size = [inputs, PIXELS.min(area - first)];
        let pixels = (image, MatrixLayout::rows(area).at(first));
        let pixels = RhsPanels::new(precision, size, pixels, Threading::Caller);
        each(&pixels, strip);
    });
}

/// Cuts planes `[n, area]` into strips of [`PIXELS`] pixels: each strip has one piece of every plane.
fn strips(planes: &mut [f32], area: usize) -> Vec<Vec<&mut [f32]>> {
    let mut strips: Vec<Vec<_>> = Vec::new();
    strips.resize_with(area.div_ceil(PIXELS), Vec::new);
    for plane in planes.chunks_mut(area) {
        for (strip, piece) in strips.iter_mut().zip(plane.chunks_mut(PIXELS)) {
            strip.push(piece);
        }
    }
    strips
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
