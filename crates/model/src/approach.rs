//! The ways in which a volume goes through a network.

use serde::{Deserialize, Serialize};

/// What kind of network reads a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Approach {
    /// A 2D network sees windows of consecutive layers one by one; their logits are combined. The
    /// reference solution's best.
    #[serde(rename = "2d-agg")]
    Aggregate,
    /// All layers are the channels of one image ("2.5D").
    #[serde(rename = "2d")]
    Channels,
    /// A 2D encoder whose convolutions were turned 3D, and a 3D U-Net decoder; the layers' logits are
    /// combined.
    #[serde(rename = "3d")]
    Volume,
    /// Swin V2 with windows that have a depth and are shifted along it too, and a 3D U-Net decoder; the
    /// layers' logits are combined.
    #[serde(rename = "3d-swin")]
    VolumeSwin,
    /// Swin V2 whose first block attends across all layers and leaves their mean; what follows, the
    /// decoder too, is 2D.
    #[serde(rename = "pseudo-3d-swin")]
    PseudoVolumeSwin,
    /// The community's network for ~9 µm: a 3D stem, attention over depth, and a residual 2D U-Net.
    #[serde(rename = "hybrid")]
    Hybrid,
    /// The community's network for ~2 µm and others: a ResNet whose kernels have a depth.
    #[serde(rename = "resnet3d")]
    ResNet3d,
    /// The Vesuvius Grand Prize's first: attention over depth and over places by turns.
    #[serde(rename = "timesformer")]
    TimeSformer,
    /// The Grand Prize's third: Inception whose kernels have a depth.
    #[serde(rename = "i3d")]
    I3d,
}

impl Approach {
    /// All approaches.
    pub const ALL: [Self; 9] = [
        Self::Aggregate,
        Self::Channels,
        Self::Volume,
        Self::VolumeSwin,
        Self::PseudoVolumeSwin,
        Self::Hybrid,
        Self::ResNet3d,
        Self::TimeSformer,
        Self::I3d,
    ];

    /// The value of `approach` in `[model]`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aggregate => "2d-agg",
            Self::Channels => "2d",
            Self::Volume => "3d",
            Self::VolumeSwin => "3d-swin",
            Self::PseudoVolumeSwin => "pseudo-3d-swin",
            Self::Hybrid => "hybrid",
            Self::ResNet3d => "resnet3d",
            Self::TimeSformer => "timesformer",
            Self::I3d => "i3d",
        }
    }

    /// Whether the network is one that others have published, whole: it has no encoder and no decoder to
    /// choose.
    pub fn is_published(self) -> bool {
        matches!(
            self,
            Self::Hybrid | Self::ResNet3d | Self::TimeSformer | Self::I3d
        )
    }

    /// Whether the encoder is laid over volumes.
    pub fn is_over_volumes(self) -> bool {
        !matches!(self, Self::Aggregate | Self::Channels)
    }

    /// The conversions of 2D weights that the approach knows.
    pub fn conversions(self) -> &'static [Conversion] {
        match self {
            Self::Volume => &[Conversion::Repeat, Conversion::Centre, Conversion::Acs],
            Self::VolumeSwin | Self::PseudoVolumeSwin => &[Conversion::Repeat, Conversion::Centre],
            _ => &[],
        }
    }
}

/// How the logits of windows or layers become one map.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Aggregation {
    /// By learnable weights, one for each window or layer.
    #[default]
    Linear,
    /// By their mean.
    Mean,
    /// By the largest at each pixel.
    Max,
    /// By weights for each pixel: the softmax, over windows or layers, of a linear function of the
    /// decoder's features (Ilse et al., *Attention-based deep multiple instance learning*, 2018, without
    /// the hidden layer).
    Attention,
}

/// How 2D weights become those of a network over volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Conversion {
    /// Kernels are repeated along depth and divided by their depth (Carreira and Zisserman, *Quo vadis,
    /// action recognition?*, 2017).
    Repeat,
    /// Kernels lie in the middle of their depth, zeros around them.
    Centre,
    /// Kernels stay flat and lie, a third of the outputs each, in the axial, coronal and sagittal plane
    /// (Yang et al., *Reinventing 2D convolutions for 3D images*, 2021).
    Acs,
}

impl Conversion {
    /// The value of `conversion` in `[model]`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Centre => "centre",
            Self::Acs => "acs",
        }
    }
}
