//! Encoders: networks that turn an image into feature maps at falling resolution. One file per
//! family, its variants as data, under timm's names.

mod maxvit;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::Error;

pub use maxvit::{MaxVit, MaxVitConfig, MaxVitShape};

/// A family of encoders: one file here, one paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Multi-axis vision transformer.
    MaxVit,
}

impl Family {
    /// The family's name as its paper writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxVit => "MaxViT",
        }
    }
}

/// What the registry knows of an encoder before it is made.
#[derive(Clone, Debug)]
pub struct EncoderInfo {
    /// timm's name.
    pub name: &'static str,
    /// The family that it belongs to.
    pub family: Family,
    /// The image size that its published weights were trained at, in pixels.
    pub image_size: usize,
    /// The licence of the published weights.
    pub licence: &'static str,
}

/// Every encoder that can be made by name.
pub fn catalogue() -> Vec<EncoderInfo> {
    maxvit::catalogue().collect()
}

/// Configuration of an [`Encoder`].
#[derive(Clone, Debug)]
pub enum EncoderConfig {
    /// See [`MaxVitConfig`].
    MaxVit(MaxVitConfig),
}

impl EncoderConfig {
    /// The encoder that timm calls `name`, for square images of `image_size` px with `inputs`
    /// channels.
    ///
    /// # Errors
    /// [`Error::UnknownEncoder`] naming the nearest one; [`Error::ImageSize`] when the encoder
    /// cannot take the size.
    pub fn named(name: &str, inputs: usize, image_size: usize) -> Result<Self, Error> {
        if let Some(config) = MaxVitConfig::named(name, inputs, image_size)? {
            return Ok(Self::MaxVit(config));
        }
        Err(Error::unknown_encoder(name))
    }

    /// Channels of the feature maps, finest first.
    pub fn channels(&self) -> Vec<usize> {
        match self {
            Self::MaxVit(config) => config.channels(),
        }
    }

    /// Stride of the deepest feature map.
    pub fn deepest_stride(&self) -> usize {
        match self {
            Self::MaxVit(_) => 32,
        }
    }

    /// Makes the encoder.
    pub fn init(&self, device: &Device) -> Encoder {
        match self {
            Self::MaxVit(config) => Encoder::MaxVit(config.init(device)),
        }
    }
}

/// An encoder of any family.
#[derive(Module, Debug)]
pub enum Encoder {
    /// See [`MaxVit`].
    MaxVit(MaxVit),
}

impl Encoder {
    /// # Shapes
    /// - input: `[batch, inputs, size, size]`
    /// - output: feature maps `[batch, channels, size / stride, size / stride]`, finest first
    pub fn forward(&self, input: Tensor<4>) -> Vec<Tensor<4>> {
        match self {
            Self::MaxVit(encoder) => encoder.forward(input),
        }
    }
}
