//! CAFormer and ConvFormer (Yu et al., *MetaFormer baselines for vision*, 2022) as timm builds them:
//! separable convolutions in early stages, and in CAFormer's late stages attention over the whole
//! image.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::{add, add_scaled, attention};

use super::{EncoderFamily, EncoderInfo, Family, StagedEncoder, multiply_adds};
use crate::Error;
use crate::layers::{
    Conv2d, Conv2dConfig, DropPath, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
    Projection, StarRelu, drop_path_rates, split_heads,
};

struct Variant {
    name: &'static str,
    channels: [usize; 4],
    blocks: [usize; 4],
}

const S18: ([usize; 4], [usize; 4]) = ([64, 128, 320, 512], [3, 3, 9, 3]);
const S36: ([usize; 4], [usize; 4]) = ([64, 128, 320, 512], [3, 12, 18, 3]);
const M36: ([usize; 4], [usize; 4]) = ([96, 192, 384, 576], [3, 12, 18, 3]);
const B36: ([usize; 4], [usize; 4]) = ([128, 256, 512, 768], [3, 12, 18, 3]);

const fn variant(name: &'static str, size: ([usize; 4], [usize; 4])) -> Variant {
    Variant {
        name,
        channels: size.0,
        blocks: size.1,
    }
}

const VARIANTS: &[Variant] = &[
    variant("caformer_s18", S18),
    variant("caformer_s36", S36),
    variant("caformer_m36", M36),
    variant("caformer_b36", B36),
    variant("convformer_s18", S18),
    variant("convformer_s36", S36),
    variant("convformer_m36", M36),
    variant("convformer_b36", B36),
];

const DEEPEST_STRIDE: usize = 32;
/// Channels per attention head.
const HEAD_WIDTH: usize = 32;
/// The first stage whose shortcuts are scaled, and with attention in CAFormer.
const LATE: usize = 2;

pub(super) fn catalogue() -> impl Iterator<Item = EncoderInfo> {
    VARIANTS.iter().map(|variant| EncoderInfo {
        name: variant.name,
        family: Family::MetaFormer,
        image_size: 224,
        licence: "Apache-2.0",
    })
}

/// Configuration of a [`MetaFormer`].
#[derive(Clone, Debug)]
pub struct MetaFormerConfig {
    channels: [usize; 4],
    blocks: [usize; 4],
    attention: bool,
    inputs: usize,
    drop_path: f64,
}

impl EncoderFamily for MetaFormerConfig {
    type Encoder = MetaFormer;
    const FIRST_CONVOLUTION: &'static str = "stem.conv.weight";

    /// The published variant `name` for images of `image_size` px with `inputs` channels.
    ///
    /// # Errors
    /// [`Error::ImageSize`] when 32 does not divide the image size.
    fn named(name: &str, inputs: usize, image_size: usize) -> Result<Option<Self>, Error> {
        let Some(variant) = VARIANTS.iter().find(|variant| variant.name == name) else {
            return Ok(None);
        };
        Error::check_image_size(name, image_size, DEEPEST_STRIDE)?;
        Ok(Some(Self {
            channels: variant.channels,
            blocks: variant.blocks,
            attention: name.starts_with("caformer"),
            inputs,
            drop_path: 0.0,
        }))
    }

    /// Sets the drop-path rate of the last block; earlier blocks' rates rise towards it.
    fn with_drop_path(mut self, rate: f64) -> Self {
        self.drop_path = rate;
        self
    }

    /// Channels of the four feature maps, finest (stride 4) first.
    fn channels(&self) -> Vec<usize> {
        self.channels.to_vec()
    }

