use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{
    Activation, Conv3dOptions, DepthBorder, conv2d, conv2d_before_norm, conv3d, has_kernels,
};

use super::conv2d::{Convolution, pad_same};
use super::folded::{every, folded, in_parts, parts, unfolded};
use super::normed_volume_conv::NormedVolumeConv;
use super::{BatchNorm2d, Initializer};
use crate::precision::{narrowed, widened};

/// Configuration of a [`VolumeConv`].
#[derive(Clone, Debug)]
pub struct VolumeConvConfig {
    channels: [usize; 2],
    layers: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    bias: bool,
    same: bool,
}

impl VolumeConvConfig {
    /// A convolution from `channels[0]` to `channels[1]` channels of volumes of `layers` layers, its
    /// kernel `kernel` layers deep and as many pixels wide, between half as many zeros, without bias.
    pub fn new(channels: [usize; 2], kernel: usize, layers: usize) -> Self {
        Self {
            channels,
            layers,
            kernel: [kernel; 2],
            stride: [1; 2],
            bias: false,
            same: false,
        }
    }

    /// Sets the step between outputs, in layers and in pixels.
    pub fn with_stride(mut self, stride: [usize; 2]) -> Self {
        self.stride = stride;
        self
    }

    /// Switches the bias.
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Pads as TensorFlow's `SAME` does: as little as covers the volume, what is odd behind.
    pub fn with_same_padding(mut self, same: bool) -> Self {
        self.same = same;
        self
    }

    /// Makes the layer; weights start Kaiming-normal by their outputs, biases at 0.
    pub fn init(&self, device: &Device) -> VolumeConv {
        let ([inputs, outputs], [deep, side]) = (self.channels, self.kernel);
        let std = (2.0 / (outputs * deep * side * side) as f64).sqrt();
        let shape = [outputs, inputs, deep, side, side];
        let border = match self.same {
            true => same_border(self.layers, deep, self.stride[0]),
            false => [deep / 2; 2],
        };
        let same = self.same && self.stride[1] > 1;
        VolumeConv {
            weight: Initializer::Normal { std }.init(shape, device),
            bias: self
                .bias
                .then(|| Initializer::ZEROS.init([outputs], device)),
            layers: self.layers,
            border,
            stride: self.stride,
            padding: if same { 0 } else { side / 2 },
            same,
        }
    }
}

/// What TensorFlow's `SAME` puts before and behind `size` values.
pub fn same_border(size: usize, kernel: usize, stride: usize) -> [usize; 2] {
    let missing = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
    [missing / 2, missing.div_ceil(2)]
}

/// Pixels of one 2D convolution, at least, where nothing is recorded.
const PIXELS: usize = 4096;

/// A 3D convolution between zeros of volumes whose depth is folded into the batch; `torch.nn.Conv3d`.
///
/// The kernels' [`conv3d`] computes it where it can, and no norm of running statistics is in the same pass.
/// Else it is computed by 2D convolutions: what a kernel sees in several layers becomes the input channels of
/// one, for a few layers at a time where nothing is recorded for gradients, so that the copies take little memory.
#[derive(Module, Debug)]
pub struct VolumeConv {
    /// `[outputs, inputs, depth, kernel, kernel]`.
    pub weight: Param<Tensor<5>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    layers: usize,
    /// Zeros before the first and behind the last layer.
    #[module(skip)]
    border: [usize; 2],
    #[module(skip)]
    stride: [usize; 2],
    padding: usize,
    same: bool,
}

