use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, affine, layer_norm};

use super::Initializer;

const EPSILON: f64 = 1e-5;

/// Normalisation of groups of channels over all pixels, of volumes over all layers too;
/// `torch.nn.GroupNorm`, or with one channel in each group `torch.nn.InstanceNorm2d` and
/// `InstanceNorm3d` (affine, without running statistics).
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// `[channels]`.
    pub bias: Param<Tensor<1>>,
    groups: usize,
    layers: usize,
}

impl GroupNorm {
    /// `groups` groups, which divide the `channels`, of images; epsilon 1e-5, weights 1, biases 0.
    pub fn new(groups: usize, channels: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::ONES.init([channels], device),
            bias: Initializer::ZEROS.init([channels], device),
            groups,
            layers: 1,
        }
    }

    /// Each channel by itself.
    pub fn of_instances(channels: usize, device: &Device) -> Self {
        Self::new(channels, channels, device)
    }

    /// Takes volumes of so many layers, folded into the batch.
    pub fn over(mut self, layers: usize) -> Self {
        self.layers = layers;
        self
    }

    /// The norm, and a function of its result.
    ///
    /// # Shapes
    /// - x and output: `[batch × layers, channels, height, width]`
    pub fn apply(&self, x: Tensor<4>, activation: Option<Activation>) -> Tensor<4> {
        affine(
            self.standardized(x),
            self.weight.val(),
            self.bias.val(),
            activation,
        )
    }

    fn standardized(&self, x: Tensor<4>) -> Tensor<4> {
        let [images, channels, height, width] = x.dims();
        let (batch, area) = (images / self.layers, height * width);
        let values = channels / self.groups * self.layers * area;
        let by_channel = |x: Tensor<4>| match self.layers {
            1 => x,
            _ => x.swap_dims(1, 2),
        };
        let ones = Tensor::ones([values], &x.device());
        let x = by_channel(x.reshape([batch, self.layers, channels, area]));
        let rows = x.reshape([batch * self.groups, values]);
        let rows = layer_norm(rows, ones, None, EPSILON);
        let shape = match self.layers {
            1 => [batch, 1, channels, area],
            layers => [batch, channels, layers, area],
        };
        by_channel(rows.reshape(shape)).reshape([images, channels, height, width])
    }
}
