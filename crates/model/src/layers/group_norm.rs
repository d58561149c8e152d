use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, activate, affine, batch_norm_train, has_kernels, layer_norm};

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
        let [images, channels, ..] = x.dims();
        let is_by_channel = self.groups == channels;
        if is_by_channel && has_kernels(&x) && (self.layers == 1 || self.layers == images) {
            return self.by_channel(x, activation);
        }
        affine(
            self.standardized(x),
            self.weight.val(),
            self.bias.val(),
            activation,
        )
    }

    /// Each channel by itself, of images or of one volume: a batch norm of one batch, whose channels are
    /// those of all images or whose images are the volume's layers.
    fn by_channel(&self, x: Tensor<4>, activation: Option<Activation>) -> Tensor<4> {
        let [images, channels, height, width] = x.dims();
        let volumes = images / self.layers;
        let by_volume = |values: Tensor<1>| match volumes {
            1 => values,
            _ => values.repeat_dim(0, volumes),
        };
        let [weight, bias] = [&self.weight, &self.bias].map(|param| by_volume(param.val()));
        let batch = x.reshape([self.layers, volumes * channels, height, width]);
        let (normed, _) = batch_norm_train(batch, weight, bias, EPSILON);
        let normed = normed.reshape([images, channels, height, width]);
        match activation {
            Some(activation) => activate(normed, activation),
            None => normed,
        }
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
