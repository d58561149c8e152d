use burn::module::Module;
use burn::tensor::Tensor;

use super::Dropout;

/// Stochastic depth (Huang et al., *Deep networks with stochastic depth*): during training each
/// sample's residual branch is dropped with `probability`, the kept ones are scaled up.
#[derive(Module, Debug)]
pub struct DropPath {
    probability: f64,
    layers: usize,
}

impl DropPath {
    /// Drops with `probability`, in `[0, 1)`; 0 passes everything through.
    pub fn new(probability: f64) -> Self {
        Self {
            probability,
            layers: 1,
        }
    }

    /// Drops whole volumes, of which each `layers` samples are one.
    pub fn over(mut self, layers: usize) -> Self {
        self.layers = layers;
        self
    }

    /// # Shapes
    /// - input and output: `[batch, ...]`, over volumes `[batch × layers, ...]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if self.layers == 1 {
            return Dropout::of_samples(self.probability, D).forward(input);
        }
        let shape = input.dims();
        let volumes = input.reshape([(shape[0] / self.layers) as i32, -1]);
        let dropped = Dropout::of_samples(self.probability, 2).forward(volumes);
        dropped.reshape(shape)
    }
}

/// The drop probabilities of `blocks` residual blocks per stage, rising linearly from 0 at the
/// first block to `rate` at the last; timm's `calculate_drop_path_rates`.
pub fn drop_path_rates(rate: f64, blocks: &[usize]) -> Vec<Vec<f64>> {
    let last = (blocks.iter().sum::<usize>().max(2) - 1) as f64;
    let mut index = 0;
    let mut next = || {
        index += 1;
        rate * (index - 1) as f64 / last
    };
    blocks
        .iter()
        .map(|&count| (0..count).map(|_| next()).collect())
        .collect()
}
