//! Encoders: networks that turn an image into feature maps at falling resolution. One file per
//! family, its variants as data, under timm's names; one line of the registry below names it.

mod convnext;
mod eva;
mod maxvit;
mod metaformer;
mod multiply_adds;
mod resnet;
mod swin;
mod volume_form;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{Approach, Error};

pub use convnext::{ConvNext, ConvNextConfig};
pub use eva::{Eva, EvaConfig};
pub use maxvit::{MaxVit, MaxVitConfig, MaxVitShape};
pub use metaformer::{MetaFormer, MetaFormerConfig};
pub use resnet::{ResNet, ResNetConfig};
pub use swin::{Swin, SwinConfig};
pub(crate) use volume_form::VolumeForm;

/// The configuration of a family's encoders.
pub(crate) trait EncoderFamily: Sized {
    /// What the configuration makes.
    type Encoder: StagedEncoder;

    /// The weight of the first convolution, whose inputs are the image's channels, by timm's name.
    const FIRST_CONVOLUTION: &'static str;

    /// Whether all feature maps have one stride, so that a decoder needs a pyramid made of them.
    const IS_PLAIN: bool = false;

    /// The approaches over volumes that the family's encoders can be laid over volumes for.
    const VOLUMES: &'static [Approach] = &[];

    /// The variant `name` for square images of `image_size` px with `inputs` channels; `None` if
    /// the family has no such variant.
    ///
    /// # Errors
    /// [`Error::ImageSize`] when strides or windows do not divide the image size.
    fn named(name: &str, inputs: usize, image_size: usize) -> Result<Option<Self>, Error>;

    /// Sets the drop-path rate of the last block; earlier blocks' rates rise towards it.
    fn with_drop_path(self, rate: f64) -> Self;

    /// Channels of the feature maps, finest first.
    fn channels(&self) -> Vec<usize>;

    /// Multiplications, each with an addition, for one square image of `image_size` px.
    fn multiply_adds(&self, image_size: usize) -> u64;

    /// Lays the encoder over volumes, whose depth is folded into the batch: `[batch × layers,
    /// inputs, size, size]`. Asked of families that name an approach in
    /// [`VOLUMES`](Self::VOLUMES) only.
    ///
    /// # Errors
    /// [`Error::Setting`] for what the family cannot do.
    fn over_volumes(self, _form: VolumeForm) -> Result<Self, Error> {
        Ok(self)
    }

    /// Makes the encoder.
    fn init(&self, device: &Device) -> Self::Encoder;
}

/// An encoder that is passed through block by block.
pub(crate) trait StagedEncoder {
    /// Whether the stem counts as the first stage.
    const STEM_IS_STAGE: bool = false;

    /// Whether timm groups the encoder's tensors by stage, and not by block, for layer-wise
    /// learning rates.
    const LAYERS_ARE_STAGES: bool = false;

    /// How many blocks each stage has. Every stage ends with a feature map.
    fn blocks(&self) -> Vec<usize>;

    /// What one block of a stage makes of the image (the very first block) or of what the block
    /// before it made.
    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4>;

    /// The feature map, `[batch, channels, height, width]`, that the last block of a stage made.
    fn feature(&self, x: Tensor<4>) -> Tensor<4> {
        x
    }
}

/// What a network asks of the stages that it begins with.
pub(crate) trait Stages {
    /// How many blocks each stage has. Every stage ends with a feature map.
    fn blocks(&self) -> Vec<usize>;

    /// What one block of a stage makes of the image (the very first block) or of what the block before
    /// it made.
    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4>;

    /// The feature map, `[images, channels, height, width]`, that the last block of a stage made.
    fn feature(&self, x: Tensor<4>) -> Tensor<4> {
        x
    }

    /// Whether the stem counts as the first stage.
    fn stem_is_stage(&self) -> bool {
        false
    }

