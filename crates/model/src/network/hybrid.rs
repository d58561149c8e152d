//! The network of the ~9 µm family (`scrollprize/ink_9um` and what was trained after it): a small
//! 3D stem whose layers are summed by attention over depth, and a residual 2D U-Net as nnU-Net
//! builds it.

use burn::module::Module;
use burn::nn::{LeakyRelu, LeakyReluConfig};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, activate, attend_over_layers, max_over_layers};
use serde::{Deserialize, Serialize};

use super::StagedNetwork;
use crate::depth::Place;
use crate::encoders::Stages;
use crate::layers::{
    Conv2d, Conv2dConfig, ConvTranspose2d, GroupNorm, Initializer, Resize, VolumeConv,
    VolumeConvConfig, unfolded,
};
use crate::{Error, ModelSettings, Normalization};

/// `[model.hybrid]`: the sizes of the network, the published ones unless given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HybridShape {
    /// Channels of the 3D stem.
    pub stem: usize,
    /// Channels of the 2D encoder's stages, finest first; each but the first halves the map.
    pub features: Vec<usize>,
    /// Residual blocks of each stage.
    pub blocks: Vec<usize>,
}

impl Default for HybridShape {
    fn default() -> Self {
        Self {
            stem: 16,
            features: vec![32, 64, 128, 256, 320, 320],
            blocks: vec![1, 3, 4, 6, 6, 6],
        }
    }
}

const WIDEST: usize = 4_096;
const MOST_BLOCKS: usize = 64;

impl HybridShape {
    /// What patches' sides are multiples of, in pixels.
    fn deepest_stride(&self) -> usize {
        1 << (self.features.len().clamp(1, 10) - 1)
    }

    /// # Errors
    /// [`Error::Setting`] or [`Error::ImageSize`] for what fits no network.
    pub(crate) fn check(&self, image_size: usize) -> Result<(), Error> {
        let wrong = |key, found: String, expected: &str| {
            Err(Error::Setting {
                key,
                found,
                expected: expected.to_owned(),
            })
        };
        let fits = |width: &usize| (1..=WIDEST).contains(width);
        if !fits(&self.stem) {
            let found = self.stem.to_string();
            return wrong("hybrid.stem", found, "1 to 4,096 channels");
        }
        if !(1..=10).contains(&self.features.len()) || !self.features.iter().all(fits) {
            let found = format!("{:?}", self.features);
            let expected = "one to ten numbers of channels, 1 to 4,096 each";
            return wrong("hybrid.features", found, expected);
        }
        let counts = self
            .blocks
            .iter()
            .all(|count| (1..=MOST_BLOCKS).contains(count));
        if self.blocks.len() != self.features.len() || !counts {
            let found = format!("{:?}", self.blocks);
            let expected = "as many numbers as model.hybrid.features, 1 to 64 each";
            return wrong("hybrid.blocks", found, expected);
        }
        Error::check_image_size("hybrid", image_size, self.deepest_stride())
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct HybridNetwork {
    network: ResidualUnet,
    depth_fusion: DepthFusion,
    #[module(skip)]
    normalization: Normalization,
}

#[derive(Module, Debug)]
struct ResidualUnet {
    shared_encoder: ResidualEncoder,
    task_heads: TaskHeads,
    shared_decoder: Decoder,
}

#[derive(Module, Debug)]
struct TaskHeads {
    ink: Conv2d,
}

impl HybridNetwork {
    /// Makes the network that checked `settings` describe.
    pub(super) fn new(settings: &ModelSettings, device: &Device) -> Self {
        let shape = settings.hybrid.clone().unwrap_or_default();
        let features = &shape.features;
        Self {
            network: ResidualUnet {
                shared_encoder: ResidualEncoder::new(&shape, device),
                task_heads: TaskHeads {
                    ink: conv([features[0], 1], 1).init(device),
                },
                shared_decoder: Decoder::new(features, device),
            },
            depth_fusion: DepthFusion::new(settings.depth, shape.stem, device),
            normalization: settings.normalization.clone(),
        }
    }
}

impl Stages for HybridNetwork {
    /// The stems are the first block of the first stage.
    fn blocks(&self) -> Vec<usize> {
        let stages = self.network.shared_encoder.stages.iter().enumerate();
        stages
            .map(|(stage, blocks)| blocks.blocks.len() + usize::from(stage == 0))
            .collect()
    }

    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        let encoder = &self.network.shared_encoder;
        match block.checked_sub(usize::from(stage == 0)) {
            None => {
                let image = self.depth_fusion.forward(input);
                let convs = encoder.stem.convs.iter();
                convs.fold(image, |x, conv| conv.forward(x))
            }
            Some(block) => encoder.stages[stage].blocks[block].forward(input),
        }
    }
}

impl StagedNetwork for HybridNetwork {
    fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    fn encoder(&self) -> &dyn Stages {
        self
    }

