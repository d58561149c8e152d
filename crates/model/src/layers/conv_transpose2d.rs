use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::conv_transpose2d;

use super::Initializer;
use crate::precision::{narrowed, widened};

/// A transposed convolution whose squares of `side × side` pixels do not overlap: every pixel
/// becomes a square; `torch.nn.ConvTranspose2d` with kernel and stride alike.
#[derive(Module, Debug)]
pub struct ConvTranspose2d {
    /// `[inputs, outputs, side, side]`.
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<1>>,
}

impl ConvTranspose2d {
    /// From `channels[0]` to `channels[1]` channels, PyTorch's start.
    pub fn new(channels: [usize; 2], side: usize, device: &Device) -> Self {
        let [inputs, outputs] = channels;
        // PyTorch takes the second axis for the inputs.
        let bound = 1.0 / ((outputs * side * side) as f64).sqrt();
        let uniform = Initializer::Uniform { bound };
        Self {
            weight: uniform.init([inputs, outputs, side, side], device),
            bias: uniform.init([outputs], device),
        }
    }

    /// # Shapes
    /// - input: `[batch, inputs, height, width]`
    /// - output: `[batch, outputs, height × side, width × side]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let (input, weight) = (narrowed(input), narrowed(self.weight.val()));
        let bias = narrowed(self.bias.val());
        widened(conv_transpose2d(input, weight, bias))
    }
}
