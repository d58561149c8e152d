//! MaxViT (Tu et al., *MaxViT: multi-axis vision transformer*, 2022) in two styles: timm's own
//! (`rw`: expansion from the input's width, SiLU, relative positions from an MLP) and the authors'
//! (`tf`: expansion from the output's width, GELU, a table of relative positions, TensorFlow's
//! padding).

use burn::module::Module;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, add, add_scaled, attention};
use serde::{Deserialize, Serialize};

use super::{EncoderFamily, EncoderInfo, Family, StagedEncoder, VolumeForm, multiply_adds};
use crate::layers::{
    BatchNorm2d, BatchNorm2dConfig, Conv, Conv2d, Conv2dConfig, DropPath, LayerNorm,
    LayerNormConfig, LayerScale, LayerScaleConfig, Linear, LinearConfig, Mlp, MlpConfig, Partition,
    PartitionKind, RelativePositionMlp, RelativePositionMlpConfig, RelativePositionTable,
    SqueezeExcite, SqueezeExciteConfig, drop_path_rates, mean_of_layers, split_heads,
};
use crate::{Approach, Error};

/// The shape of one MaxViT. Recipes may override single values under `[model.maxvit]`, for
/// networks narrower than any published one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxVitShape {
    /// Channels after the stem's two convolutions.
    pub stem: [usize; 2],
    /// Channels of the four stages; multiples of `head_width`.
    pub channels: [usize; 4],
    /// Blocks of the four stages.
    pub blocks: [usize; 4],
    /// Channels per attention head.
    pub head_width: usize,
    /// Hidden units of the relative-position MLPs.
    pub position_hidden: usize,
    /// Dropout within these MLPs during training.
    pub position_dropout: f64,
    /// Start of the layer scales on the attention branches; `None` has no layer scales.
    pub layer_scale: Option<f64>,
}

#[cfg(test)]
impl MaxVitShape {
    /// Narrower than any published one, for tests.
    pub(crate) fn narrow() -> Self {
        Self {
            stem: [8, 8],
            channels: [8, 16, 16, 32],
            blocks: [1; 4],
            head_width: 8,
            position_hidden: 16,
            position_dropout: 0.0,
            layer_scale: None,
        }
    }
}

impl MaxVitShape {
    /// Most channels anywhere: twice the widest published.
    const WIDEST: usize = 4_096;
    /// Most blocks of a stage: ten times the deepest published.
    const DEEPEST: usize = 256;
    /// Most parameters: four times the largest published; 8 GB.
    const MOST_PARAMETERS: usize = 2_000_000_000;

    /// Why no machine could hold such a network.
    fn beyond_reason(&self) -> Option<&'static str> {
        let widths = self.stem.iter().chain(&self.channels);
        let mut widths = widths.chain([&self.head_width, &self.position_hidden]);
        if widths.any(|&width| width > Self::WIDEST) {
            return Some("stem, channels, head_width and position_hidden must be at most 4,096");
        }
        if self.blocks.iter().any(|&blocks| blocks > Self::DEEPEST) {
            return Some("blocks must be at most 256 in each stage");
        }
        // A block's convolutions have about 8 weights for each pair of channels, its two attentions 24.
        let stages = self.blocks.iter().zip(&self.channels);
        let parameters: usize = stages
            .map(|(blocks, width)| 32 * blocks * width * width)
            .sum();
        if parameters > Self::MOST_PARAMETERS {
            return Some("blocks and channels must make at most 2,000,000,000 parameters");
        }
        match self.layer_scale {
            Some(scale) if !scale.is_finite() => Some("layer_scale must be a number"),
            _ => None,
        }
    }
}

/// What timm's own variants and the authors' do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Rw,
    Tf,
}

impl Style {
    fn is_tf(self) -> bool {
        self == Self::Tf
    }

    /// Between convolutions.
    fn conv_activation(self) -> Activation {
        match self {
            Self::Rw => Activation::Silu,
            Self::Tf => Activation::GeluTanh,
        }
    }

    /// Between linear layers.
    fn mlp_activation(self) -> Activation {
        match self {
            Self::Rw => Activation::Gelu,
            Self::Tf => Activation::GeluTanh,
        }
    }

    fn batch_norm(self, channels: usize, device: &Device) -> BatchNorm2d {
        let epsilon = if self.is_tf() { 1e-3 } else { 1e-5 };
        BatchNorm2dConfig::new(channels)
            .with_epsilon(epsilon)
            .init(device)
    }