    fn partial(&self, features: Vec<Tensor<4>>, _batch: usize) -> Tensor<4> {
        let x = self.network.shared_decoder.forward(features);
        self.network.task_heads.ink.forward(x)
    }

    fn enlargement(&self) -> Resize {
        Resize::Nearest
    }

    fn place(&self, name: &str) -> Option<Place> {
        if name.starts_with("depth_fusion.") {
            return Some(Place::Stem);
        }
        let rest = name.strip_prefix("network.shared_encoder.")?;
        let Some(rest) = rest.strip_prefix("stages.") else {
            return Some(Place::Stem);
        };
        let (stage, rest) = rest.split_once(".blocks.")?;
        let (block, _) = rest.split_once('.')?;
        Some(Place::after_stem(stage.parse().ok()?, block.parse().ok()?))
    }
}

/// Two convolutions over the volume, and what they say summed over its layers by attention, beside
/// the largest.
#[derive(Module, Debug)]
struct DepthFusion {
    /// Numbered as in `torch.nn.Sequential`, where activations count.
    features: (VolumeConv, GroupNorm, LeakyRelu, VolumeConv, GroupNorm),
    attention_logits: VolumeConv,
    layers: usize,
}

impl DepthFusion {
    fn new(layers: usize, channels: usize, device: &Device) -> Self {
        let conv = |inputs| VolumeConvConfig::new([inputs, channels], 3, layers).init(device);
        let norm = || GroupNorm::of_instances(channels, device).over(layers);
        let relu = LeakyReluConfig::new().init();
        Self {
            features: (conv(1), norm(), relu, conv(channels), norm()),
            attention_logits: VolumeConvConfig::new([channels, 1], 1, layers)
                .with_bias(true)
                .init(device),
            layers,
        }
    }

    /// `[batch × layers, 1, height, width]` to `[batch, 2 × channels, height, width]`.
    fn forward(&self, volume: Tensor<4>) -> Tensor<4> {
        let (conv1, norm1, _, conv2, norm2) = &self.features;
        let rectified = Some(Activation::LeakyRelu);
        let x = norm1.apply(conv1.forward_before_norm(volume), rectified);
        let x = norm2.apply(conv2.forward_before_norm(x), rectified);
        let logits = unfolded(self.attention_logits.forward(x.clone()), self.layers);
        let x = unfolded(x, self.layers);
        let sum = attend_over_layers(x.clone(), logits);
        Tensor::cat(vec![sum, max_over_layers(x)], 1)
    }
}

#[derive(Module, Debug)]
struct ResidualEncoder {
    stem: ConvStack,
    stages: Vec<Stage>,
}

#[derive(Module, Debug)]
struct Stage {
    blocks: Vec<Block>,
}

/// Convolutions one after another.
#[derive(Module, Debug)]
struct ConvStack {
    convs: Vec<ConvNorm>,
}

impl ResidualEncoder {
    fn new(shape: &HybridShape, device: &Device) -> Self {
        let mut inputs = shape.features[0];
        let stem = ConvNorm::new(conv([2 * shape.stem, inputs], 3), inputs, device);
        let stages = shape.features.iter().zip(&shape.blocks).enumerate();
        let stages = stages.map(|(stage, (&outputs, &count))| {
            let blocks = (0..count).map(|block| {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let block = Block::new([inputs, outputs], stride, device);
                inputs = outputs;
                block
            });
            Stage {
                blocks: blocks.collect(),
            }
        });
        Self {
            stages: stages.collect(),
            stem: ConvStack { convs: vec![stem] },
        }
    }
}

/// A convolution that starts as nnU-Net's do.
fn conv(channels: [usize; 2], kernel: usize) -> Conv2dConfig {
    // kaiming_normal_ with a leaky ReLU's slope: by the inputs of each output.
    let fan_in = channels[0] * kernel * kernel;
    let std = (2.0 / (1.0 + 1e-4) / fan_in as f64).sqrt();
    Conv2dConfig::new(channels, kernel).with_initializer(Initializer::Normal { std })
}

#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: GroupNorm,
}

