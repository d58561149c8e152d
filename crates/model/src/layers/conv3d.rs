use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Conv3dOptions, conv2d, conv3d, has_kernels};

use super::conv2d::pad_same;
use super::depth::Depth;
use super::folded::{DepthPadding, every, folded};
use super::{Conv2dConfig, Initializer};
use crate::precision::{narrowed, widened};

/// A 3D convolution of volumes whose depth is folded into the batch; `torch.nn.Conv3d`.
///
/// Without the kernels' [`conv3d`], and where kernels meet without overlap, it is one 2D convolution: what a
/// kernel sees in several layers becomes the input channels of one.
#[derive(Module, Debug)]
pub struct Conv3d {
    /// `[outputs, inputs / groups, depth, kernel, kernel]`.
    pub weight: Param<Tensor<5>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    layers: usize,
    depth_stride: usize,
    /// Whether kernels meet without overlap.
    is_patches: bool,
    #[module(skip)]
    depth_padding: DepthPadding,
    stride: usize,
    padding: usize,
    same: bool,
    groups: usize,
}

impl Conv3d {
    /// A kernel of the plane made as deep as it is wide; as deep as the stride along depth, if
    /// kernels do not overlap.
    pub(super) fn new(config: &Conv2dConfig, depth: Depth, device: &Device) -> Self {
        let [inputs, outputs] = config.channels();
        let (kernel, groups) = (config.kernel(), config.groups());
        let patches = kernel > 1 && kernel == config.stride() && config.padding() == 0;
        let deep = if patches { depth.stride } else { kernel };
        let fan_out = outputs / groups * kernel * kernel * deep;
        let std = (2.0 / fan_out as f64).sqrt();
        let initializer = config.initializer().unwrap_or(Initializer::Normal { std });
        let shape = [outputs, inputs / groups, deep, kernel, kernel];
        Self {
            weight: initializer.init(shape, device),
            bias: config
                .has_bias()
                .then(|| Initializer::ZEROS.init([outputs], device)),
            layers: depth.layers,
            depth_stride: depth.stride,
            is_patches: patches,
            depth_padding: depth.padding,
            stride: config.stride(),
            padding: if config.is_same() {
                0
            } else {
                config.padding()
            },
            same: config.is_same(),
            groups,
        }
    }

    /// # Shapes
    /// - input: `[batch × layers, inputs, height, width]`
    /// - output: `[batch × layers / depth stride, outputs, height / stride, width / stride]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(|bias| narrowed(bias.val()));
        let (input, weight) = (narrowed(self.padded(input)), narrowed(self.weight.val()));
        widened(match self.groups {
            1 => self.dense(input, weight, bias),
            _ => self.depthwise(input, weight, bias),
        })
    }

    fn padded(&self, input: Tensor<4>) -> Tensor<4> {
        let [.., kernel] = self.weight.dims();
        match self.same {
            true => pad_same(input, kernel, self.stride),
            false => input,
        }
    }

    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], self.groups)
    }

    /// All channels with all: the layers that a kernel sees side by side as channels.
    fn dense(&self, input: Tensor<4>, weight: Tensor<5>, bias: Option<Tensor<1>>) -> Tensor<4> {
        let [outputs, inputs, deep, height, width] = weight.dims();
        let crosses_layers = deep > 1 || self.depth_stride > 1;
        if crosses_layers && !self.is_patches && has_kernels(&input) {
            let options = Conv3dOptions {
                depth_stride: self.depth_stride,
                depth_padding: deep / 2,
                border: self.depth_padding.border(),
                stride: self.stride,
                padding: self.padding,
            };
            return conv3d(input, weight, bias, self.layers, options);
        }
        let weight = weight.permute([0, 2, 1, 3, 4]);
        let weight = weight.reshape([outputs, deep * inputs, height, width]);
        conv2d(self.side_by_side(input, deep), weight, bias, self.options())
    }

    /// `[batch × layers, inputs, height, width]` to `[batch × layers / depth stride, deep × inputs,
    /// height, width]`.
    fn side_by_side(&self, input: Tensor<4>, deep: usize) -> Tensor<4> {
        if !self.is_patches && deep * self.depth_stride != 1 {
            return folded(Tensor::cat(self.taps(input, deep), 2));
        }
        // Kernels that meet without overlap.
        let [images, inputs, height, width] = input.dims();
        input.reshape([images / deep, deep * inputs, height, width])
    }

    /// Each channel by itself: one 2D convolution per layer of the kernels, and their sum.
    fn depthwise(&self, input: Tensor<4>, weight: Tensor<5>, bias: Option<Tensor<1>>) -> Tensor<4> {
        let [outputs, inputs, deep, height, width] = weight.dims();
        let taps = self.taps(input, deep);
        let each = taps.into_iter().enumerate().map(|(tap, x)| {
            let plane = weight.clone().narrow(2, tap, 1);
            let plane = plane.reshape([outputs, inputs, height, width]);
            let bias = bias.clone().filter(|_| tap == 0);
            conv2d(folded(x), plane, bias, self.options())
        });
        each.reduce(inkling_kernels::add)
            .expect("kernels have a layer")
    }

    /// The layers that each layer of the kernels meets: `[batch, layers / depth stride, inputs, height,
    /// width]` for each.
    fn taps(&self, input: Tensor<4>, deep: usize) -> Vec<Tensor<5>> {
        let (layers, stride) = (self.layers, self.depth_stride);
        let border = if self.is_patches { 0 } else { deep / 2 };
        let padded = self.depth_padding.pad(input, layers, [border, border]);
        let tap = |tap| every(padded.clone(), tap, stride, layers / stride);
        (0..deep).map(tap).collect()
    }
}