    fn layer_norm(self, channels: usize, device: &Device) -> LayerNorm {
        let epsilon = if self.is_tf() { 1e-5 } else { 1e-6 };
        LayerNormConfig::new(channels)
            .with_epsilon(epsilon)
            .init(device)
    }
}

struct Variant {
    name: &'static str,
    image_size: usize,
    style: Style,
    shape: MaxVitShape,
    licence: &'static str,
}

const fn variant(
    name: &'static str,
    image_size: usize,
    stem: [usize; 2],
    channels: [usize; 4],
    blocks: [usize; 4],
) -> Variant {
    Variant {
        name,
        image_size,
        style: Style::Rw,
        shape: MaxVitShape {
            stem,
            channels,
            blocks,
            head_width: 32,
            position_hidden: 512,
            position_dropout: 0.125,
            layer_scale: None,
        },
        licence: "Apache-2.0",
    }
}

const fn scaled(mut variant: Variant) -> Variant {
    variant.shape.layer_scale = Some(1e-6);
    variant
}

const fn tf(
    name: &'static str,
    image_size: usize,
    stem: usize,
    channels: [usize; 4],
    blocks: [usize; 4],
) -> Variant {
    let mut variant = variant(name, image_size, [stem, stem], channels, blocks);
    variant.style = Style::Tf;
    variant
}

const TINY: [usize; 4] = [64, 128, 256, 512];
const SMALL: [usize; 4] = [96, 192, 384, 768];
const LARGE: [usize; 4] = [128, 256, 512, 1024];
const XLARGE: [usize; 4] = [192, 384, 768, 1536];
/// Blocks of the smaller and of the larger variants.
const FEW: [usize; 4] = [2, 2, 5, 2];
const MANY: [usize; 4] = [2, 6, 14, 2];

#[rustfmt::skip]
const VARIANTS: &[Variant] = &[
    variant("maxvit_rmlp_pico_rw_256", 256, [24, 32], [32, 64, 128, 256], FEW),
    variant("maxvit_rmlp_nano_rw_256", 256, [32, 64], TINY, [1, 2, 3, 1]),
    variant("maxvit_rmlp_tiny_rw_256", 256, [32, 64], TINY, FEW),
    scaled(variant("maxvit_rmlp_small_rw_224", 224, [32, 64], SMALL, FEW)),
    scaled(variant("maxvit_rmlp_small_rw_256", 256, [32, 64], SMALL, FEW)),
    variant("maxvit_rmlp_base_rw_224", 224, [32, 64], SMALL, MANY),
    variant("maxvit_rmlp_base_rw_384", 384, [32, 64], SMALL, MANY),
    tf("maxvit_tiny_tf_224", 224, 64, TINY, FEW),
    tf("maxvit_tiny_tf_384", 384, 64, TINY, FEW),
    tf("maxvit_tiny_tf_512", 512, 64, TINY, FEW),
    tf("maxvit_small_tf_224", 224, 64, SMALL, FEW),
    tf("maxvit_small_tf_384", 384, 64, SMALL, FEW),
    tf("maxvit_small_tf_512", 512, 64, SMALL, FEW),
    tf("maxvit_base_tf_224", 224, 64, SMALL, MANY),
    tf("maxvit_base_tf_384", 384, 64, SMALL, MANY),
    tf("maxvit_base_tf_512", 512, 64, SMALL, MANY),
    tf("maxvit_large_tf_224", 224, 128, LARGE, MANY),
    tf("maxvit_large_tf_384", 384, 128, LARGE, MANY),
    tf("maxvit_large_tf_512", 512, 128, LARGE, MANY),
    tf("maxvit_xlarge_tf_224", 224, 192, XLARGE, MANY),
    tf("maxvit_xlarge_tf_384", 384, 192, XLARGE, MANY),
    tf("maxvit_xlarge_tf_512", 512, 192, XLARGE, MANY),
];

/// Where a block stands.
#[derive(Clone, Copy)]
struct Place {
    /// The feature map that its stage makes, from the finest.
    map: usize,
    /// Whether it is the first of its stage.
    halves: bool,
    /// Its drop-path rate.
    rate: f64,
}

/// Stride of the deepest features; the attention windows are `image_size / 32` wide.
const DEEPEST_STRIDE: usize = 32;

