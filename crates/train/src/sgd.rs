//! Stochastic gradient descent with momentum.

use burn::tensor::Tensor;

/// `torch.optim.SGD` without dampening: the gradient, and `weight_decay` times the weight, are added to
/// `momentum` times the last direction; a step goes in the new direction or, with `nesterov`, in that
/// which the next step would begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sgd {
    pub momentum: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
}

impl Sgd {
    /// Moves flat `weights` against their `gradient` and gives them with the new direction.
    pub fn step(
        &self,
        rate: f64,
        weights: Tensor<1>,
        gradient: Tensor<1>,
        last: Option<Tensor<1>>,
    ) -> (Tensor<1>, Tensor<1>) {
        let gradient = match self.weight_decay {
            0.0 => gradient,
            decay => gradient + weights.clone() * decay,
        };
        let direction = match last {
            Some(last) => last * self.momentum + gradient.clone(),
            None => gradient.clone(),
        };
        let step = match self.nesterov {
            true => gradient + direction.clone() * self.momentum,
            false => direction.clone(),
        };
        (weights - step * rate, direction)
    }
}
