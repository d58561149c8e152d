use burn::module::Module;
use burn::nn::Gelu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use inkling_kernels::Activation;

use crate::layers::{BatchNorm2d, BatchNorm2dConfig, ConvTranspose2d};

/// Four scales from an encoder that has only one (Li et al., *Exploring plain vision transformer
/// backbones for object detection*): the shallowest map enlarged four times, the next twice, the
/// third as it is, the deepest halved. Names are those of BEiT's and EVA-02's segmentors, with
/// numbers from 1.
#[derive(Module, Debug)]
pub struct SimplePyramid {
    fpn1: (ConvTranspose2d, BatchNorm2d, Gelu, ConvTranspose2d),
    fpn2: Vec<ConvTranspose2d>,
}

impl SimplePyramid {
    /// A pyramid over maps of `channels` channels.
    pub fn new(channels: usize, device: &Device) -> Self {
        let double = || ConvTranspose2d::new([channels, channels], 2, device);
        Self {
            fpn1: (
                double(),
                BatchNorm2dConfig::new(channels).init(device),
                Gelu::new(),
                double(),
            ),
            fpn2: vec![double()],
        }
    }

    /// # Shapes
    /// - features: four maps `[batch, channels, side, side]`, shallowest first
    /// - output: `[batch, channels, side', side']` with `side'` four times, twice, once and half
    ///   of `side`
    pub fn forward(&self, features: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
        let Ok([first, second, third, fourth]) = <[Tensor<4>; 4]>::try_from(features) else {
            unreachable!("a plain encoder gives four maps");
        };
        let (double, norm, _, again) = &self.fpn1;
        let first = again.forward(norm.forward_activated(double.forward(first), Activation::Gelu));
        let second = self.fpn2.iter().fold(second, |x, double| double.forward(x));
        let halves = MaxPoolOptions::new([2, 2]).with_stride([2, 2]);
        vec![first, second, third, max_pool2d(fourth, halves)]
    }
}
