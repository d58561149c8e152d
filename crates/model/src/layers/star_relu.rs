use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::star_relu;

use super::Initializer;

/// `scale · relu(x)² + bias`, one learnable number each (Yu et al., *MetaFormer baselines for
/// vision*).
#[derive(Module, Debug)]
pub struct StarRelu {
    scale: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl StarRelu {
    /// Makes the layer: scale 1, bias 0.
    pub fn new(device: &Device) -> Self {
        Self {
            scale: Initializer::ONES.init([1], device),
            bias: Initializer::ZEROS.init([1], device),
        }
    }

    /// # Shapes
    /// - input and output: `[...]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        star_relu(input, self.scale.val(), self.bias.val())
    }
}
