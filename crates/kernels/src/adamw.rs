//! A step of AdamW in one pass over a tensor.

use burn::backend::Flex;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::dispatch::{is_final, primitive};
use crate::flex_tensors::{contiguous, into_owned, values};
use crate::profile::timed;
use crate::vectors::vectorized;

/// Values of a task.
const PIECE: usize = 16 << 10;

/// The numbers of one step, from which both ways compute the same (`torch.optim.AdamW`).
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// How much of the moments stays: β₁ and β₂.
    pub betas: [f32; 2],
    /// What weights are multiplied by: 1 − rate · weight decay.
    pub keep: f32,
    /// The rate, corrected for the first moment's start at 0: rate / (1 − β₁ᵗ).
    pub rate: f32,
    /// The square root of the second moment's correction: √(1 − β₂ᵗ).
    pub correction: f32,
    /// What is added to the denominator.
    pub epsilon: f32,
}

impl AdamWStep {
    #[inline(always)]
    fn apply(&self, weight: &mut f32, gradient: f32, moments: [&mut f32; 2]) {
        let [first, second] = moments;
        *first += (1.0 - self.betas[0]) * (gradient - *first);
        *second = self.betas[1] * *second + (1.0 - self.betas[1]) * gradient * gradient;
        let spread = second.sqrt() / self.correction + self.epsilon;
        *weight = self.keep * *weight - self.rate * *first / spread;
    }
}

/// Moves weights against their gradient: new weights, first and second moments.
///
/// # Shapes
/// - weights, gradient, both moments and the outputs: `[values]`
pub fn adamw(
    weights: Tensor<1>,
    gradient: Tensor<1>,
    [first, second]: [Tensor<1>; 2],
    step: AdamWStep,
) -> [Tensor<1>; 3] {
    let device = weights.device();
    timed("AdamW", &device, move || {
        let tensors = [&weights, &gradient, &first, &second];
        let fits = tensors.into_iter().all(is_final);
        match fits {
            true => fused(weights, gradient, [first, second], step),
            false => plain(weights, gradient, [first, second], step),
        }
    })
}

fn fused(
    weights: Tensor<1>,
    gradient: Tensor<1>,
    moments: [Tensor<1>; 2],
    step: AdamWStep,
) -> [Tensor<1>; 3] {
    let gradient = contiguous(primitive(gradient));
    let mut weights = into_owned(primitive(weights));
    let [mut first, mut second] = moments.map(|moment| into_owned(primitive(moment)));
    let pieces = weights
        .storage_mut::<f32>()
        .par_chunks_mut(PIECE)
        .zip(values(&gradient).par_chunks(PIECE))
        .zip(first.storage_mut::<f32>().par_chunks_mut(PIECE))
        .zip(second.storage_mut::<f32>().par_chunks_mut(PIECE));
    pieces.for_each(|(((weights, gradient), first), second)| {
        vectorized(
            #[inline(always)]
            || {
                let moments = first.iter_mut().zip(second.iter_mut());
                let values = weights.iter_mut().zip(gradient);
                for ((weight, &gradient), (first, second)) in values.zip(moments) {
                    step.apply(weight, gradient, [first, second]);
                }
            },
        );
    });
    [weights, first, second].map(Tensor::from_primitive::<Flex>)
}

fn plain(
    weights: Tensor<1>,
    gradient: Tensor<1>,
    [first, second]: [Tensor<1>; 2],
    step: AdamWStep,
) -> [Tensor<1>; 3] {
    let [beta1, beta2] = step.betas;
    let first = first.clone() + (gradient.clone() - first) * (1.0 - beta1);
    let second = second * beta2 + gradient.square() * (1.0 - beta2);
    let spread = second.clone().sqrt() / step.correction + step.epsilon;
    let weights = weights * step.keep - first.clone() * step.rate / spread;
    [weights, first, second]
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn tensor(seed: usize, count: usize) -> Tensor<1> {
        let value = |index: usize| ((index * 7_919 + seed * 104_729) % 2_003) as f32 / 2_003.0;
        let values: Vec<f32> = (0..count).map(value).collect();
        Tensor::from_floats(values.as_slice(), &Device::flex())
    }

    #[test]
    fn one_pass_is_what_tensors_compute() {
        let step = AdamWStep {
            betas: [0.9, 0.999],
            keep: 0.999,
            rate: 0.01,
            correction: 0.1,
            epsilon: 1e-8,
        };
        // Pieces, and what is left of them.
        let [weights, gradient, first, second] =
            [1, 2, 3, 4].map(|seed| tensor(seed, 2 * PIECE + 5));
        let kept = weights.clone();
        let found = adamw(
            weights.clone(),
            gradient.clone(),
            [first.clone(), second.clone()],
            step,
        );
        let expected = plain(weights, gradient, [first, second], step);
        for (found, expected) in found.into_iter().zip(expected) {
            let off = (found - expected.clone()).abs() / (expected.abs() + 1e-3);
            assert!(off.max().into_scalar::<f32>() < 1e-6);
        }
        // What others hold stays as it is.
        assert_eq!(kept.into_data(), tensor(1, 2 * PIECE + 5).into_data());
    }
}
