//! The ResNet3D family: bottleneck ResNets whose kernels have a depth (Hara et al., *Can
//! spatiotemporal 3D CNNs retrace the history of 2D CNNs and ImageNet?*, 2018) under the decoder of the
//! Vesuvius Grand Prize, or that of `scrollprize/ink_canonical_2um`.

mod block;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_kernels::Activation;
use serde::{Deserialize, Serialize};

use block::Block;

use super::StagedNetwork;
use crate::decoders::{DepthAttention, DepthMax};
use crate::depth::Place;
use crate::encoders::Stages;
use crate::layers::{
    BatchNorm2d, BatchNorm2dConfig, GroupNorm, Resize, VolumeConv, VolumeConvConfig, max_pool,
    resize_layers,
};
use crate::{Error, ModelSettings, Normalization};

/// `[model.resnet3d]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResNet3dShape {
    /// The network's number of layers: 50, 101, 152 or 200.
    pub layers: usize,
    /// Blocks of the four stages, for networks smaller than any published one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<[usize; 4]>,
    /// Channels of the stem; 64 in all published ones.
    pub width: usize,
    /// How the feature maps become logits.
    pub decoder: DepthDecoder,
    /// What is done to the patch first.
    pub input_norm: InputNorm,
    /// How much larger the patch is made first, along all three axes, linearly.
    pub enlarge: usize,
}

/// How maps with a depth become logits without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum DepthDecoder {
    /// The largest of each feature along depth, then a 2D pyramid.
    #[serde(rename = "2d")]
    Plane,
    /// A 3D pyramid, then a sum over depth by attention.
    #[serde(rename = "3d")]
    Volume,
}

/// A norm of the patch before the first convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputNorm {
    /// None.
    None,
    /// By running statistics.
    Batch,
    /// By the patch's own statistics.
    Instance,
}

impl Default for ResNet3dShape {
    fn default() -> Self {
        Self {
            layers: 50,
            blocks: None,
            width: 64,
            decoder: DepthDecoder::Plane,
            input_norm: InputNorm::None,
            enlarge: 1,
        }
    }
}

#[rustfmt::skip]
const PUBLISHED: [(usize, [usize; 4]); 4] = [
    (50, [3, 4, 6, 3]),
    (101, [3, 4, 23, 3]),
    (152, [3, 8, 36, 3]),
    (200, [3, 24, 36, 3]),
];

const WIDENING: usize = 4;
const DEEPEST_STRIDE: usize = 32;
const WIDEST: usize = 256;
const MOST_BLOCKS: usize = 64;
const LARGEST_ENLARGEMENT: usize = 8;

impl ResNet3dShape {
    /// The published number of layers whose stages have so many blocks.
    pub(crate) fn layers_of(blocks: [usize; 4]) -> Option<usize> {
        let mut published = PUBLISHED.iter();
        published
            .find(|(_, known)| *known == blocks)
            .map(|(layers, _)| *layers)
    }