    /// Multiplications, each with an addition, for one image of `image_size` px.
    fn multiply_adds(&self, image_size: usize) -> u64 {
        let stem = multiply_adds::conv(image_size / 4, [self.inputs, self.channels[0]], 7);
        let stage = |index: usize| {
            let (side, channels) = (image_size / (4 << index), self.channels[index]);
            let halve = match index {
                0 => 0,
                _ => multiply_adds::conv(side, [self.channels[index - 1], channels], 3),
            };
            let mixer = match index >= LATE && self.attention {
                true => multiply_adds::attention(1, side * side, channels),
                // To twice the channels and back.
                false => {
                    2 * multiply_adds::conv(side, [channels, 2 * channels], 1)
                        + multiply_adds::depthwise(side, 2 * channels, 7)
                }
            };
            halve + self.blocks[index] as u64 * (mixer + multiply_adds::mlp(side, channels))
        };
        stem + (0..4).map(stage).sum::<u64>()
    }

    /// Makes the encoder.
    fn init(&self, device: &Device) -> MetaFormer {
        let rates = drop_path_rates(self.drop_path, &self.blocks);
        let stages = rates.into_iter().enumerate().map(|(index, rates)| {
            let channels = self.channels[index];
            let blocks = rates
                .into_iter()
                .map(|rate| self.block(index, rate, device));
            Stage {
                downsample: (index > 0).then(|| {
                    let inputs = self.channels[index - 1];
                    Downsample {
                        norm: norm(inputs, device),
                        conv: Conv2dConfig::new([inputs, channels], 3)
                            .with_stride(2)
                            .init(device),
                    }
                }),
                blocks: blocks.collect(),
            }
        });
        MetaFormer {
            stem: Stem {
                conv: Conv2dConfig::new([self.inputs, self.channels[0]], 7)
                    .with_stride(4)
                    .with_padding(2)
                    .init(device),
                norm: norm(self.channels[0], device),
            },
            stages: stages.collect(),
        }
    }
}

impl MetaFormerConfig {
    fn block(&self, stage: usize, rate: f64, device: &Device) -> Block {
        let channels = self.channels[stage];
        let late = stage >= LATE;
        let attention = late && self.attention;
        let project = |features| Projection::without_bias(features, !attention, device);
        let scale = || {
            late.then(|| Scale {
                scale: Initializer::ONES.init([channels], device),
            })
        };
        Block {
            norm1: norm(channels, device),
            token_mixer: match attention {
                true => TokenMixer::Attention(Attention::new(channels, device)),
                false => TokenMixer::SeparableConv(SeparableConv::new(channels, device)),
            },
            res_scale1: scale(),
            norm2: norm(channels, device),
            mlp: StarMlp {
                fc1: project([channels, 4 * channels]),
                act: StarRelu::new(device),
                fc2: project([4 * channels, channels]),
            },
            res_scale2: scale(),
            drop_path: DropPath::new(rate),
        }
    }
}

fn norm(channels: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(channels).with_bias(false).init(device)
}

/// The encoder: a stem and four stages. Maps run channels last between convolutions.
#[derive(Module, Debug)]
pub struct MetaFormer {
    stem: Stem,
    stages: Vec<Stage>,
}

impl StagedEncoder for MetaFormer {
    /// How many blocks each stage has.
    fn blocks(&self) -> Vec<usize> {
        self.stages.iter().map(|stage| stage.blocks.len()).collect()
    }

    /// One block of a stage; the first with what leads to it.
    ///
    /// # Shapes
    /// - input: the image `[batch, inputs, size, size]` or the block's before
    /// - output: `[batch, size / stride, size / stride, channels]` at strides 4, 8, 16 and 32
    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        let Stage { downsample, blocks } = &self.stages[stage];
        let input = match (downsample, block) {
            (None, 0) => {
                let patches = channels_last(self.stem.conv.forward(input));
                self.stem.norm.forward(patches)
            }
            (Some(Downsample { norm, conv }), 0) => {
                channels_last(conv.forward(channels_first(norm.forward(input))))
            }
            _ => input,
        };
        blocks[block].forward(input)
    }

    /// Maps run channels last within.
    fn feature(&self, x: Tensor<4>) -> Tensor<4> {
        x.permute([0, 3, 1, 2])
    }
}

fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

#[derive(Module, Debug)]
struct Stem {
    conv: Conv2d,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Downsample {
    norm: LayerNorm,
    conv: Conv2d,
}

#[derive(Module, Debug)]
struct Stage {
    downsample: Option<Downsample>,
    blocks: Vec<Block>,
}

/// A learnable factor per channel on a shortcut.
#[derive(Module, Debug)]
struct Scale {
    scale: Param<Tensor<1>>,
}

impl Scale {
    /// The shortcut `x`, scaled, and a branch.
    fn add(scale: &Option<Self>, x: Tensor<4>, branch: Tensor<4>) -> Tensor<4> {
        match scale {
            Some(scale) => add_scaled(branch, x, scale.scale.val()),
            None => add(branch, x),
        }
    }
}

#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    token_mixer: TokenMixer,
    res_scale1: Option<Scale>,
    norm2: LayerNorm,
    mlp: StarMlp,
    res_scale2: Option<Scale>,
    drop_path: DropPath,
}

impl Block {
    /// `[batch, height, width, channels]` in and out.
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mixed = self.token_mixer.forward(self.norm1.forward(input.clone()));
        let x = Scale::add(&self.res_scale1, input, self.drop_path.forward(mixed));
        let mixed = self.mlp.forward(self.norm2.forward(x.clone()));
        Scale::add(&self.res_scale2, x, self.drop_path.forward(mixed))
    }
}

#[derive(Module, Debug)]
struct StarMlp {
    fc1: Projection,
    act: StarRelu,
    fc2: Projection,
}

impl StarMlp {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.fc2.forward(self.act.forward(self.fc1.forward(input)))
    }
}

#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a network has few, and they live as long as it"
)]
enum TokenMixer {
    SeparableConv(SeparableConv),
    Attention(Attention),
}

impl TokenMixer {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::SeparableConv(mixer) => mixer.forward(input),
            Self::Attention(mixer) => mixer.forward(input),
        }
    }
}

/// An inverted separable convolution: widen twice, mix 7 × 7 neighbours, narrow again.
#[derive(Module, Debug)]
struct SeparableConv {
    pwconv1: Projection,
    act1: StarRelu,
    dwconv: Conv2d,
    pwconv2: Projection,
}

impl SeparableConv {
    fn new(channels: usize, device: &Device) -> Self {
        let middle = 2 * channels;
        Self {
            pwconv1: Projection::without_bias([channels, middle], true, device),
            act1: StarRelu::new(device),
            dwconv: Conv2dConfig::new([middle, middle], 7)
                .with_groups(middle)
                .with_bias(false)
                .init(device),
            pwconv2: Projection::without_bias([middle, channels], true, device),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = self.act1.forward(self.pwconv1.forward(input));
        let x = channels_last(self.dwconv.forward(channels_first(x)));
        self.pwconv2.forward(x)
    }
}

/// Self-attention over all positions.
#[derive(Module, Debug)]
struct Attention {
    qkv: Linear,
    proj: Linear,
    heads: usize,
}

impl Attention {
    fn new(channels: usize, device: &Device) -> Self {
        let linear = |features| LinearConfig::new(features).with_bias(false).init(device);
        Self {
            qkv: linear([channels, 3 * channels]),
            proj: linear([channels, channels]),
            heads: channels / HEAD_WIDTH,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = input.dims();
        let positions = height * width;
        let tokens = input.reshape([batch, positions, channels]);
        let [query, key, value] = split_heads(self.qkv.forward(tokens), self.heads);
        let scale = (HEAD_WIDTH as f64).powf(-0.5);
        let attended = attention(query, key, value, None, scale);
        self.proj
            .forward(attended)
            .reshape([batch, height, width, channels])
    }
}
