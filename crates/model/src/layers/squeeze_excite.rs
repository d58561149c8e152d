use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, activate, global_avg_pool, scale_channels};

use super::{Conv2d, Conv2dConfig};

/// Configuration of a [`SqueezeExcite`].
#[derive(Clone, Debug)]
pub struct SqueezeExciteConfig {
    channels: usize,
    reduced: usize,
}

impl SqueezeExciteConfig {
    /// Gates `channels` channels through a bottleneck of `reduced`.
    pub fn new(channels: usize, reduced: usize) -> Self {
        Self { channels, reduced }
    }

    /// Makes the layer.
    pub fn init(&self, device: &Device) -> SqueezeExcite {
        SqueezeExcite {
            fc1: Conv2dConfig::new([self.channels, self.reduced], 1).init(device),
            fc2: Conv2dConfig::new([self.reduced, self.channels], 1).init(device),
        }
    }
}

/// Channel attention (Hu et al., *Squeeze-and-excitation networks*): the channels' means pass a
/// bottleneck with SiLU, and the sigmoid of the result scales the channels.
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    fc1: Conv2d,
    fc2: Conv2d,
}

impl SqueezeExcite {
    /// # Shapes
    /// - input and output: `[batch, channels, height, width]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mean = global_avg_pool(input.clone());
        let hidden = activate(self.fc1.forward(mean), Activation::Silu);
        let gate = activate(self.fc2.forward(hidden), Activation::Sigmoid);
        scale_channels(input, gate)
    }
}
