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

/// Attention in the blocks of the U-Net decoder.
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
    /// A file of weights (safetensors or PyTorch's), or a repository of the hub: `timm/NAME`.
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
    /// Layers of a window (`approach = "2d-agg"` only); divides `depth`.
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
    /// First weights of the whole network, in place of the encoder's: a run, whose best weights
    /// are meant, or a weights file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
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
            weights: None,
            drop_path: 0.0,
            dropout: 0.1,
            maxvit: None,
        }
    }
}

/// Most voxels of a patch.
const MOST_VOXELS: usize = 1 << 30;
/// Largest side of a patch whose depth is to blame, in pixels.
const LARGEST_SIDE: usize = 4_096;
/// Most channels of a decoder.
const WIDEST: usize = 4_096;

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
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |key, found: String, expected: &str| {
            Err(Error::Setting {
                key,
                found,
                expected: expected.to_owned(),
            })
        };
        if self.depth == 0 {
            return wrong("depth", "0".to_owned(), "at least 1 layer");
        }
        if self.image_size == 0 {
            return wrong("image_size", "0".to_owned(), "at least 1 pixel");
        }
        let side = self.image_size;
        let voxels = side.saturating_mul(side).saturating_mul(self.depth);
        if voxels > MOST_VOXELS {
            let (key, value) = match side > LARGEST_SIDE {
                true => ("image_size", side),
                false => ("depth", self.depth),
            };
            let expected = "a patch of at most 2^30 voxels (depth × image_size²), which take 4 GiB";
            return wrong(key, value.to_string(), expected);
        }
        let splits = self.window > 0 && self.depth.is_multiple_of(self.window);
        if self.approach == Approach::Aggregate && !splits {
            let expected = format!("a divisor of model.depth = {}", self.depth);
            return wrong("window", self.window.to_string(), &expected);
        }
        let widths = self
            .decoder
            .iter()
            .all(|width| (1..=WIDEST).contains(width));
        if !(1..=5).contains(&self.decoder.len()) || !widths {
            let shown: Vec<_> = self.decoder.iter().take(6).collect();
            let found = format!("{shown:?}");
            let expected = "one to five widths from 1 to 4,096, four times the widest published: a \
                            3 × 3 convolution between them takes 600 MB";
            return wrong("decoder", found, expected);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_reason_are_refused_by_name() {
        type Change = fn(&mut ModelSettings);
        let changes: [(&str, Change); 11] = [
            ("image_size", |s| s.image_size = 1_000_000_000),
            ("image_size", |s| s.image_size = usize::MAX),
            ("image_size", |s| s.image_size = 0),
            ("depth", |s| {
                (s.depth, s.window) = (3_000_000_000, 3);
            }),
            ("window", |s| s.window = 1_000_000_000),
            ("window", |s| s.window = 0),
            ("decoder", |s| s.decoder = vec![256, 1_000_000_000]),
            ("decoder", |s| s.decoder = vec![8; 65_536]),
            ("drop_path", |s| s.drop_path = f64::NAN),
            ("dropout", |s| s.dropout = -0.1),
            ("pretrained", |s| s.pretrained = Pretrained::Random(true)),
        ];
        for (key, change) in changes {
            let mut settings = ModelSettings::default();
            change(&mut settings);
            let message = settings.check().unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("model.{key}: found")),
                "{message}"
            );
            assert!(message.len() < 400, "{message}");
        }
        ModelSettings::default().check().unwrap();
    }

    /// Shapes are checked before a tensor is made.
    #[test]
    fn a_maxvit_beyond_reason_is_refused() {
        let shape = MaxVitShape {
            stem: [8, 8],
            channels: [8, 16, 16, 32],
            blocks: [1; 4],
            head_width: 8,
            position_hidden: 16,
            position_dropout: 0.0,
            layer_scale: None,
        };
        let named = |change: fn(&mut MaxVitShape)| {
            let mut shape = shape.clone();
            change(&mut shape);
            let settings = ModelSettings {
                maxvit: Some(shape),
                ..ModelSettings::default()
            };
            settings.encoder_config().map(|_| ())
        };
        named(|_| {}).unwrap();
        let changes: [fn(&mut MaxVitShape); 7] = [
            |shape| shape.channels[3] = 1 << 30,
            |shape| shape.stem[0] = 1_000_000_000,
            |shape| shape.blocks[2] = 65_536,
            |shape| shape.position_hidden = 1_000_000_000,
            |shape| {
                (shape.channels, shape.blocks) = ([4_096; 4], [256; 4]);
            },
            |shape| shape.layer_scale = Some(f64::NAN),
            |shape| shape.head_width = 0,
        ];
        for change in changes {
            assert!(matches!(named(change), Err(Error::Shape { .. })));
        }
    }
}
