//! Convolutions by 1 × 1 kernels: products of the weights and each image's channels.

use rayon::prelude::*;

use crate::matrix::{Place, Threads, multiply};

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

/// Fewer images than this are shared by all threads, more are taken one by one.
const FEW: usize = 4;

/// The convolution.
///
/// # Shapes
/// - images: `[batch, inputs, area]`
/// - weights: `[outputs, inputs]`
/// - bias: `[outputs]`
/// - output: `[batch, outputs, area]`
pub fn forward(sizes: Sizes, images: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    run(
        sizes,
        images,
        (weights, Place::rows(sizes.inputs)),
        Some(bias),
    )
}

/// The gradient of the images, given that of the output.
///
/// # Shapes
/// - gradient: `[batch, outputs, area]`
/// - weights: `[outputs, inputs]`
/// - output: `[batch, inputs, area]`
pub fn image_gradient(sizes: Sizes, gradient: &[f32], weights: &[f32]) -> Vec<f32> {
    let reversed = Sizes {
        inputs: sizes.outputs,
        outputs: sizes.inputs,
        ..sizes
    };
    let transposed = Place::rows(sizes.inputs).transposed();
    run(reversed, gradient, (weights, transposed), None)
}

fn run(
    sizes: Sizes,
    images: &[f32],
    (weights, place): (&[f32], Place),
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let area = sizes.area;
    let mut output = vec![0.0; sizes.batch * sizes.outputs * area];
    let one = |threads| {
        move |(image, planes): (usize, &mut [f32])| {
            if let Some(bias) = bias {
                for (plane, &bias) in planes.chunks_exact_mut(area).zip(bias) {
                    plane.fill(bias);
                }
            }
            let rows = Place::rows(area);
            multiply(
                [sizes.outputs, sizes.inputs, area],
                (weights, place),
                (images, rows.at(image * sizes.inputs * area)),
                (planes, rows),
                bias.is_some(),
                threads,
            );
        }
    };
    let image = sizes.outputs * area;
    match sizes.batch {
        0..FEW => output
            .chunks_mut(image)
            .enumerate()
            .for_each(one(Threads::All)),
        _ => {
            let images = output.par_chunks_mut(image).enumerate();
            images.for_each(one(Threads::This));
        }
    }
    output
}

/// The gradient of the weights, given that of the output.
///
/// # Shapes
/// - images: `[batch, inputs, area]`
/// - gradient: `[batch, outputs, area]`
/// - output: `[outputs, inputs]`
pub fn weight_gradient(sizes: Sizes, images: &[f32], gradient: &[f32]) -> Vec<f32> {
    let rows = Place::rows(sizes.area);
    let per_task = sizes.outputs.div_ceil(8).max(16);
    let mut weights = vec![0.0; sizes.outputs * sizes.inputs];
    weights
        .par_chunks_mut(per_task * sizes.inputs)
        .enumerate()
        .for_each(|(piece, weights)| {
            for image in 0..sizes.batch {
                let first = (image * sizes.outputs + piece * per_task) * sizes.area;
                multiply(
                    [weights.len() / sizes.inputs, sizes.area, sizes.inputs],
                    (gradient, rows.at(first)),
                    (
                        images,
                        rows.at(image * sizes.inputs * sizes.area).transposed(),
                    ),
                    (&mut *weights, Place::rows(sizes.inputs)),
                    image > 0,
                    Threads::This,
                );
            }
        });
    weights
}
