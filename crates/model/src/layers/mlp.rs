use burn::module::Module;
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};

use super::{Linear, LinearConfig};

/// Configuration of an [`Mlp`].
#[derive(Clone, Debug)]
pub struct MlpConfig {
    features: usize,
    hidden: usize,
}

impl MlpConfig {
    /// From `features` over `hidden` back to `features`.
    pub fn new(features: usize, hidden: usize) -> Self {
        Self { features, hidden }
    }

    /// Makes the layer.
    pub fn init(&self, device: &Device) -> Mlp {
        Mlp {
            fc1: LinearConfig::new([self.features, self.hidden]).init(device),
            fc2: LinearConfig::new([self.hidden, self.features]).init(device),
        }
    }
}

/// Two linear layers with an exact GELU between; timm's `Mlp`.
#[derive(Module, Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    /// # Shapes
    /// - input and output: `[..., features]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.fc2.forward(gelu(self.fc1.forward(input)))
    }
}