pub(super) fn catalogue() -> impl Iterator<Item = EncoderInfo> {
    VARIANTS.iter().map(|variant| EncoderInfo {
        name: variant.name,
        family: Family::MaxVit,
        image_size: variant.image_size,
        licence: variant.licence,
    })
}

/// Configuration of a [`MaxVit`].
#[derive(Clone, Debug)]
pub struct MaxVitConfig {
    style: Style,
    shape: MaxVitShape,
    inputs: usize,
    image_size: usize,
    drop_path: f64,
    form: Option<VolumeForm>,
}

impl EncoderFamily for MaxVitConfig {
    type Encoder = MaxVit;
    const FIRST_CONVOLUTION: &'static str = "stem.conv1.weight";
    const VOLUMES: &'static [Approach] = &[Approach::Volume];

    /// The published variant `name` for square images of `image_size` px with `inputs` channels.
    ///
    /// # Errors
    /// [`Error::ImageSize`] when 32 does not divide the image size.
    fn named(name: &str, inputs: usize, image_size: usize) -> Result<Option<Self>, Error> {
        let Some(variant) = VARIANTS.iter().find(|variant| variant.name == name) else {
            return Ok(None);
        };
        Error::check_image_size(name, image_size, DEEPEST_STRIDE)?;
        Ok(Some(Self {
            style: variant.style,
            shape: variant.shape.clone(),
            inputs,
            image_size,
            drop_path: 0.0,
            form: None,
        }))
    }

    /// Sets the drop-path rate of the last block; earlier blocks' rates rise towards it.
    fn with_drop_path(mut self, rate: f64) -> Self {
        self.drop_path = rate;
        self
    }

    /// Channels of the five feature maps, finest (stride 2) first.
    fn channels(&self) -> Vec<usize> {
        let mut channels = vec![self.shape.stem[1]];
        channels.extend(self.shape.channels);
        channels
    }

    /// Multiplications, each with an addition, for one image of `image_size` px.
    fn multiply_adds(&self, image_size: usize) -> u64 {
        let [first, second] = self.shape.stem;
        let stem = multiply_adds::conv(image_size / 2, [self.inputs, first], 3)
            + multiply_adds::conv(image_size / 2, [first, second], 3);
        let stages = (0..4).map(|index| {
            let side = image_size / (4 << index);
            let outputs = self.shape.channels[index];
            let inputs = if index == 0 {
                second
            } else {
                self.shape.channels[index - 1]
            };
            let attention = 2 * self.attention_multiply_adds(side, outputs);
            let first = self.conv_multiply_adds(2 * side, side, [inputs, outputs]);
            let others = self.conv_multiply_adds(side, side, [outputs, outputs]);
            let blocks = self.shape.blocks[index] as u64;
            first + (blocks - 1) * others + blocks * attention
        });
        stem + stages.sum::<u64>()
    }

    fn over_volumes(mut self, form: VolumeForm) -> Result<Self, Error> {
        if form.splits_planes && self.style.is_tf() {
            return Err(Error::Setting {
                key: "conversion",
                found: "\"acs\"".to_owned(),
                expected:
                    "\"repeat\" or \"centre\" with a MaxViT in the authors' style (…_tf_…), whose \
                           images are padded at two sides"
                        .to_owned(),
            });
        }
        self.form = Some(form);
        Ok(self)
    }

    /// Makes the encoder with timm's `vit_eff` start.
    fn init(&self, device: &Device) -> MaxVit {
        let shape = &self.shape;
        let mut inputs = shape.stem[1];
        let stages = drop_path_rates(self.drop_path, &shape.blocks)
            .into_iter()
            .zip(shape.channels)
            .enumerate()
            .map(|(stage, (rates, outputs))| {
                let blocks = rates.into_iter().enumerate().map(|(index, rate)| {
                    let inputs = if index == 0 { inputs } else { outputs };
                    let place = Place {
                        map: stage + 1,
                        halves: index == 0,
                        rate,
                    };
                    self.block([inputs, outputs], place, device)
                });
                let stage = Stage {
                    blocks: blocks.collect(),
                };
                inputs = outputs;
                stage
            })
            .collect();
        MaxVit {
            stem: self.stem(device),
            stages,
        }
    }
}