    /// Whether tensors are grouped by stage, and not by block, for layer-wise learning rates.
    fn layers_are_stages(&self) -> bool {
        false
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

/// Makes the choice of families out of one line each: the module, the name that the paper has for
/// it, and the types of its configuration and its encoder.
macro_rules! families {
    ($($(#[$doc:meta])* $family:ident($config:ident) = $module:ident, $title:literal;)+) => {
        /// A family of encoders: one file here, one paper.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Family {
            $($(#[$doc])* $family,)+
        }

        impl Family {
            /// The family's name as its paper writes it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$family => $title,)+
                }
            }

            /// The approaches over volumes that the family's encoders can be part of.
            pub fn volumes(self) -> &'static [Approach] {
                match self {
                    $(Self::$family => <$config as EncoderFamily>::VOLUMES,)+
                }
            }
        }

        /// The first convolutions of all families, by timm's names.
        pub(crate) const FIRST_CONVOLUTIONS: &[&str] =
            &[$(<$config as EncoderFamily>::FIRST_CONVOLUTION,)+];

        /// Every encoder that can be made by name.
        pub fn catalogue() -> Vec<EncoderInfo> {
            let mut encoders = Vec::new();
            $(encoders.extend($module::catalogue());)+
            encoders
        }

        /// Configuration of an encoder.
        #[derive(Clone, Debug)]
        pub enum EncoderConfig {
            $($(#[$doc])* $family($config),)+
        }

        impl EncoderConfig {
            /// The encoder that timm calls `name`, for square images of `image_size` px with
            /// `inputs` channels.
            ///
            /// # Errors
            /// [`Error::UnknownEncoder`] naming the nearest one; [`Error::ImageSize`] when the
            /// encoder cannot take the size.
            pub fn named(name: &str, inputs: usize, image_size: usize) -> Result<Self, Error> {
                $(if let Some(config) = $config::named(name, inputs, image_size)? {
                    return Ok(Self::$family(config));
                })+
                Err(Error::unknown_encoder(name))
            }

            /// Sets the drop-path rate of the last block; earlier blocks' rates rise towards it.
            pub fn with_drop_path(self, rate: f64) -> Self {
                match self {
                    $(Self::$family(config) => Self::$family(config.with_drop_path(rate)),)+
                }
            }

            /// The family that the encoder belongs to.
            pub fn family(&self) -> Family {
                match self {
                    $(Self::$family(_) => Family::$family,)+
                }
            }

            /// Lays the encoder over volumes.
            ///
            /// # Errors
            /// [`Error::Setting`] for what the family cannot do.
            pub(crate) fn over_volumes(self, form: VolumeForm) -> Result<Self, Error> {
                Ok(match self {
                    $(Self::$family(config) => Self::$family(config.over_volumes(form)?),)+
                })
            }

            /// Channels of the feature maps, finest first.
            pub fn channels(&self) -> Vec<usize> {
                match self {
                    $(Self::$family(config) => config.channels(),)+
                }
            }

            /// Whether all feature maps have one stride, so that a decoder needs a pyramid made of
            /// them.
            pub fn is_plain(&self) -> bool {
                match self {
                    $(Self::$family(_) => <$config as EncoderFamily>::IS_PLAIN,)+
                }
            }

            /// Multiplications, each with an addition, for one square image of `image_size` px.
            pub fn multiply_adds(&self, image_size: usize) -> u64 {
                match self {
                    $(Self::$family(config) => config.multiply_adds(image_size),)+
                }
            }

            /// Makes the encoder.
            pub fn init(&self, device: &Device) -> Encoder {
                match self {
                    $(Self::$family(config) => Encoder::$family(config.init(device)),)+
                }
            }
        }

        /// An encoder of any family.
        #[derive(Module, Debug)]
        pub enum Encoder {
            $($(#[$doc])* $family($family),)+
        }

        impl Stages for Encoder {
            fn blocks(&self) -> Vec<usize> {
                match self {
                    $(Self::$family(encoder) => encoder.blocks(),)+
                }
            }

            fn stem_is_stage(&self) -> bool {
                match self {
                    $(Self::$family(_) => <$family as StagedEncoder>::STEM_IS_STAGE,)+
                }
            }

            fn layers_are_stages(&self) -> bool {
                match self {
                    $(Self::$family(_) => <$family as StagedEncoder>::LAYERS_ARE_STAGES,)+
                }
            }

            fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
                match self {
                    $(Self::$family(encoder) => encoder.block(stage, block, input),)+
                }
            }

            fn feature(&self, x: Tensor<4>) -> Tensor<4> {
                match self {
                    $(Self::$family(encoder) => encoder.feature(x),)+
                }
            }
        }
    };
}

families! {
    /// Multi-axis vision transformer.
    MaxVit(MaxVitConfig) = maxvit, "MaxViT";
    /// Convolutional networks in the manner of transformers, both versions.
    ConvNext(ConvNextConfig) = convnext, "ConvNeXt";
    /// CAFormer and ConvFormer.
    MetaFormer(MetaFormerConfig) = metaformer, "MetaFormer";
    /// Residual networks.
    ResNet(ResNetConfig) = resnet, "ResNet";
    /// Shifted-window transformers, second version.
    Swin(SwinConfig) = swin, "Swin V2";
    /// Plain vision transformers with rotary positions.
    Eva(EvaConfig) = eva, "EVA-02";
}
