use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{
    Activation, add_activated, conv2d, conv2d_affine, conv2d_affine_onto, conv2d_before_norm,
    has_kernels,
};

use super::{BatchNorm2d, Initializer};
use crate::precision::{narrowed, widened};

/// Configuration of a [`Conv2d`] with a square kernel.
#[derive(Clone, Debug)]
pub struct Conv2dConfig {
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
    same: bool,
    groups: usize,
    bias: bool,
    initializer: Option<Initializer>,
}

impl Conv2dConfig {
    /// A convolution from `channels[0]` to `channels[1]` channels, padded by half its kernel,
    /// with a bias, one group and stride 1.
    pub fn new(channels: [usize; 2], kernel: usize) -> Self {
        Self {
            channels,
            kernel,
            stride: 1,
            padding: kernel / 2,
            same: false,
            groups: 1,
            bias: true,
            initializer: None,
        }
    }

    /// Sets the step between outputs, in pixels.
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    /// Sets the zeros added at each side, in pixels.
    pub fn with_padding(mut self, padding: usize) -> Self {
        self.padding = padding;
        self
    }

    /// Pads as TensorFlow's `SAME` does: as little as covers the image, the odd pixel at the
    /// bottom and the right.
    pub fn with_same_padding(mut self, same: bool) -> Self {
        // Without strides, an odd kernel's padding is even anyway.
        self.same = same && self.stride > 1;
        self
    }

    /// Sets the number of groups; as many as channels makes it depthwise.
    pub fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Switches the bias.
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Sets what the weights are drawn from; without it the normal distribution of
    /// EfficientNet, `N(0, sqrt(2 / fan_out))`, which timm uses for convolutional blocks.
    pub fn with_initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = Some(initializer);
        self
    }

    pub(super) fn channels(&self) -> [usize; 2] {
        self.channels
    }

    pub(super) fn kernel(&self) -> usize {
        self.kernel
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn padding(&self) -> usize {
        self.padding
    }

    pub(super) fn is_same(&self) -> bool {
        self.same
    }

    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    pub(super) fn has_bias(&self) -> bool {
        self.bias
    }

    pub(super) fn initializer(&self) -> Option<Initializer> {
        self.initializer
    }

    /// Makes the layer; biases start at 0.
    pub fn init(&self, device: &Device) -> Conv2d {
        let [inputs, outputs] = self.channels;
        let area = self.kernel * self.kernel;
        let fan_out = outputs / self.groups * area;
        let std = (2.0 / fan_out as f64).sqrt();
        let initializer = self.initializer.unwrap_or(Initializer::Normal { std });
        let shape = [outputs, inputs / self.groups, self.kernel, self.kernel];
        Conv2d {
            weight: initializer.init(shape, device),
            bias: self
                .bias
                .then(|| Initializer::ZEROS.init([outputs], device)),
            stride: self.stride,
            padding: if self.same { 0 } else { self.padding },
            same: self.same,
            groups: self.groups,
        }
    }
}

/// A convolution of images by a weight, a bias and options.
pub(super) type Convolution =
    fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, ConvOptions<2>) -> Tensor<4>;

/// A 2D convolution; `torch.nn.Conv2d`.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[outputs, inputs / groups, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    stride: usize,
    padding: usize,
    same: bool,
    groups: usize,
}

impl Conv2d {
    /// # Shapes
    /// - input: `[batch, inputs, height, width]`
    /// - output: `[batch, outputs, height / stride, width / stride]` (with the default padding)
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.convolved(input, conv2d)
    }

    /// [`forward`](Self::forward), where a norm follows that takes the statistics of this very output; by
    /// [`conv2d_before_norm`].
    ///
    /// # Shapes
    /// - as [`forward`](Self::forward)'s
    pub fn forward_before_norm(&self, input: Tensor<4>) -> Tensor<4> {
        self.convolved(input, conv2d_before_norm)
    }

    fn convolved(&self, input: Tensor<4>, conv: Convolution) -> Tensor<4> {
        let bias = self.bias.as_ref().map(|bias| narrowed(bias.val()));
        let (input, weight) = (narrowed(self.padded(input)), narrowed(self.weight.val()));
        widened(conv(input, weight, bias, self.options()))
    }

    /// [`forward`](Self::forward), a norm and an activation, in one pass where the norm takes its
    /// running statistics.
    ///
    /// # Shapes
    /// - as [`forward`](Self::forward)'s
    pub fn forward_normed(
        &self,
        input: Tensor<4>,
        norm: &BatchNorm2d,
        activation: Option<Activation>,
    ) -> Tensor<4> {
        let scales = norm.running_scales(&input.device());
        match scales {
            Some(scales) if has_kernels(&input) => {
                let bias = self.bias.as_ref().map(Param::val);
                let (input, weight) = (self.padded(input), self.weight.val());
                conv2d_affine(input, weight, bias, self.options(), scales, activation)
            }
            _ => norm.apply(self.forward_before_norm(input), activation),
        }
    }

    /// `activation(norm(forward(input)) + shortcut)`, the end of a residual block, in one pass where the norm
    /// takes its running statistics.
    ///
    /// # Shapes
    /// - as [`forward`](Self::forward)'s; shortcut: as the output
    pub fn forward_normed_onto(
        &self,
        shortcut: Tensor<4>,
        input: Tensor<4>,
        norm: &BatchNorm2d,
        activation: Activation,
    ) -> Tensor<4> {
        match norm.running_scales(&input.device()) {
            Some(scales) if has_kernels(&input) => {
                let bias = self.bias.as_ref().map(Param::val);
                let (input, weight) = (self.padded(input), self.weight.val());
                let (shortcut, options) = ((shortcut, 0), self.options());
                conv2d_affine_onto(shortcut, input, weight, bias, options, scales, activation)
            }
            _ => {
                let normed = norm.apply(self.forward_before_norm(input), None);
                add_activated(normed, shortcut, activation)
            }
        }
    }

    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], self.groups)
    }

    fn padded(&self, input: Tensor<4>) -> Tensor<4> {
        let [_, _, kernel, _] = self.weight.dims();
        match self.same {
            true => pad_same(input, kernel, self.stride),
            false => input,
        }
    }
}

/// Pads as TensorFlow's `SAME` does.
///
/// # Shapes
/// - input: `[images, channels, height, width]`
/// - output: `[images, channels, …, …]`
pub(super) fn pad_same(input: Tensor<4>, kernel: usize, stride: usize) -> Tensor<4> {
    let [_, _, height, width] = input.dims();
    let missing =
        |size: usize| ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
    let sides = |size| (missing(size) / 2, missing(size).div_ceil(2));
    input.pad([sides(height), sides(width)], 0.0)
}