impl MaxVitConfig {
    /// Replaces the published shape.
    ///
    /// # Errors
    /// [`Error::Shape`] when a width is no multiple of the heads' width, or something is 0.
    pub fn with_shape(mut self, shape: MaxVitShape) -> Result<Self, Error> {
        let wrong = |what: &str| {
            Err(Error::Shape {
                encoder: "maxvit".to_owned(),
                reason: what.to_owned(),
            })
        };
        let zero = shape.head_width == 0
            || shape.position_hidden == 0
            || shape.blocks.contains(&0)
            || shape.channels.contains(&0)
            || shape.stem.contains(&0);
        if zero {
            return wrong("stem, channels, blocks, head_width and position_hidden must be above 0");
        }
        if let Some(reason) = shape.beyond_reason() {
            return wrong(reason);
        }
        if !(0.0..1.0).contains(&shape.position_dropout) {
            return wrong("position_dropout must lie in [0, 1)");
        }
        if shape.channels.iter().any(|c| c % shape.head_width != 0) {
            return wrong("every stage's channels must be a multiple of head_width");
        }
        self.shape = shape;
        Ok(self)
    }

    /// The shape in force.
    pub fn shape(&self) -> &MaxVitShape {
        &self.shape
    }

    /// Those of an MBConv block from maps of `from × from` to `to × to`.
    fn conv_multiply_adds(&self, from: usize, to: usize, channels: [usize; 2]) -> u64 {
        let [inputs, outputs] = channels;
        let [middle, reduced] = self.inner_widths(channels);
        let shortcut = match from != to && inputs != outputs {
            true => multiply_adds::conv(to, channels, 1),
            false => 0,
        };
        shortcut
            + multiply_adds::conv(from, [inputs, middle], 1)
            + multiply_adds::depthwise(to, middle, 3)
            + 2 * multiply_adds::linear(1, [middle, reduced])
            + multiply_adds::conv(to, [middle, outputs], 1)
    }

    /// Those of one attention with its MLP.
    fn attention_multiply_adds(&self, side: usize, channels: usize) -> u64 {
        let size = self.image_size / DEEPEST_STRIDE;
        let groups = (side / size) * (side / size);
        let distances = (2 * size - 1) * (2 * size - 1);
        let heads = channels / self.shape.head_width;
        let positions = match self.style {
            Style::Rw => multiply_adds::linear(distances, [self.shape.position_hidden, 2 + heads]),
            Style::Tf => 0,
        };
        multiply_adds::attention(groups, size * size, channels)
            + positions
            + multiply_adds::mlp(side, channels)
    }

    /// Channels within an MBConv block and within its squeeze and excitation.
    fn inner_widths(&self, [inputs, outputs]: [usize; 2]) -> [usize; 2] {
        match self.style {
            Style::Rw => [4 * inputs, (inputs / 4).max(1)],
            Style::Tf => [4 * outputs, outputs / 4],
        }
    }

    fn stem(&self, device: &Device) -> Stem {
        let [first, second] = self.shape.stem;
        let form = self.form.as_ref();
        let conv = |channels, stride, depth| {
            Conv2dConfig::new(channels, 3)
                .with_stride(stride)
                .with_same_padding(self.style.is_tf())
                .with_bias(self.style.is_tf())
                .init_over(depth, device)
        };
        Stem {
            conv1: conv([self.inputs, first], 2, form.map(|form| form.entering(0))),
            norm1: self.style.batch_norm(first, device),
            conv2: conv([first, second], 1, form.map(|form| form.within(0))),
            activation: self.style.conv_activation(),
        }
    }

    fn block(&self, channels: [usize; 2], place: Place, device: &Device) -> Block {
        Block {
            conv: self.mb_conv(channels, place, device),
            attn_block: self.attention(PartitionKind::Block, channels[1], place, device),
            attn_grid: self.attention(PartitionKind::Grid, channels[1], place, device),
        }
    }

    fn attention(
        &self,
        kind: PartitionKind,
        channels: usize,
        place: Place,
        device: &Device,
    ) -> PartitionAttention {
        let size = self.image_size / DEEPEST_STRIDE;
        let heads = channels / self.shape.head_width;
        let scale = || {
            self.shape
                .layer_scale
                .map(|start| LayerScaleConfig::new(channels, start).init(device))
        };
        PartitionAttention {
            norm1: self.style.layer_norm(channels, device),
            attn: Attention {
                qkv: LinearConfig::new([channels, 3 * channels]).init(device),
                rel_pos: self.positions(size, heads, device),
                proj: LinearConfig::new([channels, channels]).init(device),
                heads,
                head_first: !self.style.is_tf(),
            },
            ls1: scale(),
            norm2: self.style.layer_norm(channels, device),
            mlp: MlpConfig::new(channels, 4 * channels)
                .with_activation(self.style.mlp_activation())
                .init(device),
            ls2: scale(),
            drop_path: self.drop_path(place),
            partition: Partition::new(kind, size),
        }
    }

