use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, add_activated};

use super::acs_conv::AcsConv;
use super::conv3d::Conv3d;
use super::depth::Depth;
use super::{BatchNorm2d, Conv2d, Conv2dConfig};

/// A convolution of images, or of volumes whose depth is folded into the batch.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network holds few of them")]
pub enum Conv {
    /// Layers by themselves.
    Plane(Conv2d),
    /// Kernels with a depth.
    Volume(Conv3d),
    /// Kernels in three planes.
    ThreePlanes(AcsConv),
}

impl Conv2dConfig {
    /// Makes the layer for images (`None`) or for volumes.
    pub fn init_over(&self, depth: Option<Depth>, device: &Device) -> Conv {
        match depth {
            None => Conv::Plane(self.init(device)),
            // A patch embedding with another stride along depth has no planes to turn into.
            Some(depth) if depth.splits_planes && !self.is_patches_beside(depth.stride) => {
                Conv::ThreePlanes(AcsConv::new(self, depth, device))
            }
            Some(depth) => Conv::Volume(Conv3d::new(self, depth, device)),
        }
    }

    /// Whether kernels do not overlap and their side is not `stride`.
    fn is_patches_beside(&self, stride: usize) -> bool {
        let (kernel, padding) = (self.kernel(), self.padding());
        kernel > 1 && kernel == self.stride() && padding == 0 && stride != kernel
    }
}

impl Conv {
    /// # Shapes
    /// - input: `[images, inputs, height, width]`, over volumes `[batch × layers, …]`
    /// - output: `[images, outputs, height / stride, width / stride]`, over volumes `[batch × layers /
    ///   stride, …]` with the stride along depth
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Plane(conv) => conv.forward(input),
            Self::Volume(conv) => conv.forward(input),
            Self::ThreePlanes(conv) => conv.forward(input),
        }
    }

    /// [`forward`](Self::forward), a norm and an activation.
    ///
    /// # Shapes
    /// - as [`forward`](Self::forward)'s
    pub fn forward_normed(
        &self,
        input: Tensor<4>,
        norm: &BatchNorm2d,
        activation: Option<Activation>,
    ) -> Tensor<4> {
        match self {
            Self::Plane(conv) => conv.forward_normed(input, norm, activation),
            Self::Volume(conv) => norm.apply(conv.forward(input), activation),
            Self::ThreePlanes(conv) => norm.apply(conv.forward(input), activation),
        }
    }

    /// `activation(norm(forward(input)) + shortcut)`, the end of a residual block.
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
        match self {
            Self::Plane(conv) => conv.forward_normed_onto(shortcut, input, norm, activation),
            Self::Volume(_) | Self::ThreePlanes(_) => {
                add_activated(self.forward_normed(input, norm, None), shortcut, activation)
            }
        }
    }
}
