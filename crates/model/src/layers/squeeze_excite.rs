use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, activate, global_avg_pool, scale_channels};

use super::folded::mean_of_volumes;
use super::{Conv2d, Conv2dConfig};

/// Configuration of a [`SqueezeExcite`].
#[derive(Clone, Debug)]
pub struct SqueezeExciteConfig {
    channels: usize,
    reduced: usize,
    layers: usize,
}

impl SqueezeExciteConfig {
    /// Gates `channels` channels through a bottleneck of `reduced`.
    pub fn new(channels: usize, reduced: usize) -> Self {
        Self {
            channels,
            reduced,
            layers: 1,
        }
    }

    /// Makes each `layers` images one volume.
    pub fn over(mut self, layers: usize) -> Self {
        self.layers = layers;
        self
    }

    /// Makes the layer.
    pub fn init(&self, device: &Device) -> SqueezeExcite {
        SqueezeExcite {
            fc1: Conv2dConfig::new([self.channels, self.reduced], 1).init(device),
            fc2: Conv2dConfig::new([self.reduced, self.channels], 1).init(device),
            layers: self.layers,
        }
    }
}

/// Channel attention (Hu et al., *Squeeze-and-excitation networks*): the channels' means pass a
/// bottleneck with SiLU, and the sigmoid of the result scales the channels.
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    fc1: Conv2d,
    fc2: Conv2d,
    layers: usize,
}

impl SqueezeExcite {
    /// # Shapes
    /// - input and output: `[batch, channels, height, width]`, over volumes `[batch × layers, …]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mean = mean_of_volumes(global_avg_pool(input.clone()), self.layers);
        let hidden = activate(self.fc1.forward(mean), Activation::Silu);
        let gate = activate(self.fc2.forward(hidden), Activation::Sigmoid);
        scale_channels(input, gate)
    }
}
