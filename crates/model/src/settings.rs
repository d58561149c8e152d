//! `[model]` in a recipe.

use serde::{Deserialize, Serialize};

use crate::approach::{Aggregation, Approach, Conversion};
use crate::encoders::{EncoderConfig, MaxVitShape, VolumeForm, catalogue};
use crate::error::Error;
use crate::layers::{DepthPadding, Scse};
use crate::network::{HybridShape, I3dShape, ResNet3dShape, TimeSformerShape};
use crate::normalization::Normalization;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
    /// What kind of network reads the volume.
    pub approach: Approach,
    /// timm's name of the encoder.
    pub encoder: String,
    /// Side of the square patch, in pixels.
    pub image_size: usize,
    /// Layers of a patch.
    pub depth: usize,
    /// Layers of a window (`approach = "2d-agg"` only); divides `depth`, unless `step` is given.
    pub window: usize,
    /// Layers from one window's first to the next's; without it windows meet without overlap
    /// (`approach = "2d-agg"` only). Divides `depth - window`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// How the logits of windows, or of layers in 3D, become one map.
    #[serde(skip_serializing_if = "is_default")]
    pub aggregation: Aggregation,
    /// How 2D weights become 3D ones. With `"acs"` it is the network's kind of convolution too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion: Option<Conversion>,
    /// 3D: layers from one output to the next where each of the encoder's feature maps gets its stride,
    /// finest first; each divides the layers that are left. Without it depth is halved wherever it is
    /// even.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth_strides: Option<Vec<usize>>,
    /// 3D: what stands beyond the first and the last layer.
    #[serde(skip_serializing_if = "is_default")]
    pub depth_padding: DepthPadding,
    /// Layers of an attention's window (`approach = "3d-swin"` only), of all where fewer are left;
    /// without it as many up to 8 as divide the layers of every stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth_window: Option<usize>,
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
    /// Share of the UperNet's features dropped before its head during training, or of what a
    /// TimeSformer's layers add, 0 to 1 (excluded).
    pub dropout: f64,
    /// Replaces the named MaxViT's shape, for networks narrower than any published one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maxvit: Option<MaxVitShape>,
    /// What intensities are brought to before the network sees them.
    #[serde(skip_serializing_if = "is_default")]
    pub normalization: Normalization,
    /// Replaces the published sizes of `approach = "hybrid"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hybrid: Option<HybridShape>,
    /// Which ResNet3D `approach = "resnet3d"` is, and what stands before and after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resnet3d: Option<ResNet3dShape>,
    /// Replaces the published sizes of `approach = "timesformer"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timesformer: Option<TimeSformerShape>,
    /// Replaces the published sizes of `approach = "i3d"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub i3d: Option<I3dShape>,
}

impl Default for ModelSettings {
    /// The reference solution's best network.
    fn default() -> Self {
        Self {
            approach: Approach::Aggregate,
            encoder: "maxvit_rmlp_base_rw_384".to_owned(),
            image_size: 384,
            depth: 18,
            window: 3,
            step: None,
            aggregation: Aggregation::Linear,
            conversion: None,
            depth_strides: None,
            depth_padding: DepthPadding::Replicate,
            depth_window: None,
            architecture: Architecture::Unet,
            decoder: vec![256, 128, 64],
            attention: None,
            pretrained: Pretrained::Random(false),
            weights: None,
            drop_path: 0.0,
            dropout: 0.1,
            maxvit: None,
            normalization: Normalization::default(),
            hybrid: None,
            resnet3d: None,
            timesformer: None,
            i3d: None,
        }
    }
}

/// Most voxels of a patch.
const MOST_VOXELS: usize = 1 << 30;
/// Largest side of a patch whose depth is to blame, in pixels.
const LARGEST_SIDE: usize = 4_096;
/// Most channels of a decoder.
const WIDEST: usize = 4_096;
/// Layers of a 3D attention's windows, if the settings name none.
const WIDEST_DEPTH_WINDOW: usize = 8;

impl ModelSettings {
    /// How many windows a patch is cut into.
    pub fn windows(&self) -> usize {
        match self.approach {
            Approach::Aggregate => self.depth.saturating_sub(self.window) / self.step() + 1,
            _ => 1,
        }
    }

