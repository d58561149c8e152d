use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::Initializer;

/// Configuration of a [`LayerScale`].
#[derive(Clone, Debug)]
pub struct LayerScaleConfig {
    features: usize,
    start: f64,
}

impl LayerScaleConfig {
    /// A scale per feature, all starting at `start`.
    pub fn new(features: usize, start: f64) -> Self {
        Self { features, start }
    }

    /// Makes the layer.
    pub fn init(&self, device: &Device) -> LayerScale {
        let start = Initializer::Constant(self.start);
        LayerScale {
            gamma: start.init([self.features], device),
        }
    }
}

/// A learnable factor per feature on a residual branch (Touvron et al., *Going deeper with image
/// transformers*), which multiplies the branch as it is added.
#[derive(Module, Debug)]
pub struct LayerScale {
    /// `[features]`.
    pub gamma: Param<Tensor<1>>,
}
