//! Segmentation networks that read ink from volumes: encoders, decoders, approaches, weights.
//!
//! A network is described by [`ModelSettings`] (`[model]` in a recipe), made by
//! [`ModelSettings::init`], and kept as one safetensors file whose metadata holds the settings,
//! so that the file alone can predict ([`load`], [`save`]). Encoders bear timm's names and read
//! timm's weights; the decoder's tensors are named as segmentation_models_pytorch names them.
//!
//! The recipe's approach, `2d-agg`, slides a window of three layers down the patch: each window
//! is an image for a 2D U-Net on a pretrained encoder, and a learnable linear combination of the
//! windows' logits is the result.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use inkling_model::{ModelSettings, MaxVitShape};
//!
//! let settings = ModelSettings {
//!     image_size: 32,
//!     depth: 6,
//!     decoder: vec![16, 8, 8],
//!     maxvit: Some(MaxVitShape {
//!         stem: [8, 8],
//!         channels: [8, 16, 16, 32],
//!         blocks: [1; 4],
//!         head_width: 8,
//!         position_hidden: 16,
//!         position_dropout: 0.0,
//!         layer_scale: None,
//!     }),
//!     ..ModelSettings::default()
//! };
//! let device = Device::flex();
//! let network = settings.init(&device, 0)?;
//! let logits = network.forward(Tensor::zeros([2, 6, 32, 32], &device));
//! assert_eq!(logits.dims(), [2, 32, 32]);
//! # Ok::<(), inkling_model::Error>(())
//! ```

#[cfg(feature = "ranks")]
mod across_ranks;
mod approach;
mod decoders;
mod depth;
mod device;
mod encoders;
mod error;
mod generator;
mod layers;
mod name_pattern;
mod network;
mod normalization;
mod onnx;
mod precision;
mod published;
mod recompute;
mod settings;
pub mod weights;

#[cfg(feature = "ranks")]
pub use across_ranks::{count_in_statistics, join_ranks};
pub use approach::{Aggregation, Approach, Conversion};
pub use device::{DeviceName, FoundDevice};
pub use encoders::{EncoderConfig, EncoderInfo, Family, MaxVitShape, catalogue};
pub use error::Error;
pub use generator::seed_generator;
pub use layers::DepthPadding;
pub use name_pattern::NamePattern;
pub use network::{
    DepthDecoder, HybridNetwork, HybridShape, I3dNetwork, I3dShape, InputNorm, Network,
    ResNet3dNetwork, ResNet3dShape, TimeSformerNetwork, TimeSformerShape, VolumeNetwork,
    WindowNetwork,
};
pub use normalization::{Normalization, NormalizationKind};
pub use onnx::OnnxReport;
pub use precision::Precision;
pub use published::{KNOWN, KnownCheckpoint, Published};
pub use recompute::{Backpropagated, Recompute};
pub use settings::{Architecture, Attention, ModelSettings, Pretrained};
pub use weights::{
    Checkpoint, EncoderReport, Hub, HubFile, Mismatch, Naming, Tensors, WeightsFile, file_sha256,
    load, load_encoder, load_weights, revision_of, save,
};
