//! Convolutions by 1 × 1 kernels: products of the weights and each image's channels.

use rayon::prelude::*;

use crate::matrix::{Place, multiply};

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

impl Sizes {
    /// Output channels of one task: all where there are images enough to keep threads busy.
    fn outputs_per_task(self) -> usize {
        match self.batch {
            0..4 => self.outputs.div_ceil(4).max(32),
            _ => self.outputs,
        }
        .min(self.outputs)
    }
}

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
    let per_task = sizes.outputs_per_task();
    let mut output = vec![0.0; sizes.batch * sizes.outputs * area];
    let tasks: Vec<_> = output
        .chunks_mut(sizes.outputs * area)
        .enumerate()
        .flat_map(|(image, planes)| {
            let pieces = planes.chunks_mut(per_task * area).enumerate();
            pieces.map(move |(piece, planes)| (image, piece * per_task, planes))
        })
        .collect();
    tasks.into_par_iter().for_each(|(image, first, planes)| {
        if let Some(bias) = bias {
            for (plane, &bias) in planes.chunks_exact_mut(area).zip(&bias[first..]) {
                plane.fill(bias);
            }
        }
        let rows = Place::rows(area);
        multiply(
            [planes.len() / area, sizes.inputs, area],
            (weights, place.at(first * place.row)),
            (images, rows.at(image * sizes.inputs * area)),
            (planes, rows),
            bias.is_some(),
        );
    });
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
                );
            }
        });
    weights
}