    fn drop_path(&self, place: Place) -> DropPath {
        let layers = VolumeForm::layers_or_one(self.form.as_ref(), place.map);
        DropPath::new(place.rate).over(layers)
    }

    fn positions(&self, size: usize, heads: usize, device: &Device) -> RelativePosition {
        if self.style.is_tf() {
            return RelativePosition::Table(RelativePositionTable::new(size, heads, device));
        }
        let mlp = RelativePositionMlpConfig::new(size, heads, self.shape.position_hidden)
            .with_dropout(self.shape.position_dropout);
        RelativePosition::Mlp(mlp.init(device))
    }

    /// An MBConv block from `channels[0]` to `channels[1]`, four times as wide within.
    fn mb_conv(&self, channels: [usize; 2], place: Place, device: &Device) -> MbConv {
        let (form, stride) = (self.form.as_ref(), if place.halves { 2 } else { 1 });
        let depth = form.map(|form| match place.halves {
            true => form.entering(place.map),
            false => form.within(place.map),
        });
        let layers = VolumeForm::layers_or_one(form, place.map);
        let [inputs, outputs] = channels;
        let tf = self.style.is_tf();
        let [middle, reduced] = self.inner_widths(channels);
        let conv = |channels, kernel| Conv2dConfig::new(channels, kernel).with_bias(false);
        let depthwise = conv([middle, middle], 3)
            .with_stride(stride)
            .with_same_padding(tf)
            .with_groups(middle);
        let expand = || conv([inputs, outputs], 1).with_bias(tf).init(device);
        MbConv {
            shortcut: place.halves.then(|| Shortcut {
                layers: depth.map_or(1, |depth| depth.stride),
                expand: (inputs != outputs).then(expand),
            }),
            pre_norm: self.style.batch_norm(inputs, device),
            conv1_1x1: conv([inputs, middle], 1).init(device),
            norm1: self.style.batch_norm(middle, device),
            conv2_kxk: depthwise.init_over(depth, device),
            norm2: self.style.batch_norm(middle, device),
            se: SqueezeExciteConfig::new(middle, reduced)
                .over(layers)
                .init(device),
            conv3_1x1: conv([middle, outputs], 1).with_bias(tf).init(device),
            drop_path: self.drop_path(place),
            activation: self.style.conv_activation(),
        }
    }
}

/// The encoder: a stem and four stages.
#[derive(Module, Debug)]
pub struct MaxVit {
    stem: Stem,
    stages: Vec<Stage>,
}

impl StagedEncoder for MaxVit {
    const STEM_IS_STAGE: bool = true;
    const LAYERS_ARE_STAGES: bool = true;

    /// How many blocks each stage has; the stem is a stage of one.
    fn blocks(&self) -> Vec<usize> {
        let stages = self.stages.iter().map(|stage| stage.blocks.len());
        std::iter::once(1).chain(stages).collect()
    }

    /// One block of a stage.
    ///
    /// # Shapes
    /// - input: the image `[batch, inputs, size, size]` or the block's before
    /// - output: `[batch, channels, size / stride, size / stride]` at strides 2, 4, 8, 16 and 32
    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        match stage {
            0 => self.stem.forward(input),
            stage => self.stages[stage - 1].blocks[block].forward(input),
        }
    }
}

#[derive(Module, Debug)]
struct Stem {
    conv1: Conv,
    norm1: BatchNorm2d,
    conv2: Conv,
    #[module(skip)]
    activation: Activation,
}

impl Stem {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let activation = Some(self.activation);
        let first = self.conv1.forward_normed(input, &self.norm1, activation);
        self.conv2.forward(first)
    }
}

#[derive(Module, Debug)]
struct Stage {
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Block {
    conv: MbConv,
    attn_block: PartitionAttention,
    attn_grid: PartitionAttention,
}

impl Block {
    /// `[batch, channels, height, width]` in and out; attention runs channels last.
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = self.conv.forward(input).permute([0, 2, 3, 1]);
        let x = self.attn_grid.forward(self.attn_block.forward(x));
        x.permute([0, 3, 1, 2])
    }
}

