//! Decoders: networks that turn an encoder's feature maps back into one fine map.

mod depth_attention;
mod depth_max;
mod simple_pyramid;
mod unet;
mod upernet;

use burn::module::Module;
use burn::tensor::Tensor;

pub use depth_attention::DepthAttention;
pub use depth_max::DepthMax;
pub use simple_pyramid::SimplePyramid;
pub use unet::{Unet, UnetConfig};
pub use upernet::{UperNet, UperNetConfig};

/// A decoder of any kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network holds few of them")]
pub enum Decoder {
    /// See [`Unet`].
    Unet(Unet),
    /// See [`UperNet`].
    UperNet(UperNet),
}

impl Decoder {
    /// # Shapes
    /// - features: `[batch, channels, side, side]`, finest first
    /// - output: `[batch, channels, side', side']`; see the kinds
    pub fn forward(&self, features: Vec<Tensor<4>>) -> Tensor<4> {
        match self {
            Self::Unet(decoder) => decoder.forward(features),
            Self::UperNet(decoder) => decoder.forward(features),
        }
    }
}
