//! One factor, one summand and a function for all pixels of a channel, in one pass.

use rayon::prelude::*;

use crate::activation::{Activation, apply_here};
use crate::vectors::vectorized;

/// Pixels that stay in the nearest cache between the sum and the function.
const PIECE: usize = 4096;

/// `activation(factor · x + summand)`, in place; what a batch norm does outside training.
///
/// # Shapes
/// - planes: `[batch, channels, area]`
/// - factors, summands: `[channels]`
pub fn affine(
    planes: &mut [f32],
    area: usize,
    factors: &[f32],
    summands: &[f32],
    activation: Option<Activation>,
) {
    let channels = factors.len();
    planes
        .par_chunks_mut(area)
        .enumerate()
        .for_each(|(index, plane)| {
            let (factor, summand) = (factors[index % channels], summands[index % channels]);
            for piece in plane.chunks_mut(PIECE) {
                vectorized(
                    #[inline(always)]
                    || {
                        for x in piece.iter_mut() {
                            *x = *x * factor + summand;
                        }
                    },
                );
                if let Some(activation) = activation {
                    apply_here(piece, activation);
                }
            }
        });
}