    /// Layers from one window's first to the next's.
    pub(crate) fn step(&self) -> usize {
        match self.approach {
            Approach::Aggregate => self.step.unwrap_or(self.window),
            Approach::Channels => self.depth,
            _ => 1,
        }
    }

    /// Layers that the encoder sees as the channels of one image.
    pub fn inputs(&self) -> usize {
        match self.approach {
            Approach::Aggregate => self.window,
            Approach::Channels => self.depth,
            _ => 1,
        }
    }

    /// How 2D weights become the network's; none where no conversion is named and several could be
    /// meant.
    pub(crate) fn conversion(&self) -> Option<Conversion> {
        match self.approach {
            Approach::Aggregate | Approach::Channels => None,
            Approach::Volume => self.conversion,
            _ => Some(self.conversion.unwrap_or(Conversion::Repeat)),
        }
    }

    /// The encoder's configuration.
    ///
    /// # Errors
    /// Those of [`EncoderConfig::named`], and [`Error::Shape`] for an impossible `[model.maxvit]`.
    pub fn encoder_config(&self) -> Result<EncoderConfig, Error> {
        let config = EncoderConfig::named(&self.encoder, self.inputs(), self.image_size)?
            .with_drop_path(self.drop_path);
        let config = match (config, &self.maxvit) {
            (config, None) => config,
            (EncoderConfig::MaxVit(config), Some(shape)) => {
                EncoderConfig::MaxVit(config.with_shape(shape.clone())?)
            }
            _ => {
                return Err(Error::Shape {
                    encoder: "maxvit".to_owned(),
                    reason: format!("{} is no MaxViT", self.encoder),
                });
            }
        };
        if !self.approach.is_over_volumes() {
            return Ok(config);
        }
        if !config.family().volumes().contains(&self.approach) {
            return Err(Error::Setting {
                key: "encoder",
                found: format!("\"{}\"", self.encoder),
                expected: format!(
                    "one of the families {} with approach = \"{}\"",
                    families_of(self.approach).join(", "),
                    self.approach.name()
                ),
            });
        }
        let form = self.volume_form(&config)?;
        config.over_volumes(form)
    }

    /// How the encoder is laid over the patch.
    ///
    /// # Errors
    /// [`Error::Setting`] for strides or windows that do not divide what is left of the depth.
    pub(crate) fn volume_form(&self, encoder: &EncoderConfig) -> Result<VolumeForm, Error> {
        let strides = self.strides(encoder.channels().len())?;
        let mut left = self.depth;
        let layers: Vec<usize> = strides
            .iter()
            .map(|stride| {
                left /= stride;
                left
            })
            .collect();
        let fits = |window: &usize| {
            let mut whole = layers.iter().map(|&layers| (layers, (*window).min(layers)));
            whole.all(|(layers, window)| layers.is_multiple_of(window))
        };
        let widest = (1..=WIDEST_DEPTH_WINDOW).rev().find(fits).unwrap_or(1);
        Ok(VolumeForm {
            layers: self.depth,
            strides,
            padding: self.depth_padding,
            splits_planes: self.conversion == Some(Conversion::Acs),
            window: match self.approach {
                Approach::VolumeSwin => Some(self.depth_window.unwrap_or(widest)),
                _ => None,
            },
            collapses: self.approach == Approach::PseudoVolumeSwin,
        })
    }

