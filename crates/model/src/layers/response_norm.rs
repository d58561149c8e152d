use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::grn;

use super::Initializer;

/// Configuration of a [`GlobalResponseNorm`].
#[derive(Clone, Debug)]
pub struct GlobalResponseNormConfig {
    features: usize,
}

impl GlobalResponseNormConfig {
    /// A norm over `features` features.
    pub fn new(features: usize) -> Self {
        Self { features }
    }

    /// Makes the layer; weights and biases start at 0, where it passes everything through.
    pub fn init(&self, device: &Device) -> GlobalResponseNorm {
        GlobalResponseNorm {
            weight: Initializer::ZEROS.init([self.features], device),
            bias: Initializer::ZEROS.init([self.features], device),
        }
    }
}

/// Global response normalisation (Woo et al., *ConvNeXt V2*): features compete by their norm over
/// the image.
#[derive(Module, Debug)]
pub struct GlobalResponseNorm {
    /// `[features]`.
    pub weight: Param<Tensor<1>>,
    /// `[features]`.
    pub bias: Param<Tensor<1>>,
}

impl GlobalResponseNorm {
    /// # Shapes
    /// - input and output: `[batch, height, width, features]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        grn(input, self.weight.val(), self.bias.val())
    }
}
