#![allow(non_snake_case, reason = "the tensors' names in weights files")]

use burn::module::Module;
use burn::nn::Relu;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, activate};

use super::folded::mean_of_volumes;
use super::{Conv2d, Conv2dConfig, Initializer};

/// How much narrower the bottleneck of the channels' gate is.
const REDUCTION: usize = 16;

/// Concurrent spatial and channel attention (Roy et al., 2018): the map scaled by a gate per
/// channel, plus the map scaled by a gate per pixel; segmentation_models_pytorch's `scse`, down to
/// its names.
#[derive(Module, Debug)]
pub struct Scse {
    attention: Gates,
    layers: usize,
}

#[derive(Module, Debug)]
struct Gates {
    cSE: (AdaptiveAvgPool2d, Conv2d, Relu, Conv2d),
    sSE: Vec<Conv2d>,
}

impl Scse {
    /// Fewer channels leave nothing of the bottleneck.
    pub const NARROWEST: usize = REDUCTION;

    /// Attention over maps of `channels` channels, at least [`NARROWEST`](Self::NARROWEST).
    pub fn new(channels: usize, device: &Device) -> Self {
        let conv = |inputs, outputs| {
            Conv2dConfig::new([inputs, outputs], 1)
                .with_initializer(Initializer::KaimingUniform {
                    gain: std::f64::consts::SQRT_2,
                })
                .init(device)
        };
        let reduced = channels / REDUCTION;
        Self {
            attention: Gates {
                cSE: (
                    AdaptiveAvgPool2dConfig::new([1, 1]).init(),
                    conv(channels, reduced),
                    Relu::new(),
                    conv(reduced, channels),
                ),
                sSE: vec![conv(channels, 1)],
            },
            layers: 1,
        }
    }

    /// Makes each `layers` images one volume.
    pub fn over(mut self, layers: usize) -> Self {
        self.layers = layers;
        self
    }

    /// # Shapes
    /// - input and output: `[batch, channels, height, width]`, over volumes `[batch × layers, …]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let (pool, squeeze, relu, excite) = &self.attention.cSE;
        let mean = mean_of_volumes(pool.forward(input.clone()), self.layers);
        let hidden = relu.forward(squeeze.forward(mean));
        let channels = activate(excite.forward(hidden), Activation::Sigmoid);
        let scores = self
            .attention
            .sSE
            .iter()
            .fold(input.clone(), |x, conv| conv.forward(x));
        input.clone() * channels + input * activate(scores, Activation::Sigmoid)
    }
}