    /// The strides along depth of `maps` feature maps.
    fn strides(&self, maps: usize) -> Result<Vec<usize>, Error> {
        let collapses = self.approach == Approach::PseudoVolumeSwin;
        let mut left = self.depth;
        let Some(strides) = &self.depth_strides else {
            let halved = (0..maps).map(|map| {
                let halves = left.is_multiple_of(2) && (map == 0 || !collapses);
                let stride = if halves { 2 } else { 1 };
                left /= stride;
                stride
            });
            return Ok(halved.collect());
        };
        let wrong = |expected: String| Error::Setting {
            key: "depth_strides",
            found: format!("{strides:?}"),
            expected,
        };
        if strides.len() != maps {
            return Err(wrong(format!(
                "{maps} strides, one for each feature map of {}",
                self.encoder
            )));
        }
        for (index, &stride) in strides.iter().enumerate() {
            if stride == 0 || !left.is_multiple_of(stride) {
                return Err(wrong(format!(
                    "stride {} of the {maps} to divide {left}, the layers that model.depth = {} \
                     leaves there",
                    index + 1,
                    self.depth
                )));
            }
            if index > 0 && stride > 1 && collapses {
                return Err(wrong(format!(
                    "1 after the first, as approach = \"{}\" leaves one layer",
                    self.approach.name()
                )));
            }
            left /= stride;
        }
        Ok(strides.clone())
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
        self.normalization.check()?;
        if self.approach.is_published() {
            return self.check_published();
        }
        self.check_windows()?;
        self.check_volume()?;
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

    fn check_published(&self) -> Result<(), Error> {
        if self.pretrained != Pretrained::Random(false) {
            return Err(Error::Setting {
                key: "pretrained",
                found: match &self.pretrained {
                    Pretrained::Random(choice) => choice.to_string(),
                    Pretrained::Source(source) => format!("\"{source}\""),
                },
                expected: format!(
                    "false with approach = \"{}\", whose weights model.weights names as a whole",
                    self.approach.name()
                ),
            });
        }
        let side = self.image_size;
        match self.approach {
            Approach::Hybrid => self.hybrid.clone().unwrap_or_default().check(side),
            Approach::ResNet3d => self.resnet3d.clone().unwrap_or_default().check(side),
            Approach::TimeSformer => self.timesformer.clone().unwrap_or_default().check(side),
            _ => self.i3d.clone().unwrap_or_default().check(side),
        }
    }

    fn check_windows(&self) -> Result<(), Error> {
        if self.approach != Approach::Aggregate {
            return Ok(());
        }
        let wrong = |key, found: usize, expected| {
            let found = found.to_string();
            Err(Error::Setting {
                key,
                found,
                expected,
            })
        };
        let (depth, window) = (self.depth, self.window);
        let Some(step) = self.step else {
            if window > 0 && depth.is_multiple_of(window) {
                return Ok(());
            }
            return wrong(
                "window",
                window,
                format!("a divisor of model.depth = {depth}"),
            );
        };
        if !(1..=depth).contains(&window) {
            return wrong("window", window, format!("1 to model.depth = {depth}"));
        }
        let rest = depth - window;
        if step == 0 || !rest.is_multiple_of(step) {
            let expected = format!("a divisor of model.depth - model.window = {rest}");
            return wrong("step", step, expected);
        }
        Ok(())
    }

    fn check_volume(&self) -> Result<(), Error> {
        let wrong = |key, found: String, expected: String| {
            Err(Error::Setting {
                key,
                found,
                expected,
            })
        };
        let approach = self.approach.name();
        let is_3d = matches!(self.approach, Approach::Volume | Approach::VolumeSwin);
        if is_3d && self.architecture != Architecture::Unet {
            let expected = format!("\"unet\" with approach = \"{approach}\"");
            return wrong("architecture", "\"upernet\"".to_owned(), expected);
        }
        let known = self.approach.conversions();
        match self.conversion {
            Some(conversion) if !known.contains(&conversion) => {
                let names = known.iter().map(|known| format!("\"{}\"", known.name()));
                let names = names.collect::<Vec<_>>().join(" or ");
                let names = if names.is_empty() {
                    "none".to_owned()
                } else {
                    names
                };
                let expected = format!("{names} with approach = \"{approach}\"");
                wrong("conversion", format!("\"{}\"", conversion.name()), expected)
            }
            _ => Ok(()),
        }
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

/// The families whose encoders an approach takes.
fn families_of(approach: Approach) -> Vec<&'static str> {
    let mut names: Vec<_> = catalogue()
        .iter()
        .filter(|info| info.family.volumes().contains(&approach))
        .map(|info| info.family.name())
        .collect();
    names.dedup();
    names
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
        let shape = MaxVitShape::narrow();
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
