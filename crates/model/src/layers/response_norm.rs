use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::grn;

use super::Initializer;

/// Configuration of a [`GlobalResponseNorm`].
#[derive(Clone, Debug)]
pub struct GlobalResponseNormConfig {
    features: usize,
    layers: usize,
}

impl GlobalResponseNormConfig {
    /// A norm over `features` features.
    pub fn new(features: usize) -> Self {
        Self {
            features,
            layers: 1,
        }
    }

    /// Makes each `layers` images one volume.
    pub fn over(mut self, layers: usize) -> Self {
        self.layers = layers;
        self
    }

    /// Makes the layer; weights and biases start at 0, where it passes everything through.
    pub fn init(&self, device: &Device) -> GlobalResponseNorm {
        GlobalResponseNorm {
            weight: Initializer::ZEROS.init([self.features], device),
            bias: Initializer::ZEROS.init([self.features], device),
            layers: self.layers,
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
    layers: usize,
}

impl GlobalResponseNorm {
    /// # Shapes
    /// - input and output: `[batch, height, width, features]`, over volumes `[batch × layers, …]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let shape = input.dims();
        let [images, height, width, features] = shape;
        // The layers of a volume below one another are one image.
        let volumes = [images / self.layers, self.layers * height, width, features];
        let output = grn(input.reshape(volumes), self.weight.val(), self.bias.val());
        output.reshape(shape)
    }
}
