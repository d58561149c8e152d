//! Convolutions by 1 × 1 kernels: products of the weights and each image's channels.

use rayon::prelude::*;

use crate::channels::Affine;
use crate::matrix::{Left, Numbers, Panels, Place, Start, Threads, multiply, multiply_into};

/// Sizes of a pointwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Images.
    pub batch: usize,
    /// Channels of the image.
    pub inputs: usize,
    /// Channels of the result.
    pub outputs: usize,
    /// Pixels.
    pub area: usize,
}

/// Pixels of one task: some panels of the product.
const PIXELS: usize = 192;

/// The convolution.
///
/// # Shapes
/// - images: `[batch, inputs, area]`
/// - weights: `[outputs, inputs]`
/// - bias: `[outputs]`
/// - output: `[batch, outputs, area]`, and `after` it what follows
pub fn forward(
    numbers: Numbers,
    sizes: Sizes,
    images: &[f32],
    weights: &[f32],
    bias: &[f32],
    after: Option<Affine>,
) -> Vec<f32> {
    run(
        numbers,
        sizes,
        images,
        (weights, Place::rows(sizes.inputs)),
        (Some(bias), after),
    )
}

/// The gradient of the images, given that of the output.
///
/// # Shapes
/// - gradient: `[batch, outputs, area]`
/// - weights: `[outputs, inputs]`
/// - output: `[batch, inputs, area]`
pub fn image_gradient(
    numbers: Numbers,
    sizes: Sizes,
    gradient: &[f32],
    weights: &[f32],
) -> Vec<f32> {
    let reversed = Sizes {
        inputs: sizes.outputs,
        outputs: sizes.inputs,
        ..sizes
    };
    let transposed = Place::rows(sizes.inputs).transposed();
    run(
        numbers,
        reversed,
        gradient,
        (weights, transposed),
        (None, None),
    )
}

fn run(
    numbers: Numbers,
    sizes: Sizes,
    images: &[f32],
    weights: (&[f32], Place),
    (bias, after): (Option<&[f32]>, Option<Affine>),
) -> Vec<f32> {
    let Sizes {
        inputs,
        outputs,
        area,
        ..
    } = sizes;
    let mut output = vec![0.0; sizes.batch * outputs * area];
    let weights = Left::new(numbers, [outputs, inputs], weights);
    let start = bias.map_or(Start::Nothing, Start::Rows);
    let tasks: Vec<_> = output
        .chunks_mut(outputs * area)
        .zip(images.chunks(inputs * area))
        .flat_map(|(planes, image)| {
            let strips = strips(planes, area).into_iter().enumerate();
            strips.map(move |(index, strip)| (image, index * PIXELS, strip))
        })
        .collect();
    tasks.into_par_iter().for_each(|(image, first, mut strip)| {
        let size = [inputs, PIXELS.min(area - first)];
        let pixels = (image, Place::rows(area).at(first));
        let pixels = Panels::new(numbers, size, pixels, Threads::This);
        multiply_into(numbers, &weights, &pixels, &mut strip, start);
        if let Some(after) = after {
            // While the strip is at hand.
            for (channel, pixels) in strip.into_iter().enumerate() {
                after.apply(channel, pixels);
            }
        }
    });
    output
}

/// Planes cut at the same pixels: each strip has a piece of every plane.
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
    numbers: Numbers,
    sizes: Sizes,
    images: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let rows = Place::rows(sizes.area);
    let mut weights = vec![0.0; sizes.outputs * sizes.inputs];
    for image in 0..sizes.batch {
        let pixels = rows.at(image * sizes.inputs * sizes.area);
        multiply(
            numbers,
            [sizes.outputs, sizes.area, sizes.inputs],
            (gradient, rows.at(image * sizes.outputs * sizes.area)),
            (images, pixels.transposed()),
            (&mut weights, sizes.inputs),
            image > 0,
            Threads::All,
        );
    }
    weights
}