impl ConvNorm {
    fn new(conv: Conv2dConfig, outputs: usize, device: &Device) -> Self {
        Self {
            conv: conv.init(device),
            norm: GroupNorm::of_instances(outputs, device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.apply(x, Some(Activation::LeakyRelu))
    }

    fn apply(&self, x: Tensor<4>, activation: Option<Activation>) -> Tensor<4> {
        self.norm
            .apply(self.conv.forward_before_norm(x), activation)
    }
}

/// nnU-Net's `BasicBlockD`.
#[derive(Module, Debug)]
struct Block {
    conv1: ConvNorm,
    conv2: ConvNorm,
    skip: Option<Projection>,
    stride: usize,
}

/// A 1 × 1 convolution of the skip, numbered after the pooling if there is one.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network holds few of them")]
enum Projection {
    Plain(Vec<ConvNorm>),
    Pooled((LeakyRelu, ConvNorm)),
}

impl Projection {
    fn new(channels: [usize; 2], stride: usize, device: &Device) -> Self {
        let conv = conv(channels, 1).with_bias(false);
        let conv = ConvNorm::new(conv, channels[1], device);
        match stride {
            1 => Self::Plain(vec![conv]),
            _ => Self::Pooled((LeakyReluConfig::new().init(), conv)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Plain(convs) => convs.iter().fold(x, |x, conv| conv.apply(x, None)),
            Self::Pooled((_, conv)) => conv.apply(x, None),
        }
    }
}

impl Block {
    fn new(channels: [usize; 2], stride: usize, device: &Device) -> Self {
        let [inputs, outputs] = channels;
        let first = conv(channels, 3).with_stride(stride);
        Self {
            conv1: ConvNorm::new(first, outputs, device),
            conv2: ConvNorm::new(conv([outputs, outputs], 3), outputs, device),
            skip: (inputs != outputs).then(|| Projection::new(channels, stride, device)),
            stride,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mut skip = input.clone();
        if self.stride > 1 {
            let options = AvgPoolOptions::new([self.stride; 2]).with_stride([self.stride; 2]);
            skip = avg_pool2d(skip, options);
        }
        if let Some(projection) = &self.skip {
            skip = projection.forward(skip);
        }
        let x = self.conv2.apply(self.conv1.forward(input), None);
        activate(x + skip, Activation::LeakyRelu)
    }
}

/// The coarsest map enlarged step by step, joined with the encoder's.
#[derive(Module, Debug)]
struct Decoder {
    stages: Vec<ConvStack>,
    transpconvs: Vec<ConvTranspose2d>,
}

impl Decoder {
    fn new(features: &[usize], device: &Device) -> Self {
        let pairs = || features.windows(2).rev();
        let stage = |pair: &[usize]| ConvStack {
            convs: vec![ConvNorm::new(
                conv([2 * pair[0], pair[0]], 3),
                pair[0],
                device,
            )],
        };
        Self {
            stages: pairs().map(stage).collect(),
            transpconvs: pairs()
                .map(|pair| ConvTranspose2d::new([pair[1], pair[0]], 2, device))
                .collect(),
        }
    }

    /// Maps, finest first, to one of the finest's size.
    fn forward(&self, features: Vec<Tensor<4>>) -> Tensor<4> {
        let mut coarse_to_fine = features.into_iter().rev();
        let coarsest = coarse_to_fine.next().expect("an encoder has a stage");
        let steps = self.transpconvs.iter().zip(&self.stages);
        steps
            .zip(coarse_to_fine)
            .fold(coarsest, |x, ((enlarge, stage), skip)| {
                let joined = Tensor::cat(vec![enlarge.forward(x), skip], 1);
                (stage.convs.iter()).fold(joined, |x, conv| conv.forward(x))
            })
    }
}
