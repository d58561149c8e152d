use serde::{Deserialize, Serialize};

use crate::Error;
use crate::encoders::{EncoderConfig, MaxVitShape};
use crate::layers::Scse;

/// How a 2D network reads a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Approach {
    /// The network sees windows of consecutive layers one by one; their logits are combined
    /// linearly. The write-up's best.
    #[serde(rename = "2d-agg")]
    Aggregate,
    /// All layers are the channels of one image ("2.5D").
    #[serde(rename = "2d")]
    Channels,
}

/// How the feature maps become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Block by block to finer maps, beside the encoder's; logits enlarged by nearest neighbour.
    Unet,
    /// Pyramid pooling and a feature pyramid, one width for all; logits enlarged bilinearly.
    UperNet,
}

/// What the decoder's blocks look through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Attention {
    /// Concurrent spatial and channel squeeze and excitation.
    Scse,
}

/// Where an encoder's first weights come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Pretrained {
    /// `false`: random ones. (`true` means nothing here and is refused.)
    Random(bool),
    /// A file of weights.
    Source(String),
}

/// `[model]` in the settings. A file alone describes a network completely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSettings {
    /// How the volume is shown to the network.
    pub approach: Approach,
    /// timm's name of the encoder.
    pub encoder: String,
    /// Side of the square patch, in pixels.
    pub image_size: usize,
    /// Layers of a patch.
    pub depth: usize,
    /// Layers of a window ([`Approach::Aggregate`] only); divides `depth`.
    pub window: usize,
    /// How the feature maps become one.
    pub architecture: Architecture,
    /// Output channels of the U-Net's blocks, coarsest first, or the UperNet's one width.
    pub decoder: Vec<usize>,
    /// Attention in the U-Net's blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<Attention>,
    /// Where the encoder's first weights come from.
    pub pretrained: Pretrained,
    /// Drop-path rate of the encoder's last block, 0 to 1 (excluded).
    pub drop_path: f64,
    /// Share of the UperNet's features dropped before its head during training, 0 to 1 (excluded).
    pub dropout: f64,
    /// Replaces the named MaxViT's shape, for networks narrower than any published one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maxvit: Option<MaxVitShape>,
}

impl Default for ModelSettings {
    /// The write-up's best network.
    fn default() -> Self {
        Self {
            approach: Approach::Aggregate,
            encoder: "maxvit_rmlp_base_rw_384".to_owned(),
            image_size: 384,
            depth: 18,
            window: 3,
            architecture: Architecture::Unet,
            decoder: vec![256, 128, 64],
            attention: None,
            pretrained: Pretrained::Random(false),
            drop_path: 0.0,
            dropout: 0.1,
            maxvit: None,
        }
    }
}

impl ModelSettings {
    /// How many windows a patch is cut into.
    pub fn windows(&self) -> usize {
        match self.approach {
            Approach::Aggregate => self.depth / self.window,
            Approach::Channels => 1,
        }
    }

    /// Layers that the encoder sees at once, its input channels.
    pub fn inputs(&self) -> usize {
        match self.approach {
            Approach::Aggregate => self.window,
            Approach::Channels => self.depth,
        }
    }

    /// The encoder's configuration.
    ///
    /// # Errors
    /// Those of [`EncoderConfig::named`], and [`Error::Shape`] for an impossible `[model.maxvit]`.
    pub fn encoder_config(&self) -> Result<EncoderConfig, Error> {
        let config = EncoderConfig::named(&self.encoder, self.inputs(), self.image_size)?
            .with_drop_path(self.drop_path);
        match (config, &self.maxvit) {
            (config, None) => Ok(config),
            (EncoderConfig::MaxVit(config), Some(shape)) => {
                Ok(EncoderConfig::MaxVit(config.with_shape(shape.clone())?))
            }
            _ => Err(Error::Shape {
                encoder: "maxvit".to_owned(),
                reason: format!("{} is no MaxViT", self.encoder),
            }),
        }
    }

    /// Checks everything that does not need the encoder.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |key, found: String, expected: &str| {
            Err(Error::Setting {
                key,
                found,
                expected: expected.to_owned(),
            })
        };
        if self.depth == 0 {
            return wrong("depth", "0".to_owned(), "at least one layer");
        }
        let splits = self.window > 0 && self.depth.is_multiple_of(self.window);
        if self.approach == Approach::Aggregate && !splits {
            let expected = format!("a divisor of model.depth = {}", self.depth);
            return wrong("window", self.window.to_string(), &expected);
        }
        if self.decoder.is_empty() || self.decoder.len() > 5 || self.decoder.contains(&0) {
            let found = format!("{:?}", self.decoder);
            return wrong("decoder", found, "one to five widths above 0");
        }
        if self.architecture == Architecture::UperNet && self.decoder.len() != 1 {
            let found = format!("{:?}", self.decoder);
            return wrong(
                "decoder",
                found,
                "one width, as architecture is \"upernet\"",
            );
        }
        self.check_attention()?;
        if !(0.0..1.0).contains(&self.drop_path) {
            let found = self.drop_path.to_string();
            return wrong("drop_path", found, "a number in [0, 1)");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let found = self.dropout.to_string();
            return wrong("dropout", found, "a number in [0, 1)");
        }
        if self.pretrained == Pretrained::Random(true) {
            let expected = "false, or the path of a weights file";
            return wrong("pretrained", "true".to_owned(), expected);
        }
        Ok(())
    }

    fn check_attention(&self) -> Result<(), Error> {
        let wrong = |key, found: String, expected: String| {
            Err(Error::Setting {
                key,
                found,
                expected,
            })
        };
        if self.attention.is_none() {
            return Ok(());
        }
        if self.architecture != Architecture::Unet {
            let found = "\"scse\"".to_owned();
            return wrong("attention", found, "none beside an UperNet".to_owned());
        }
        if self.decoder.iter().any(|&width| width < Scse::NARROWEST) {
            let found = format!("{:?}", self.decoder);
            let expected = format!("widths from {} up with scse", Scse::NARROWEST);
            return wrong("decoder", found, expected);
        }
        Ok(())
    }
}
