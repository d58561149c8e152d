//! AdamW: adaptive moments, and weights that decay by themselves.

use burn::tensor::Tensor;
use inkling_kernels::{AdamWStep, adamw};

/// `torch.optim.AdamW` (Loshchilov and Hutter 2019).
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamW {
    pub betas: [f64; 2],
    pub epsilon: f64,
    pub weight_decay: f64,
}

/// What AdamW remembers of a tensor, flattened.
#[derive(Clone)]
pub struct Moments {
    /// Moving average of the gradient.
    pub first: Tensor<1>,
    /// Moving average of its square.
    pub second: Tensor<1>,
    /// Steps that they were taken over.
    pub steps: usize,
}

impl AdamW {
    /// Moves flat `weights` against their `gradient` and gives them with the new moments.
    pub fn step(
        &self,
        rate: f64,
        weights: Tensor<1>,
        gradient: Tensor<1>,
        last: Option<Moments>,
    ) -> (Tensor<1>, Moments) {
        let Moments {
            first,
            second,
            steps,
        } = last.unwrap_or_else(|| {
            let zeros = || Tensor::zeros(gradient.dims(), &gradient.device());
            Moments {
                first: zeros(),
                second: zeros(),
                steps: 0,
            }
        });
        let steps = steps + 1;
        let [beta1, beta2] = self.betas;
        let started = |beta: f64| 1.0 - beta.powf(steps as f64);
        let step = AdamWStep {
            betas: [beta1 as f32, beta2 as f32],
            keep: (1.0 - rate * self.weight_decay) as f32,
            rate: (rate / started(beta1)) as f32,
            correction: started(beta2).sqrt() as f32,
            epsilon: self.epsilon as f32,
        };
        let [weights, first, second] = adamw(weights, gradient, [first, second], step);
        let moments = Moments {
            first,
            second,
            steps,
        };
        (weights, moments)
    }
}
