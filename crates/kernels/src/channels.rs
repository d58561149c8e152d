//! One factor, one summand and a function for all pixels of a channel, in one pass.

use rayon::prelude::*;

use crate::activation::{Activation, apply_here};
use crate::vectors::vectorized;

/// Pixels that stay in the nearest cache between the sum and the function.
const PIECE: usize = 4096;

/// `activation(factor · x + summand)` for each channel; what a batch norm does outside training.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// `[channels]`.
    pub factors: &'a [f32],
    /// `[channels]`.
    pub summands: &'a [f32],
    /// Of the sums.
    pub activation: Option<Activation>,
}

impl Affine<'_> {
    /// Some pixels of one channel, in place, on this thread.
    pub fn apply(self, channel: usize, pixels: &mut [f32]) {
        let (factor, summand) = (self.factors[channel], self.summands[channel]);
        for piece in pixels.chunks_mut(PIECE) {
            vectorized(
                #[inline(always)]
                || {
                    for x in piece.iter_mut() {
                        *x = *x * factor + summand;
                    }
                },
            );
            if let Some(activation) = self.activation {
                apply_here(piece, activation);
            }
        }
    }

    /// All channels, in place, on all threads.
    ///
    /// # Shapes
    /// - planes: `[batch, channels, area]`
    pub fn apply_to_all(self, planes: &mut [f32], area: usize) {
        let channels = self.factors.len();
        let planes = planes.par_chunks_mut(area).enumerate();
        planes.for_each(|(index, plane)| self.apply(index % channels, plane));
    }
}
