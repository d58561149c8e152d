use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, GateHalf, glu};

use super::{LayerNorm, LayerNormConfig, Linear, LinearConfig};

/// Configuration of a [`SwiGlu`].
#[derive(Clone, Debug)]
pub struct SwiGluConfig {
    features: usize,
    hidden: usize,
    split: bool,
}

impl SwiGluConfig {
    /// From `features` over `hidden` back to `features`, gate and value in one tensor.
    pub fn new(features: usize, hidden: usize) -> Self {
        Self {
            features,
            hidden,
            split: false,
        }
    }

    /// Keeps gate and value in two tensors, and normalises their product.
    pub fn with_split(mut self, split: bool) -> Self {
        self.split = split;
        self
    }

    /// Makes the layer, `fc2`'s weights divided by `damping`.
    pub fn init(&self, damping: f64, device: &Device) -> SwiGlu {
        let fc2 = LinearConfig::new([self.hidden, self.features])
            .with_spread(0.02 / damping)
            .init(device);
        let first = |outputs| {
            LinearConfig::new([self.features, outputs])
                .with_spread(0.02)
                .init(device)
        };
        match self.split {
            false => SwiGlu::Packed(PackedSwiGlu {
                fc1: first(2 * self.hidden),
                fc2,
            }),
            true => SwiGlu::Split(SplitSwiGlu {
                fc1_g: first(self.hidden),
                fc1_x: first(self.hidden),
                norm: LayerNormConfig::new(self.hidden).init(device),
                fc2,
            }),
        }
    }
}

/// A linear layer, gated by SiLU of another, then back (Shazeer, *GLU variants improve
/// transformer*).
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network holds few of them")]
pub enum SwiGlu {
    /// timm's `GluMlp` with the gate first.
    Packed(PackedSwiGlu),
    /// timm's `SwiGLU` with a norm.
    Split(SplitSwiGlu),
}

impl SwiGlu {
    /// # Shapes
    /// - input and output: `[..., features]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Packed(layer) => layer.forward(input),
            Self::Split(layer) => layer.forward(input),
        }
    }
}

/// See [`SwiGlu::Packed`].
#[derive(Module, Debug)]
pub struct PackedSwiGlu {
    fc1: Linear,
    fc2: Linear,
}

impl PackedSwiGlu {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let both = self.fc1.forward(input);
        self.fc2
            .forward(glu(both, Activation::Silu, GateHalf::First))
    }
}

/// See [`SwiGlu::Split`].
#[derive(Module, Debug)]
pub struct SplitSwiGlu {
    fc1_g: Linear,
    fc1_x: Linear,
    norm: LayerNorm,
    fc2: Linear,
}

impl SplitSwiGlu {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let gate = self
            .fc1_g
            .forward_activated(input.clone(), Activation::Silu);
        let product = gate * self.fc1_x.forward(input);
        self.fc2.forward(self.norm.forward(product))
    }
}
