use burn::module::Module;
use burn::tensor::{Device, Tensor};

use inkling_kernels::Activation;

use super::{Linear, LinearConfig};

/// Configuration of an [`Mlp`].
#[derive(Clone, Debug)]
pub struct MlpConfig {
    features: usize,
    hidden: usize,
    activation: Activation,
}

impl MlpConfig {
    /// From `features` over `hidden` back to `features`.
    pub fn new(features: usize, hidden: usize) -> Self {
        Self {
            features,
            hidden,
            activation: Activation::Gelu,
        }
    }

    /// Sets what stands between the layers.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Makes the layer.
    pub fn init(&self, device: &Device) -> Mlp {
        Mlp {
            fc1: LinearConfig::new([self.features, self.hidden]).init(device),
            fc2: LinearConfig::new([self.hidden, self.features]).init(device),
            activation: self.activation,
        }
    }
}

/// Two linear layers with an activation (exact GELU, unless told otherwise) between; timm's `Mlp`.
#[derive(Module, Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    /// # Shapes
    /// - input and output: `[..., features]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let hidden = self.fc1.forward_activated(input, self.activation);
        self.fc2.forward(hidden)
    }
}
