use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::{
    Activation, activate, affine, batch_norm_train, group_norm, has_kernels, is_final, layer_norm,
};

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
        let is_one_batch = self.layers == 1 || self.layers == images;
        if is_one_batch && is_final(&x) {
            return self.in_place(x, activation);
        }
        if is_one_batch && has_kernels(&x) && self.groups == channels {
            return self.by_channel(x, activation);
        }
        affine(
            self.standardized(x),
            self.weight.val(),
            self.bias.val(),
            activation,
        )
    }

    /// Groups of channels of images or of one volume, where nothing is recorded.
    fn in_place(&self, x: Tensor<4>, activation: Option<Activation>) -> Tensor<4> {
        let shape = x.dims();
        let groups = self.groups * shape[0] / self.layers;
        let (batch, scales) = self.as_one_batch(x);
        group_norm(batch, groups, scales, EPSILON, activation).reshape(shape)
    }

    /// Each channel by itself, of images or of one volume: a batch norm of one batch.
    fn by_channel(&self, x: Tensor<4>, activation: Option<Activation>) -> Tensor<4> {
        let shape = x.dims();
        let (batch, [weight, bias]) = self.as_one_batch(x);
        let (normed, _) = batch_norm_train(batch, weight, bias, EPSILON);
        let normed = normed.reshape(shape);
        match activation {
            Some(activation) => activate(normed, activation),
            None => normed,
        }
    }

    /// Images, or one volume, as a batch over all of which statistics go: its channels are those of all images, or its
    /// images are the volume's layers; with weight and bias of these channels.
    fn as_one_batch(&self, x: Tensor<4>) -> (Tensor<4>, [Tensor<1>; 2]) {
        let [images, channels, height, width] = x.dims();
        let volumes = images / self.layers;
        let scales = [&self.weight, &self.bias].map(|param| match volumes {
            1 => param.val(),
            _ => param.val().repeat_dim(0, volumes),
        });
        let batch = x.reshape([self.layers, volumes * channels, height, width]);
        (batch, scales)
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