#[derive(Module, Debug)]
struct Shortcut {
    expand: Option<Conv2d>,
    /// Layers of which the mean is taken.
    layers: usize,
}

impl Shortcut {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let pooled = avg_pool2d(input, AvgPoolOptions::new([2, 2]).with_stride([2, 2]));
        let pooled = mean_of_layers(pooled, self.layers);
        match &self.expand {
            Some(expand) => expand.forward(pooled),
            None => pooled,
        }
    }
}

#[derive(Module, Debug)]
struct MbConv {
    shortcut: Option<Shortcut>,
    pre_norm: BatchNorm2d,
    conv1_1x1: Conv2d,
    norm1: BatchNorm2d,
    conv2_kxk: Conv,
    norm2: BatchNorm2d,
    se: SqueezeExcite,
    conv3_1x1: Conv2d,
    drop_path: DropPath,
    #[module(skip)]
    activation: Activation,
}

impl MbConv {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(input.clone()),
            None => input.clone(),
        };
        let (x, activation) = (self.pre_norm.forward(input), Some(self.activation));
        let x = self.conv1_1x1.forward_normed(x, &self.norm1, activation);
        let x = self.conv2_kxk.forward_normed(x, &self.norm2, activation);
        let x = self.se.forward(x);
        // Channels last, as attention wants them next.
        let x = self.drop_path.forward(self.conv3_1x1.forward(x));
        let last = [0, 2, 3, 1];
        add(x.permute(last), shortcut.permute(last)).permute([0, 3, 1, 2])
    }
}

#[derive(Module, Debug)]
struct PartitionAttention {
    norm1: LayerNorm,
    attn: Attention,
    ls1: Option<LayerScale>,
    norm2: LayerNorm,
    mlp: Mlp,
    ls2: Option<LayerScale>,
    drop_path: DropPath,
    #[module(skip)]
    partition: Partition,
}

impl PartitionAttention {
    /// `[batch, height, width, channels]` in and out.
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [_, height, width, _] = input.dims();
        let groups = self.partition.split(self.norm1.forward(input.clone()));
        let attended = self
            .partition
            .join(self.attn.forward(groups), [height, width]);
        let x = self.add(input, &self.ls1, attended);
        let mixed = self.mlp.forward(self.norm2.forward(x.clone()));
        self.add(x, &self.ls2, mixed)
    }

    /// `x` and a branch, scaled.
    fn add(&self, x: Tensor<4>, scale: &Option<LayerScale>, branch: Tensor<4>) -> Tensor<4> {
        let branch = self.drop_path.forward(branch);
        match scale {
            Some(scale) => add_scaled(x, branch, scale.gamma.val()),
            None => add(branch, x),
        }
    }
}

/// What is added to attention scores for the distance of two positions.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network holds few of them")]
enum RelativePosition {
    Mlp(RelativePositionMlp),
    Table(RelativePositionTable),
}

impl RelativePosition {
    fn forward(&self, device: &Device) -> Tensor<3> {
        match self {
            Self::Mlp(mlp) => mlp.forward(device),
            Self::Table(table) => table.forward(),
        }
    }
}

#[derive(Module, Debug)]
struct Attention {
    qkv: Linear,
    rel_pos: RelativePosition,
    proj: Linear,
    heads: usize,
    head_first: bool,
}

impl Attention {
    /// `[groups, positions, channels]` in and out.
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [_, _, channels] = input.dims();
        let width = channels / self.heads;
        let bias = self.rel_pos.forward(&input.device()).unsqueeze();
        let [query, key, value] = self.project(input);
        let scale = (width as f64).powf(-0.5);
        self.proj
            .forward(attention(query, key, value, Some(bias), scale))
    }

    /// Queries, keys and values, `[groups, heads, positions, width]` each. In the packed projection
    /// either each head's three lie together (timm's `head_first`) or all queries come first.
    fn project(&self, input: Tensor<3>) -> [Tensor<4>; 3] {
        let [groups, positions, channels] = input.dims();
        let width = channels / self.heads;
        let qkv = self.qkv.forward(input);
        if self.head_first {
            let heads = qkv
                .reshape([groups, positions, self.heads, 3 * width])
                .swap_dims(1, 2);
            return [0, 1, 2].map(|part| heads.clone().narrow(3, part * width, width));
        }
        split_heads(qkv, self.heads)
    }
}
