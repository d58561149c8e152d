//! StarReLU (Yu et al., *MetaFormer baselines for vision*): `scale · max(x, 0)² + bias`.

use rayon::prelude::*;

use crate::vectors::{sum_lanes, vectorized};

/// Values of one task; fixed, so that sums do not depend on the number of threads.
const PIECE: usize = 8192;
/// Independent sums, so that they are added as vectors.
const SUMS: usize = 16;

/// `scale · max(x, 0)² + bias`, in place.
pub fn forward(values: &mut [f32], scale: f32, bias: f32) {
    values.par_chunks_mut(PIECE).for_each(|piece| {
        vectorized(
            #[inline(always)]
            || {
                for x in piece.iter_mut() {
                    // Not-a-number passes, as in PyTorch.
                    let positive = if *x < 0.0 { 0.0 } else { *x };
                    *x = scale * positive * positive + bias;
                }
            },
        );
    });
}

/// Replaces the gradients of the output by those of the arguments, and returns the gradients of scale
/// and bias.
pub fn backward(arguments: &[f32], gradients: &mut [f32], scale: f32) -> [f32; 2] {
    let pieces: Vec<[f32; 2]> = gradients
        .par_chunks_mut(PIECE)
        .zip(arguments.par_chunks(PIECE))
        .map(|(gradients, arguments)| piece_backward(arguments, gradients, scale))
        .collect();
    pieces
        .into_iter()
        .fold([0.0; 2], |[scale, bias], [by_scale, by_bias]| {
            [scale + by_scale, bias + by_bias]
        })
}

fn piece_backward(arguments: &[f32], gradients: &mut [f32], scale: f32) -> [f32; 2] {
    let mut sums = [[0.0; SUMS]; 2];
    vectorized(
        #[inline(always)]
        || {
            let groups = gradients.chunks_mut(SUMS).zip(arguments.chunks(SUMS));
            for (gradients, arguments) in groups {
                for (lane, (gradient, x)) in gradients.iter_mut().zip(arguments).enumerate() {
                    let positive = x.max(0.0);
                    sums[0][lane] += *gradient * positive * positive;
                    sums[1][lane] += *gradient;
                    *gradient *= 2.0 * scale * positive;
                }
            }
        },
    );
    sums.map(sum_lanes)
}
