use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, linear};

use crate::precision::{narrowed, widened};

use super::{Conv2d, Conv2dConfig, Linear, LinearConfig};

/// A linear layer over channels-last maps that some encoders keep as a 1 × 1 convolution: the same
/// numbers in a tensor of another rank, which weights files are strict about.
#[derive(Module, Debug)]
pub enum Projection {
    /// `[outputs, inputs, 1, 1]`.
    Conv(Conv2d),
    /// `[outputs, inputs]`.
    Linear(Linear),
}

impl Projection {
    /// From `features[0]` to `features[1]`, kept as a convolution or not.
    pub fn new(features: [usize; 2], as_conv: bool, device: &Device) -> Self {
        match as_conv {
            true => Self::Conv(Conv2dConfig::new(features, 1).init(device)),
            false => Self::Linear(LinearConfig::new(features).init(device)),
        }
    }

    /// [`new`](Self::new) without a bias.
    pub fn without_bias(features: [usize; 2], as_conv: bool, device: &Device) -> Self {
        match as_conv {
            true => Self::Conv(Conv2dConfig::new(features, 1).with_bias(false).init(device)),
            false => Self::Linear(LinearConfig::new(features).with_bias(false).init(device)),
        }
    }

    /// # Shapes
    /// - input: `[batch, height, width, inputs]`
    /// - output: `[batch, height, width, outputs]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.apply(input, None)
    }

    /// [`forward`](Self::forward) and a function of the result.
    ///
    /// # Shapes
    /// - input: `[batch, height, width, inputs]`
    /// - output: `[batch, height, width, outputs]`
    pub fn forward_activated(&self, input: Tensor<4>, activation: Activation) -> Tensor<4> {
        self.apply(input, Some(activation))
    }

    fn apply(&self, input: Tensor<4>, activation: Option<Activation>) -> Tensor<4> {
        match self {
            Self::Linear(layer) => layer.apply(input, activation),
            Self::Conv(conv) => {
                let [outputs, inputs, _, _] = conv.weight.dims();
                let weight = conv.weight.val().reshape([outputs, inputs]);
                let bias = conv.bias.as_ref().map(burn::module::Param::val);
                let (input, weight) = (narrowed(input), narrowed(weight));
                widened(linear(input, weight, bias.map(narrowed), activation))
            }
        }
    }
}