impl VolumeConv {
    /// # Shapes
    /// - input: `[batch × layers, inputs, height, width]`
    /// - output: `[batch × layers / stride, outputs, height / stride, width / stride]`, rounded up
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
        let input = narrowed(input);
        if let (Some(options), true) = (self.conv3d_options(), has_kernels(&input)) {
            let (input, weight) = (self.padded(input), narrowed(self.weight.val()));
            return widened(conv3d(input, weight, bias, self.layers, options));
        }
        let weight = narrowed(self.plane_weight());
        widened(self.by_layers(input, |x| {
            conv(x, weight.clone(), bias.clone(), self.options())
        }))
    }

    fn padded(&self, input: Tensor<4>) -> Tensor<4> {
        let [.., side] = self.weight.dims();
        match self.same {
            true => pad_same(input, side, self.stride[1]),
            false => input,
        }
    }

    /// How [`conv3d`] computes it, if it can: with as many layers before as behind. Convolutions of layers by
    /// themselves have better kernels.
    fn conv3d_options(&self) -> Option<Conv3dOptions> {
        let [_, _, deep, ..] = self.weight.dims();
        let [before, behind] = self.border;
        let crosses_layers = deep > 1 || self.stride[0] > 1;
        (crosses_layers && before == behind).then_some(Conv3dOptions {
            depth_stride: self.stride[0],
            depth_padding: before,
            border: DepthBorder::Zeros,
            stride: self.stride[1],
            padding: self.padding,
        })
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
        self.forward_normed_then(input, norm, activation, |x| x)
    }

    /// [`forward_normed`](Self::forward_normed), and what `then` makes of each layer by itself.
    ///
    /// # Shapes
    /// - as [`forward`](Self::forward)'s, but for what `then` does
    pub fn forward_normed_then(
        &self,
        input: Tensor<4>,
        norm: &BatchNorm2d,
        activation: Option<Activation>,
        then: impl Fn(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        match self.with_norm(norm, activation, &input) {
            Some(normed) => self.by_layers(input, |seen| then(normed.plane(seen))),
            None => then(norm.apply(self.forward(input), activation)),
        }
    }

    /// With a norm that takes its running statistics, for one pass; none where it takes the batch's, or where
    /// no kernels are for what `input` is.
    pub fn with_norm(
        &self,
        norm: &BatchNorm2d,
        activation: Option<Activation>,
        input: &Tensor<4>,
    ) -> Option<NormedVolumeConv<'_>> {
        let scales = has_kernels(input).then(|| norm.running_scales(&input.device()));
        Some(NormedVolumeConv {
            scales: scales.flatten()?,
            weight: self.plane_weight(),
            bias: self.bias.as_ref().map(Param::val),
            activation,
            conv: self,
        })
    }

    /// The kernels with their layers as input channels, `[outputs, depth × inputs, kernel, kernel]`.
    fn plane_weight(&self) -> Tensor<4> {
        let [outputs, inputs, deep, height, width] = self.weight.dims();
        let weight = self.weight.val();
        let weight = match deep {
            1 => weight,
            _ => weight.permute([0, 2, 1, 3, 4]),
        };
        weight.reshape([outputs, deep * inputs, height, width])
    }

    pub(super) fn options(&self) -> ConvOptions<2> {
        ConvOptions::new([self.stride[1]; 2], [self.padding; 2], [1, 1], 1)
    }

    /// Passes what the kernels see, `[batch × some layers, depth × inputs, height, width]`, through
    /// `conv`, and gives all layers of its outputs.
    fn by_layers(&self, input: Tensor<4>, conv: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let input = self.padded(input);
        if self.sees_layers_alone() {
            return conv(input);
        }
        let [_, _, height, width] = input.dims();
        let at_once = match input.device().is_autodiff() {
            true => self.count(),
            false => self.at_once([height, width]),
        };
        let x = unfolded(input, self.layers);
        folded(in_parts(1, self.count(), at_once, |range| {
            let (reach, layers) = (self.reach(&range), range.len());
            let seen = self.seen(x.clone().narrow(1, reach.start, reach.len()), &range);
            unfolded(conv(seen), layers)
        }))
    }

    fn sees_layers_alone(&self) -> bool {
        let [_, _, deep, ..] = self.weight.dims();
        deep == 1 && self.stride[0] == 1
    }

    /// Layers of the output.
    fn count(&self) -> usize {
        self.layers.div_ceil(self.stride[0])
    }

    /// Layers of the input.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Layers of the output, of so many pixels, that are computed at once where nothing is recorded.
    pub fn at_once(&self, [height, width]: [usize; 2]) -> usize {
        (PIXELS / (height * width).max(1)).clamp(1, self.count())
    }

    /// The layers of the output, `at_once` after `at_once`.
    pub fn steps(&self, at_once: usize) -> impl Iterator<Item = Range<usize>> {
        parts(self.count(), at_once)
    }

    /// The input's layers that the kernels see for some layers of the output. There is always one: a border is
    /// thinner than the kernel.
    pub fn reach(&self, range: &Range<usize>) -> Range<usize> {
        let [first, end] = self.reach_between_zeros(range);
        let [before, _] = self.border;
        first.saturating_sub(before)..(end - before).min(self.layers)
    }

    /// [`reach`](Self::reach), begin and end, counted from the first of the border's zeros.
    fn reach_between_zeros(&self, range: &Range<usize>) -> [usize; 2] {
        let ([_, _, deep, ..], stride) = (self.weight.dims(), self.stride[0]);
        [range.start * stride, (range.end - 1) * stride + deep]
    }

    /// What the kernels see for the layers `range` of the output, given the layers of their
    /// [`reach`](Self::reach): `[batch × range, depth × inputs, height, width]`.
    pub fn seen(&self, layers: Tensor<5>, range: &Range<usize>) -> Tensor<4> {
        let [_, _, deep, _, _] = self.weight.dims();
        let reached = self.between_zeros(layers, range);
        if range.len() == 1 {
            let [batch, _, inputs, height, width] = reached.dims();
            return reached.reshape([batch, deep * inputs, height, width]);
        }
        let taps = (0..deep).map(|tap| every(reached.clone(), tap, self.stride[0], range.len()));
        folded(Tensor::cat(taps.collect(), 2))
    }

    /// The layers of a [`reach`](Self::reach), with the zeros before and behind them.
    fn between_zeros(&self, layers: Tensor<5>, range: &Range<usize>) -> Tensor<5> {
        let [first, end] = self.reach_between_zeros(range);
        let [before, _] = self.border;
        let zeros = |count: usize| {
            let [batch, _, inputs, height, width] = layers.dims();
            let shape = [batch, count, inputs, height, width];
            (count > 0).then(|| Tensor::zeros(shape, &layers.device()))
        };
        let in_front = zeros(before.saturating_sub(first));
        let behind = zeros(end.saturating_sub(before + self.layers));
        if in_front.is_none() && behind.is_none() {
            return layers;
        }
        let parts = in_front.into_iter().chain([layers]).chain(behind);
        Tensor::cat(parts.collect(), 1)
    }
}
