use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::layer_norm;

use super::Initializer;

/// Configuration of a [`LayerNorm`].
#[derive(Clone, Debug)]
pub struct LayerNormConfig {
    features: usize,
    epsilon: f64,
    bias: bool,
}

impl LayerNormConfig {
    /// A norm over the last `features` values, epsilon 1e-6 as timm's encoders have it.
    pub fn new(features: usize) -> Self {
        Self {
            features,
            epsilon: 1e-6,
            bias: true,
        }
    }

    /// Sets what is added to the variance.
    pub fn with_epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Switches the bias.
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Makes the layer: weights 1, biases 0.
    pub fn init(&self, device: &Device) -> LayerNorm {
        LayerNorm {
            weight: Initializer::ONES.init([self.features], device),
            bias: self
                .bias
                .then(|| Initializer::ZEROS.init([self.features], device)),
            epsilon: self.epsilon,
        }
    }
}

/// Normalisation over the last axis; `torch.nn.LayerNorm`.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[features]`.
    pub weight: Param<Tensor<1>>,
    /// `[features]`.
    pub bias: Option<Param<Tensor<1>>>,
    epsilon: f64,
}

impl LayerNorm {
    /// # Shapes
    /// - input and output: `[..., features]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        layer_norm(
            input,
            self.weight.val(),
            self.bias.as_ref().map(Param::val),
            self.epsilon,
        )
    }
}
