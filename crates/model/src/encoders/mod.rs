//! Encoders: networks that turn an image into feature maps at falling resolution. One file per
//! family, its variants as data, under timm's names.

mod convnext;
mod eva;
mod maxvit;
mod metaformer;
mod multiply_adds;
mod resnet;
mod swin;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::Error;

pub use convnext::{ConvNext, ConvNextConfig};
pub use eva::{Eva, EvaConfig};
pub use maxvit::{MaxVit, MaxVitConfig, MaxVitShape};
pub use metaformer::{MetaFormer, MetaFormerConfig};
pub use resnet::{ResNet, ResNetConfig};
pub use swin::{Swin, SwinConfig};

/// A family of encoders: one file here, one paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Multi-axis vision transformer.
    MaxVit,
    /// Convolutional networks in the manner of transformers, both versions.
    ConvNext,
    /// CAFormer and ConvFormer.
    MetaFormer,
    /// Residual networks.
    ResNet,
    /// Shifted-window transformers, second version.
    Swin,
    /// Plain vision transformers with rotary positions.
    Eva,
}

impl Family {
    /// The family's name as its paper writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxVit => "MaxViT",
            Self::ConvNext => "ConvNeXt",
            Self::MetaFormer => "MetaFormer",
            Self::ResNet => "ResNet",
            Self::Swin => "Swin V2",
            Self::Eva => "EVA-02",
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
    maxvit::catalogue()
        .chain(convnext::catalogue())
        .chain(metaformer::catalogue())
        .chain(resnet::catalogue())
        .chain(swin::catalogue())
        .chain(eva::catalogue())
        .collect()
}

/// Configuration of an encoder.
#[derive(Clone, Debug)]
pub enum EncoderConfig {
    /// See `MaxVitConfig`.
    MaxVit(MaxVitConfig),
    /// See `ConvNextConfig`.
    ConvNext(ConvNextConfig),
    /// See `MetaFormerConfig`.
    MetaFormer(MetaFormerConfig),
    /// See `ResNetConfig`.
    ResNet(ResNetConfig),
    /// See `SwinConfig`.
    Swin(SwinConfig),
    /// See `EvaConfig`.
    Eva(EvaConfig),
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
        if let Some(config) = ConvNextConfig::named(name, inputs, image_size)? {
            return Ok(Self::ConvNext(config));
        }
        if let Some(config) = MetaFormerConfig::named(name, inputs, image_size)? {
            return Ok(Self::MetaFormer(config));
        }
        if let Some(config) = ResNetConfig::named(name, inputs, image_size)? {
            return Ok(Self::ResNet(config));
        }
        if let Some(config) = SwinConfig::named(name, inputs, image_size)? {
            return Ok(Self::Swin(config));
        }
        if let Some(config) = EvaConfig::named(name, inputs, image_size)? {
            return Ok(Self::Eva(config));
        }
        Err(Error::unknown_encoder(name))
    }

    /// Sets the drop-path rate of the last block; earlier blocks' rates rise towards it.
    pub fn with_drop_path(self, rate: f64) -> Self {
        match self {
            Self::MaxVit(config) => Self::MaxVit(config.with_drop_path(rate)),
            Self::ConvNext(config) => Self::ConvNext(config.with_drop_path(rate)),
            Self::MetaFormer(config) => Self::MetaFormer(config.with_drop_path(rate)),
            Self::ResNet(config) => Self::ResNet(config.with_drop_path(rate)),
            Self::Swin(config) => Self::Swin(config.with_drop_path(rate)),
            Self::Eva(config) => Self::Eva(config.with_drop_path(rate)),
        }
    }

    /// Channels of the feature maps, finest first.
    pub fn channels(&self) -> Vec<usize> {
        match self {
            Self::MaxVit(config) => config.channels(),
            Self::ConvNext(config) => config.channels(),
            Self::MetaFormer(config) => config.channels(),
            Self::ResNet(config) => config.channels(),
            Self::Swin(config) => config.channels(),
            Self::Eva(config) => config.channels(),
        }
    }

    /// Whether all feature maps have one stride, so that a decoder needs a pyramid made of them.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Eva(_))
    }

    /// Multiplications, each with an addition, for one square image of `image_size` px.
    pub fn multiply_adds(&self, image_size: usize) -> u64 {
        match self {
            Self::MaxVit(config) => config.multiply_adds(image_size),
            Self::ConvNext(config) => config.multiply_adds(image_size),
            Self::MetaFormer(config) => config.multiply_adds(image_size),
            Self::ResNet(config) => config.multiply_adds(image_size),
            Self::Swin(config) => config.multiply_adds(image_size),
            Self::Eva(config) => config.multiply_adds(image_size),
        }
    }

    /// Makes the encoder.
    pub fn init(&self, device: &Device) -> Encoder {
        match self {
            Self::MaxVit(config) => Encoder::MaxVit(config.init(device)),
            Self::ConvNext(config) => Encoder::ConvNext(config.init(device)),
            Self::MetaFormer(config) => Encoder::MetaFormer(config.init(device)),
            Self::ResNet(config) => Encoder::ResNet(config.init(device)),
            Self::Swin(config) => Encoder::Swin(config.init(device)),
            Self::Eva(config) => Encoder::Eva(config.init(device)),
        }
    }
}

