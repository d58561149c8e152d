//! A scale, a shift and an activation per channel, in one pass.

use rayon::prelude::*;

use crate::activation::{Activation, apply_serial};
use crate::vectors::vectorized;

/// Pixels that stay in the L1 cache between the multiplication and the activation.
const PIECE: usize = 4096;

/// `activation(scale · x + shift)` for each channel; what a batch norm does outside training.
#[derive(Clone, Copy, Debug)]
pub struct ChannelAffine<'a> {
    /// `[channels]`.
    pub scale: &'a [f32],
    /// `[channels]`.
    pub shift: &'a [f32],
    /// Applied to the sums, if any.
    pub activation: Option<Activation>,
}

impl ChannelAffine<'_> {
    /// Transforms some pixels of one channel in place, on this thread.
    pub fn apply(self, channel: usize, pixels: &mut [f32]) {
        let (scale, shift) = (self.scale[channel], self.shift[channel]);
        for piece in pixels.chunks_mut(PIECE) {
            vectorized(
                #[inline(always)]
                || {
                    for x in piece.iter_mut() {
                        *x = *x * scale + shift;
                    }
                },
            );
            if let Some(activation) = self.activation {
                apply_serial(piece, activation);
            }
        }
    }

    /// `sums = activation(scale · pixels + shift + sums)` for some pixels of one channel, on this thread.
    pub fn apply_onto(self, channel: usize, pixels: &[f32], sums: &mut [f32]) {
        let (scale, shift) = (self.scale[channel], self.shift[channel]);
        for (pixels, sums) in pixels.chunks(PIECE).zip(sums.chunks_mut(PIECE)) {
            vectorized(
                #[inline(always)]
                || {
                    for (sum, x) in sums.iter_mut().zip(pixels) {
                        *sum += *x * scale + shift;
                    }
                },
            );
            if let Some(activation) = self.activation {
                apply_serial(sums, activation);
            }
        }
    }

    /// Transforms all channels in place, on all threads.
    ///
    /// # Shapes
    /// - planes: `[batch, channels, area]`
    pub fn apply_to_all(self, planes: &mut [f32], area: usize) {
        let channels = self.scale.len();
        let planes = planes.par_chunks_mut(area).enumerate();
        planes.for_each(|(index, plane)| self.apply(index % channels, plane));
    }
}
