//! Biases of attention in shifted windows.

use burn::backend::Flex;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::dispatch::{is_final, primitive};
use crate::flex_tensors::{contiguous, from_values, values};
use crate::profile::timed;
use crate::vectors::vectorized;

/// The sum of a bias that all windows share and a mask that all heads share.
///
/// # Shapes
/// - bias: `[heads, positions, positions]`
/// - mask: `[windows, positions, positions]`
/// - output: `[windows, heads, positions, positions]`
pub fn add_window_mask(bias: Tensor<3>, mask: Tensor<3>) -> Tensor<4> {
    let device = bias.device();
    timed("position bias", &device, move || {
        if !is_final(&bias) || !is_final(&mask) {
            return bias.unsqueeze::<4>() + mask.unsqueeze_dim(1);
        }
        let [heads, positions, _] = bias.dims();
        let [windows, ..] = mask.dims();
        let square = positions * positions;
        let (bias, mask) = (contiguous(primitive(bias)), contiguous(primitive(mask)));
        let (bias, mask) = (values(&bias), values(&mask));
        let mut sums = vec![0.0; windows * heads * square];
        let tasks = sums.par_chunks_mut(square.max(1)).enumerate();
        tasks.for_each(|(task, sums)| {
            let bias = &bias[task % heads * square..][..square];
            let mask = &mask[task / heads * square..][..square];
            vectorized(
                #[inline(always)]
                || {
                    for ((sum, bias), mask) in sums.iter_mut().zip(bias).zip(mask) {
                        *sum = bias + mask;
                    }
                },
            );
        });
        let shape = [windows, heads, positions, positions];
        Tensor::from_primitive::<Flex>(from_values(sums, shape))
    })
}