    fn stage_blocks(&self) -> Option<[usize; 4]> {
        let published = PUBLISHED.iter().find(|(layers, _)| *layers == self.layers);
        self.blocks.or(published.map(|(_, blocks)| *blocks))
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
        let Some(blocks) = self.stage_blocks() else {
            let found = self.layers.to_string();
            return wrong("resnet3d.layers", found, "50, 101, 152 or 200");
        };
        if !blocks.iter().all(|count| (1..=MOST_BLOCKS).contains(count)) {
            let found = format!("{blocks:?}");
            return wrong("resnet3d.blocks", found, "four numbers from 1 to 64");
        }
        if !(1..=WIDEST).contains(&self.width) {
            let found = self.width.to_string();
            return wrong("resnet3d.width", found, "1 to 256 channels");
        }
        if !(1..=LARGEST_ENLARGEMENT).contains(&self.enlarge) {
            let found = self.enlarge.to_string();
            return wrong("resnet3d.enlarge", found, "1 to 8");
        }
        match self.enlarge * image_size % DEEPEST_STRIDE {
            0 => Ok(()),
            _ => Error::check_image_size("resnet3d", image_size, DEEPEST_STRIDE),
        }
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct ResNet3dNetwork {
    normalization: Option<PatchNorm>,
    backbone: Backbone,
    decoder: Decoder,
    layers: usize,
    enlarge: usize,
    #[module(skip)]
    intensities: Normalization,
}

#[derive(Module, Debug)]
enum PatchNorm {
    Batch(BatchNorm2d),
    Instance(GroupNorm),
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has one")]
enum Decoder {
    Plane(DepthMax),
    Volume(DepthAttention),
}

impl ResNet3dNetwork {
    /// Makes the network that checked `settings` describe.
    pub(super) fn new(settings: &ModelSettings, device: &Device) -> Self {
        let shape = settings.resnet3d.clone().unwrap_or_default();
        let backbone = Backbone::new(&shape, settings.depth * shape.enlarge, device);
        let widths = [1, 2, 4, 8].map(|factor| shape.width * factor);
        let channels = widths.map(|width| width * WIDENING);
        let layers = backbone.layers_of_maps();
        Self {
            normalization: match shape.input_norm {
                InputNorm::None => None,
                InputNorm::Batch => Some(PatchNorm::Batch(BatchNorm2dConfig::new(1).init(device))),
                InputNorm::Instance => {
                    let norm = GroupNorm::of_instances(1, device).over(settings.depth);
                    Some(PatchNorm::Instance(norm))
                }
            },
            decoder: match shape.decoder {
                DepthDecoder::Plane => Decoder::Plane(DepthMax::new(&channels, &layers, device)),
                DepthDecoder::Volume => {
                    Decoder::Volume(DepthAttention::new(&channels, &widths, &layers, device))
                }
            },
            backbone,
            layers: settings.depth,
            enlarge: shape.enlarge,
            intensities: settings.normalization.clone(),
        }
    }

    /// The patch as the first convolution takes it.
    fn prepared(&self, patch: Tensor<4>) -> Tensor<4> {
        let patch = match &self.normalization {
            None => patch,
            Some(PatchNorm::Batch(norm)) => norm.forward(patch),
            Some(PatchNorm::Instance(norm)) => norm.apply(patch, None),
        };
        let [_, _, height, width] = patch.dims();
        let deep = resize_layers(patch, self.layers, self.layers * self.enlarge);
        Resize::Bilinear.to(deep, [height * self.enlarge, width * self.enlarge])
    }
}

impl Stages for ResNet3dNetwork {
    /// The stem is the first block of the first stage.
    fn blocks(&self) -> Vec<usize> {
        let stages = self.backbone.stages().into_iter().map(Vec::len).enumerate();
        stages
            .map(|(stage, blocks)| blocks + usize::from(stage == 0))
            .collect()
    }

    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        match block.checked_sub(usize::from(stage == 0)) {
            None => self.backbone.stem(self.prepared(input)),
            Some(block) => self.backbone.stages()[stage][block].forward(input),
        }
    }
}

impl StagedNetwork for ResNet3dNetwork {
    fn normalization(&self) -> &Normalization {
        &self.intensities
    }

    fn encoder(&self) -> &dyn Stages {
        self
    }

    fn kept(&self, stage: usize, map: Tensor<4>) -> Tensor<4> {
        match &self.decoder {
            Decoder::Plane(decoder) => decoder.kept(stage, map),
            Decoder::Volume(decoder) => decoder.kept(stage, map),
        }
    }

    fn partial(&self, features: Vec<Tensor<4>>, _batch: usize) -> Tensor<4> {
        match &self.decoder {
            Decoder::Plane(decoder) => decoder.forward(features),
            Decoder::Volume(decoder) => decoder.forward(features),
        }
    }

    fn enlargement(&self) -> Resize {
        Resize::Bilinear
    }

    fn enlarges_probabilities(&self) -> bool {
        true
    }

    fn place(&self, name: &str) -> Option<Place> {
        if name.starts_with("normalization.") {
            return Some(Place::Stem);
        }
        let rest = name.strip_prefix("backbone.")?;
        let Some(rest) = rest.strip_prefix("layer") else {
            return Some(Place::Stem);
        };
        let mut parts = rest.split('.');
        let mut number = || parts.next()?.parse::<usize>().ok();
        Some(Place::after_stem(number()?.checked_sub(1)?, number()?))
    }
}

#[derive(Module, Debug)]
struct Backbone {
    conv1: VolumeConv,
    bn1: BatchNorm2d,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
    layers: usize,
}

impl Backbone {
    fn new(shape: &ResNet3dShape, layers: usize, device: &Device) -> Self {
        let (width, blocks) = (shape.width, shape.stage_blocks().unwrap_or([1; 4]));
        let mut depth = layers;
        let mut inputs = width;
        let mut stage = |index: usize| -> Vec<Block> {
            let inner = width << index;
            let made = (0..blocks[index]).map(|place| {
                let stride = if index > 0 && place == 0 { 2 } else { 1 };
                let block = Block::new([inputs, inner], stride, depth, device);
                inputs = inner * WIDENING;
                depth = depth.div_ceil(stride);
                block
            });
            made.collect()
        };
        Self {
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
            conv1: VolumeConvConfig::new([1, width], 7, layers)
                .with_stride([1, 2])
                .init(device),
            bn1: BatchNorm2dConfig::new(width).init(device),
            layers,
        }
    }

    fn stages(&self) -> [&Vec<Block>; 4] {
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
    }

    /// Layers of the four feature maps.
    fn layers_of_maps(&self) -> [usize; 4] {
        [1, 2, 4, 8].map(|stride| self.layers.div_ceil(stride))
    }

    fn stem(&self, patch: Tensor<4>) -> Tensor<4> {
        let rectified = Some(Activation::Relu);
        // Layers by themselves.
        let pool = |x| max_pool(x, 1, 1);
        self.conv1
            .forward_normed_then(patch, &self.bn1, rectified, pool)
    }
}