/// An encoder of any family.
#[derive(Module, Debug)]
pub enum Encoder {
    /// See [`MaxVit`].
    MaxVit(MaxVit),
    /// See [`ConvNext`].
    ConvNext(ConvNext),
    /// See [`MetaFormer`].
    MetaFormer(MetaFormer),
    /// See [`ResNet`].
    ResNet(ResNet),
    /// See [`Swin`].
    Swin(Swin),
    /// See [`Eva`].
    Eva(Eva),
}

impl Encoder {
    /// # Shapes
    /// - input: `[batch, inputs, size, size]`
    /// - output: feature maps `[batch, channels, size / stride, size / stride]`, finest first (EVA-02's
    ///   all have one stride)
    pub fn forward(&self, input: Tensor<4>) -> Vec<Tensor<4>> {
        let mut x = input;
        let mut features = Vec::new();
        for (stage, blocks) in self.blocks().into_iter().enumerate() {
            for block in 0..blocks {
                x = self.block(stage, block, x);
            }
            features.push(self.feature(x.clone()));
        }
        features
    }

    /// How many blocks each stage has. Every stage ends with a feature map.
    pub(crate) fn blocks(&self) -> Vec<usize> {
        match self {
            Self::MaxVit(encoder) => encoder.blocks(),
            Self::ConvNext(encoder) => encoder.blocks(),
            Self::MetaFormer(encoder) => encoder.blocks(),
            Self::ResNet(encoder) => encoder.blocks(),
            Self::Swin(encoder) => encoder.blocks(),
            Self::Eva(encoder) => encoder.blocks(),
        }
    }

    /// Whether the stem counts as the first stage.
    pub(crate) fn stem_is_stage(&self) -> bool {
        matches!(self, Self::MaxVit(_) | Self::ResNet(_))
    }

    /// What one block of a stage makes of the image (the very first block) or of what the block
    /// before it made.
    pub(crate) fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::MaxVit(encoder) => encoder.block(stage, block, input),
            Self::ConvNext(encoder) => encoder.block(stage, block, input),
            Self::MetaFormer(encoder) => encoder.block(stage, block, input),
            Self::ResNet(encoder) => encoder.block(stage, block, input),
            Self::Swin(encoder) => encoder.block(stage, block, input),
            Self::Eva(encoder) => encoder.block(stage, block, input),
        }
    }

    /// The feature map, `[batch, channels, height, width]`, that the last block of a stage made.
    pub(crate) fn feature(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::MaxVit(_) | Self::ResNet(_) => x,
            // These run channels last.
            Self::ConvNext(_) | Self::MetaFormer(_) | Self::Swin(_) => x.permute([0, 3, 1, 2]),
            Self::Eva(encoder) => encoder.feature(x),
        }
    }
}
